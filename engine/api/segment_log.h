#pragma once
// SegmentLog: append-only local segments of one lane of a sink: parts of files, write-ahead logs.
// Append copies into memory (W, bounded: kQueueFull when the disk lags; a wake follows); writing
// and fsync run on P. A segment is cut by size or by the sink; a cut segment is durable once
// Durable says so.

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/env.h"
#include "engine/base/status.h"

namespace weir {

class SegmentLog {
 public:
  virtual ~SegmentLog() = default;
  /// W. Begins (or goes on with) the file `path` from byte `offset`; the file is cut back to it.
  /// One open segment at a time.
  virtual void Open(const Path& path, uint64_t offset) = 0;
  /// W. kQueueFull: not now; the node is woken when there is room.
  virtual Status Append(std::string_view bytes) = 0;
  virtual uint64_t size() const = 0;  // W  of the open segment, appended bytes included
  /// W. Everything appended so far shall be durable (data, length and directory entry); answers a
  /// ticket.
  virtual uint64_t Sync() = 0;
  /// W. Closes the open segment after a Sync of it.
  virtual uint64_t Close() = 0;
  /// W. Ok and true: the ticket's bytes are durable; Ok and false: not yet, a wake follows. A
  /// Status: the disk failed, the log is dead.
  virtual Result<bool> Durable(uint64_t ticket) = 0;
};

}  // namespace weir
