#pragma once
// What both backends do to open a task's state: compare what the images hold with what the task
// declares, then open the store and put the hot tables over it. P.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "state/memory_store.h"

namespace weir::state {

using OpenStore = std::function<Result<std::unique_ptr<ColdStore>>(
    std::span<const RowCodec> codecs, std::span<const RestoredImage> restored,
    const ImageView& view)>;

Result<std::unique_ptr<TaskState>> OpenTaskState(Env& env, std::string_view backend,
                                                 size_t eviction_buffer_bytes,
                                                 const TaskStateSpec& spec,
                                                 std::span<const StateImage> restored,
                                                 const OpenStore& open);

}  // namespace weir::state
