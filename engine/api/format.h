#pragma once
// Formats: bytes <-> batch. A Decoder turns records of a source into the planned columns of its
// schema, an Encoder turns the rows of a sink into bytes. One per task, W. Content never makes a
// decoder fail or allocate beyond a constant times the record's own size: bad records go to
// RowErrors.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/api/operator.h"
#include "engine/base/status.h"
#include "engine/data/row_builder.h"
#include "engine/data/row_errors.h"

namespace weir {

struct Header {
  std::string_view name;
  std::optional<std::string_view> value;
};

/// Reads the headers of a record on demand: a client parses them only then, and hardly any record
/// is asked. Owned by whoever lends the record; the thread that polls. Views live as long as the
/// record.
class HeaderReader {
 public:
  virtual ~HeaderReader() = default;
  virtual std::span<const Header> Read(const void* record) = 0;
};

/// One undecoded record. Borrowed bytes; `value.data()` is followed by kRecordPadding readable
/// bytes if `padded` (JSON parses it in place).
struct Record {
  std::string_view value;
  bool null_value = false;  // a tombstone
  bool padded = false;
  bool truncated =
      false;  // framing cut it: too large or a cut-off file; `value` holds what there is
  std::optional<std::string_view> key;
  EventTime timestamp{};   // the record's own; EventTime::Min(): none
  std::string_view topic;  // Kafka; a file's path
  int32_t partition = -1;
  int64_t offset = -1;                    // Kafka offset, line number of a file
  HeaderReader* header_reader = nullptr;  // null: a record without headers
  const void* header_source = nullptr;    // what the reader knows the record by
  std::span<const Header> headers() const {
    return header_reader == nullptr ? std::span<const Header>()
                                    : header_reader->Read(header_source);
  }
};
inline constexpr size_t kRecordPadding = 64;

/// How a timestamp column of a source is written; anything but kDefault only on timestamp columns.
enum class WireType : uint8_t { kDefault, kTimestampSeconds, kTimestampMillis, kTimestampMicros };

/// A declared column of a source, as far as the plan reads it.
struct SourceColumn {
  Field field;
  WireType wire = WireType::kDefault;
  std::string from;         // field name, or a JSON pointer with a leading '/'
  bool event_time = false;  // an unreadable value is bad_event_time instead of a decode error
};

/// How far the framing of a file has come: what a saved position has to tell beside the offset.
struct FramingState {
  int64_t lines = 0;       // the number of the line before, as Record::offset counts them
  bool cut_short = false;  // the record before was cut, and the rest of its line is still to come
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  /// Files: cuts whole records off the front of `bytes`; answers the bytes used. `at_end`: nothing
  /// follows, the rest is the last record. A record longer than max_record is cut
  /// (Record::truncated) and its remainder skipped. Kafka sources do not call it.
  virtual Result<size_t> Frame(std::string_view bytes, bool at_end,
                               std::vector<Record>& records) = 0;
  /// A new file begins: framing state and header line start over. `name` is for messages.
  virtual void BeginFile(std::string_view name) { static_cast<void>(name); }
  /// A file that is gone on with is shown to Frame from its start, up to the first record, before
  /// the rest (csv: the header line).
  virtual bool needs_file_start() const { return false; }
  /// Where Frame has come to: behind the bytes it has used.
  virtual FramingState framing() const = 0;
  /// After BeginFile, and after the file's start if that is needed: what Frame is given next lies
  /// behind a position with this state.
  virtual void ResumeFile(const FramingState& state) = 0;
  /// Appends the planned columns of each good record to the first columns of `rows` (FinishRow
  /// included); a bad one to `errors` with its position in `records`. kDone, or a Status only for
  /// what is no record's fault (CSV header without a needed column).
  virtual Result<Step> Decode(std::span<const Record> records, RowBuilder& rows,
                              RowErrors& errors) = 0;
};

/// Encoded rows of one batch: one record per row, in one growing buffer.
struct EncodedRows {
  std::string bytes;
  std::vector<uint32_t> ends;  // ends[i]: end of row i in `bytes`; a row with an error is empty
  void Clear() {
    bytes.clear();
    ends.clear();
  }
  std::string_view row(uint32_t i) const {
    const uint32_t begin = i == 0 ? 0 : ends[i - 1];
    return std::string_view(bytes).substr(begin, ends[i] - begin);
  }
};

class Encoder {
 public:
  virtual ~Encoder() = default;
  virtual void Encode(const Batch& batch, EncodedRows& out, RowErrors& errors) = 0;
  virtual std::string FileHeader() const { return {}; }       // csv
  virtual std::string_view line_end() const { return "\n"; }  // files: behind each record
};

}  // namespace weir
