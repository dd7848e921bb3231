#include "state/backend.h"

#include <algorithm>

#include "state/hot_state.h"
#include "state/image.h"
#include "state/rocksdb_store.h"

namespace weir::state {
namespace {

std::string NameOf(const std::string& node, const StateSpec& spec) {
  return "state \"" + spec.name + "\" of node \"" + node + "\"";
}

Status Differs(const TaskStateEntry& entry, const std::string& what, const std::string& saved,
               const std::string& declared) {
  return {Code::kIncompatible, NameOf(entry.node_id, entry.spec) + ": " + what + " is " + declared +
                                   ", the snapshot has " + saved};
}

std::string TypesToString(const std::vector<Type>& types) {
  std::string text;
  for (const Type& type : types) text += (text.empty() ? "(" : ", ") + type.ToString();
  return text.empty() ? "()" : text + ")";
}

Status Compare(const TaskStateEntry& entry, const StateDescription& saved) {
  const StateSpec& spec = entry.spec;
  if (spec.kind != saved.spec.kind) {
    return Differs(entry, "kind", std::to_string(static_cast<int>(saved.spec.kind)),
                   std::to_string(static_cast<int>(spec.kind)));
  }
  if (spec.row != saved.spec.row)
    return Differs(entry, "row", saved.spec.row.ToString(), spec.row.ToString());
  if (entry.key_types != saved.key_types)
    return Differs(entry, "key", TypesToString(saved.key_types), TypesToString(entry.key_types));
  if (spec.namespaced != saved.spec.namespaced)
    return Differs(entry, "namespaced", saved.spec.namespaced ? "true" : "false",
                   spec.namespaced ? "true" : "false");
  if (spec.meaning != saved.spec.meaning)
    return Differs(entry, "meaning", saved.spec.meaning, spec.meaning);
  return Status::Ok();
}

/// The view that the images agree on, for the task's groups.
ImageView ViewOf(const TaskStateSpec& spec, const std::vector<ImageDescription>& images) {
  ImageView view;
  view.groups = spec.groups;
  const size_t groups = size_t{spec.groups.last.value} - spec.groups.first.value + 1;
  bool first = true;
  for (const ImageDescription& image : images) {
    view.watermark = first ? image.watermark.us : std::min(view.watermark, image.watermark.us);
    first = false;
  }
  for (const TaskStateEntry& entry : spec.states) {
    StateView& state = view.states.emplace_back();
    view.ttls.push_back(entry.spec.ttl);
    state.horizons.assign(groups, INT64_MIN);
    if (entry.spec.kind == StateKind::kLog) state.expired.assign(groups, INT64_MIN);
    for (const ImageDescription& image : images) {
      for (const StateDescription& saved : image.states) {
        if (saved.node_id != entry.node_id || saved.spec.name != entry.spec.name) continue;
        for (uint32_t group = image.groups.first.value; group <= image.groups.last.value; ++group) {
          if (!spec.groups.Contains({static_cast<uint16_t>(group)})) continue;
          const size_t from = size_t{group} - image.groups.first.value,
                       to = size_t{group} - spec.groups.first.value;
          if (!saved.horizons.empty()) state.horizons[to] = saved.horizons[from];
          if (!saved.expired.empty() && !state.expired.empty())
            state.expired[to] = saved.expired[from];
        }
      }
    }
  }
  return view;
}

}  // namespace

Result<std::unique_ptr<TaskState>> OpenTaskState(Env& env, std::string_view backend,
                                                 size_t eviction_buffer_bytes,
                                                 const TaskStateSpec& spec,
                                                 std::span<const StateImage> restored,
                                                 const OpenStore& open) {
  WEIR_CHECK(spec.hot != nullptr);
  WEIR_CHECK(spec.groups.first <= spec.groups.last && spec.groups.last.value < spec.key_groups);
  std::vector<ImageDescription> images;
  std::vector<RestoredImage> parts;
  for (const StateImage& image : restored) {
    WEIR_ASSIGN(ImageDescription description, DescribeImage(image));
    if (description.backend != backend) {
      return Status(Code::kIncompatible, "the snapshot was written by the state backend \"" +
                                             description.backend + "\", the job runs with \"" +
                                             std::string(backend) +
                                             "\": set state.backend to the former");
    }
    if (description.key_groups != spec.key_groups) {
      return Status(Code::kIncompatible,
                    "the snapshot has " + std::to_string(description.key_groups) +
                        " key groups, the job " + std::to_string(spec.key_groups) +
                        ": the number is fixed for the life of the state");
    }
    RestoredImage part;
    part.image = &image;
    part.groups = {std::max(description.groups.first, spec.groups.first),
                   std::min(description.groups.last, spec.groups.last)};
    if (part.groups.first > part.groups.last) continue;
    for (const StateDescription& saved : description.states) {
      int into = -1;
      for (size_t i = 0; i < spec.states.size(); ++i) {
        if (spec.states[i].node_id != saved.node_id || spec.states[i].spec.name != saved.spec.name)
          continue;
        WEIR_TRY(Compare(spec.states[i], saved));
        into = static_cast<int>(i);
      }
      part.states.push_back(into);
    }
    parts.push_back(std::move(part));
    images.push_back(std::move(description));
  }
  std::vector<RowCodec> codecs;
  codecs.reserve(spec.states.size());
  for (const TaskStateEntry& entry : spec.states)
    codecs.emplace_back(entry.spec.kind, entry.spec.row);
  WEIR_ASSIGN(std::unique_ptr<ColdStore> store, open(codecs, parts, ViewOf(spec, images)));
  auto lower = std::make_shared<Lower>(env, std::move(codecs), std::move(store), spec.wake);
  auto state = std::make_unique<HotState>(spec, std::string(backend), eviction_buffer_bytes,
                                          std::move(lower));
  state->Restore(images);
  return std::unique_ptr<TaskState>(std::move(state));
}

namespace {

class MemoryBackend final : public StateBackend {
 public:
  MemoryBackend(Env& env, MemoryOptions options) : env_(env), options_(options) {}
  Result<std::unique_ptr<TaskState>> Open(const TaskStateSpec& spec,
                                          std::span<const StateImage> restored) override {
    return OpenTaskState(
        env_, name(), options_.eviction_buffer_bytes, spec, restored,
        [&](std::span<const RowCodec> codecs, std::span<const RestoredImage> parts,
            const ImageView&) { return OpenMemoryStore(env_, spec, codecs, parts); });
  }
  std::string_view name() const override { return "memory"; }

