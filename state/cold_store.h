#pragma once
// ColdStore: what lies below the hot tables of one task: RocksDB or an ordered map in memory. P
// only. One writer at a time (Lower holds its mutex): Put, Erase, Finish, Image, Forget. Get and
// Scan from several pool threads beside it. A failed call makes the store unusable: the attempt
// ends.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/api/state_backend.h"
#include "state/row_codec.h"

namespace weir::state {

/// What a snapshot says of one state beside its rows, by key group of the task (position: group -
/// first).
struct StateView {
  std::vector<int64_t> horizons;  // namespaces at or below it are gone; INT64_MIN: none
  std::vector<int64_t> expired;   // logs: rows at or before this time are gone; INT64_MIN: none
};

/// The view of one image: what the compaction filter sees from the moment that image is taken.
struct ImageView {
  GroupRange groups;
  int64_t watermark = INT64_MIN;
  std::vector<StateView> states;
  std::vector<std::optional<Duration>> ttls;

  /// Whether nothing that is restored from this image could ever read the row.
  bool Gone(size_t state, const RowCodec& codec, std::string_view key,
            std::string_view value) const;
};

class ColdStore {
 public:
  virtual ~ColdStore() = default;
  /// In rising order of (state, key) between two Finish calls.
  virtual Status Put(size_t state, std::string_view key, std::string_view value) = 0;
  virtual Status Erase(size_t state, std::string_view key) = 0;
  /// All that was put is readable.
  virtual Status Finish() = 0;
  virtual Status Get(size_t state, std::span<const std::string> keys,
                     std::vector<std::optional<std::string>>& values) = 0;
  /// Rows with keys in [from, to) in order (empty `to`: no end) until `visit` answers false.
  virtual Status Scan(
      size_t state, std::string_view from, std::string_view to,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;
  /// All rows as files; from now on rows that are gone in `view` may be dropped. Files already
  /// named by a completed image have no local path.
  virtual Result<std::vector<ImageFile>> Image(CheckpointId n, const ImageView& view) = 0;
  /// The image's local files go; `completed`: its files are in the storage from now on.
  virtual Status Forget(CheckpointId n, bool completed) = 0;
  /// A, cheap.
  virtual void AddUsage(StateUsage& usage) const = 0;
  /// A. Errors of work in the background.
  virtual Status status() const = 0;
};

}  // namespace weir::state
