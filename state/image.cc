#include "state/image.h"

#include "engine/base/bytes.h"
#include "engine/base/content_hash.h"
#include "engine/data/batch_codec.h"

namespace weir::state {
namespace {

constexpr uint32_t kImageFormat = 1;
constexpr uint64_t kStatesMax = 65536;

/// Long runs of equal numbers: horizons are equal in most groups.
void PutRuns(const std::vector<int64_t>& values, ByteWriter& writer) {
  writer.Varint(values.size());
  for (size_t at = 0; at < values.size();) {
    size_t end = at + 1;
    while (end < values.size() && values[end] == values[at]) ++end;
    writer.Varint(end - at);
    writer.Fixed(values[at]);
    at = end;
  }
}

std::vector<int64_t> TakeRuns(ByteReader& reader, size_t size_max, bool& good) {
  std::vector<int64_t> values;
  const uint64_t size = reader.Varint();
  if (size > size_max) good = false;
  while (good && reader.ok() && values.size() < size) {
    const uint64_t run = reader.Varint();
    const auto value = reader.Fixed<int64_t>();
    if (run == 0 || run > size - values.size()) good = false;
    if (good && reader.ok()) values.insert(values.end(), run, value);
  }
  return values;
}

void PutSchema(const Schema& schema, ByteWriter& writer) {
  std::string text;
  EncodeSchema(schema, text);
  writer.String(text);
}

Schema OfTypes(const std::vector<Type>& types) {
  std::vector<Field> fields;
  fields.reserve(types.size());
  for (const Type& type : types)
    fields.push_back({"key" + std::to_string(fields.size()), type, true});
  return Schema(std::move(fields));
}

void EncodeState(const StateDescription& state, ByteWriter& writer) {
  writer.String(state.node_id);
  writer.String(state.spec.name);
  writer.Fixed(static_cast<uint8_t>(state.spec.kind));
  PutSchema(state.spec.row, writer);
  writer.Fixed<uint8_t>(state.spec.namespaced ? 1 : 0);
  writer.Fixed<int64_t>(state.spec.ttl.has_value() ? state.spec.ttl->us : -1);
  writer.Fixed(static_cast<uint8_t>(state.spec.spread));
  writer.String(state.spec.meaning);
  PutSchema(OfTypes(state.key_types), writer);
  writer.Varint(state.namespaces.size());
  for (const auto& [ns, rows] : state.namespaces) {
    writer.Fixed(ns.value);
    writer.Varint(rows);
  }
  PutRuns(state.horizons, writer);
  PutRuns(state.expired, writer);
  writer.Varint(state.next_number);
  writer.Varint(state.cursors.size());
  for (const TimerCursor& cursor : state.cursors) {
    writer.String(cursor.timer);
    writer.String(cursor.cursor);
  }
}

Result<StateDescription> DecodeState(ByteReader& reader, size_t groups) {
  StateDescription state;
  bool good = true;
  state.node_id = reader.String();
  state.spec.name = reader.String();
  const auto kind = reader.Fixed<uint8_t>();
  const std::string_view row = reader.String();
  state.spec.namespaced = reader.Fixed<uint8_t>() != 0;
  const auto ttl = reader.Fixed<int64_t>();
  if (ttl >= 0) state.spec.ttl = Duration{ttl};
  const auto spread = reader.Fixed<uint8_t>();
  state.spec.meaning = reader.String();
  const std::string_view key = reader.String();
  if (!reader.ok() || kind > static_cast<uint8_t>(StateKind::kList) ||
      spread > static_cast<uint8_t>(Spread::kUnion)) {
    return Status(Code::kCorruption, "state metadata ends early or names an unknown kind of state");
  }
  state.spec.kind = static_cast<StateKind>(kind);
  state.spec.spread = static_cast<Spread>(spread);
  WEIR_ASSIGN(state.spec.row, DecodeSchema(row));
  WEIR_ASSIGN(const Schema keys, DecodeSchema(key));
  for (const Field& field : keys.fields()) state.key_types.push_back(field.type);
  const uint64_t namespaces = reader.Varint();
  for (uint64_t i = 0; i < namespaces && reader.ok(); ++i) {
    const Namespace ns{reader.Fixed<int64_t>()};
    state.namespaces.emplace_back(ns, reader.Varint());
  }
  state.horizons = TakeRuns(reader, groups, good);
  state.expired = TakeRuns(reader, groups, good);
  state.next_number = reader.Varint();
  const uint64_t cursors = reader.Varint();
  for (uint64_t i = 0; i < cursors && reader.ok(); ++i) {
    TimerCursor cursor;
    cursor.timer = reader.String();
    cursor.cursor = reader.String();
    state.cursors.push_back(std::move(cursor));
  }
  if (!reader.ok() || !good)
    return Status(Code::kCorruption, "state metadata ends early or counts more than it has");
  return state;
}

}  // namespace

void EncodeMetadata(const ImageDescription& image, std::string& out) {
  const size_t begin = out.size();
  ByteWriter writer(out);
  writer.Fixed(kImageFormat);
  writer.String(image.backend);
  writer.Fixed(image.checkpoint.value);
  writer.Fixed(image.groups.first.value);
  writer.Fixed(image.groups.last.value);
  writer.Fixed(image.key_groups);
  writer.Fixed(image.watermark.us);
  writer.Varint(image.states.size());
  for (const StateDescription& state : image.states) EncodeState(state, writer);
  writer.Fixed(Crc32c(std::string_view(out).substr(begin)));
}

Result<ImageDescription> DecodeMetadata(std::string_view bytes) {
  if (bytes.size() < 8)
    return Status(Code::kCorruption, "state metadata is shorter than its header");
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  ByteReader trailer(bytes.substr(body.size()));
  if (trailer.Fixed<uint32_t>() != Crc32c(body))
    return Status(Code::kCorruption, "state metadata does not match its checksum");
  ByteReader reader(body);
  const auto format = reader.Fixed<uint32_t>();
  if (format != kImageFormat) {
    return Status(Code::kIncompatible, "state metadata has format " + std::to_string(format) +
                                           ", this version reads " + std::to_string(kImageFormat));
  }
  ImageDescription image;
  image.backend = reader.String();
  image.checkpoint = {reader.Fixed<uint64_t>()};
  image.groups.first = {reader.Fixed<uint16_t>()};
  image.groups.last = {reader.Fixed<uint16_t>()};
  image.key_groups = reader.Fixed<uint32_t>();
  image.watermark = {reader.Fixed<int64_t>()};
  const uint64_t states = reader.Varint();
  if (!reader.ok() || states > kStatesMax || image.groups.last < image.groups.first ||
      image.groups.last.value >= image.key_groups) {
    return Status(Code::kCorruption, "state metadata has a damaged header");
  }
  const size_t groups = size_t{image.groups.last.value} - image.groups.first.value + 1;
  for (uint64_t i = 0; i < states; ++i) {
    WEIR_ASSIGN(StateDescription state, DecodeState(reader, groups));
    if (!state.horizons.empty() && state.horizons.size() != groups)
      return Status(Code::kCorruption, "state metadata has a horizon missing");
    image.states.push_back(std::move(state));
  }
  if (reader.left() != 0) return Status(Code::kCorruption, "state metadata goes on behind its end");
  return image;
}

Result<ImageDescription> DescribeImage(const StateImage& image) {
  return DecodeMetadata(image.metadata);
}

Status VerifyImageFile(Env& env, const ImageFile& file, const Path& local) {
  WEIR_ASSIGN(const DirectoryEntry found, env.Stat(local));
  if (found.bytes != file.bytes) {
    return Status(Code::kCorruption, "\"" + file.name + "\": length " +
                                         std::to_string(found.bytes) + " in \"" + local +
                                         "\", expected " + std::to_string(file.bytes));
  }
  WEIR_ASSIGN(const HashedFile content, HashFile(env, local));
  const std::string hash = content.hash.Hex();
  if (hash != file.hash) {
    return Status(Code::kCorruption, "\"" + file.name + "\": content hash " + hash + " in \"" +
                                         local + "\", expected " + file.hash);
  }
  return Status::Ok();
}

}  // namespace weir::state