 private:
  Env& env_;
  const MemoryOptions options_;
};

class RocksdbBackend final : public StateBackend {
 public:
  RocksdbBackend(Env& env, RocksdbOptions options)
      : env_(env), options_(options), shared_(std::make_shared<RocksdbShared>(env, options)) {}
  Result<std::unique_ptr<TaskState>> Open(const TaskStateSpec& spec,
                                          std::span<const StateImage> restored) override {
    return OpenTaskState(env_, name(), options_.eviction_buffer_bytes, spec, restored,
                         [&](std::span<const RowCodec> codecs, std::span<const RestoredImage> parts,
                             const ImageView& view) {
                           return OpenRocksdbStore(shared_, spec, codecs, parts, view);
                         });
  }
  std::string_view name() const override { return "rocksdb"; }

 private:
  Env& env_;
  const RocksdbOptions options_;
  const std::shared_ptr<RocksdbShared> shared_;
};

}  // namespace

Result<std::unique_ptr<StateBackend>> MakeRocksdbBackend(Env& env, RocksdbOptions options) {
  if (options.background_threads < 2) {
    return Status(Code::kInvalidArgument, "RocksDB needs at least 2 background threads, not " +
                                              std::to_string(options.background_threads));
  }
  return std::unique_ptr<StateBackend>(std::make_unique<RocksdbBackend>(env, options));
}

std::unique_ptr<StateBackend> MakeMemoryBackend(Env& env, MemoryOptions options) {
  return std::make_unique<MemoryBackend>(env, options);
}

}  // namespace weir::state
