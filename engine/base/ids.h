#pragma once
// Strong ids: one-field structs, so that a key group is never passed for a task. Plain values,
// ordered, hashable; printed as their number.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ostream>

namespace weir {

template <class Tag, class T>
struct StrongId {
  using Value = T;
  T value = 0;
  friend constexpr auto operator<=>(StrongId, StrongId) = default;
  friend std::ostream& operator<<(std::ostream& out, StrongId id) { return out << +id.value; }
};

using NodeIndex =
    StrongId<struct NodeIndexTag, uint16_t>;  // position of a node in the physical plan
using StateIndex =
    StrongId<struct StateIndexTag, uint16_t>;  // position of a state among those a node declares
using FieldIndex =
    StrongId<struct FieldIndexTag, uint16_t>;  // position of a field in a state's row
using ColumnIndex = StrongId<struct ColumnIndexTag, uint16_t>;
using Port = StrongId<struct PortTag, uint16_t>;            // input port, or output port: see below
using TaskIndex = StrongId<struct TaskIndexTag, uint16_t>;  // 0 ... parallelism - 1 of a chain
using LaneId = StrongId<struct LaneIdTag, uint16_t>;
using KeyGroup = StrongId<struct KeyGroupTag, uint16_t>;
using SplitIndex = StrongId<struct SplitIndexTag, uint32_t>;  // position of a split in its source
                                                              // task, stable for the attempt
using CheckpointId = StrongId<struct CheckpointIdTag, uint64_t>;
using Attempt = StrongId<struct AttemptTag, uint64_t>;
using Namespace = StrongId<struct NamespaceTag, int64_t>;  // a window's slice by its start, or 0
using ListId = StrongId<struct ListIdTag, uint64_t>;
using RequestId = StrongId<struct RequestIdTag, uint64_t>;

/// Output ports: 0 main, 1 late, 2 errors, then a node's own (routes) from 3. Input ports count
/// from 0 in the order of `inputs`.
inline constexpr Port kMain{0};
inline constexpr Port kLate{1};
inline constexpr Port kErrors{2};
inline constexpr Port kFirstRoute{3};

/// In a list of namespaces: nothing is looked up or written for this key.
inline constexpr Namespace kSkip{INT64_MIN};

/// Key groups [first, last], both included.
struct GroupRange {
  KeyGroup first, last;
  constexpr bool Contains(KeyGroup group) const { return group >= first && group <= last; }
  friend constexpr bool operator==(GroupRange, GroupRange) = default;
};

}  // namespace weir

template <class Tag, class T>
struct std::hash<weir::StrongId<Tag, T>> {
  size_t operator()(weir::StrongId<Tag, T> id) const noexcept { return std::hash<T>()(id.value); }
};
