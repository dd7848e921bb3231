#pragma once
// The memory backend's ColdStore: an ordered map per state. Its image is one file of all rows,
// written anew each time. P; a mutex guards the maps, held for one batch of reads or one row
// written. Format of the file: docs/formats/snapshot-image.md.

#include <memory>

#include "engine/base/env.h"
#include "state/cold_store.h"

namespace weir::state {

/// `codecs` must outlive the store. Rows of `restored` outside of the task's key groups are left
/// out; `states[i]` is the number of the task's state for state i of that image, -1: none.
struct RestoredImage {
  const StateImage* image = nullptr;
  GroupRange groups;  // of the image that are wanted
  std::vector<int> states;
};
Result<std::unique_ptr<ColdStore>> OpenMemoryStore(Env& env, const TaskStateSpec& spec,
                                                   std::span<const RowCodec> codecs,
                                                   std::span<const RestoredImage> restored);

}  // namespace weir::state
