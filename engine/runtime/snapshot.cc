#include "engine/runtime/snapshot.h"

#include <limits>
#include <utility>

#include "engine/base/bytes.h"
#include "engine/data/batch_codec.h"

namespace weir::runtime {
namespace {

constexpr std::string_view kMagic = "WSNP";
constexpr uint32_t kFormat = 1;

enum class Block : uint8_t {
  kTask = 1,
  kTime,
  kBuffered,
  kLists,
  kSplits,
  kInFlight,
  kLanes,
  kImage,
  kEnd
};

void WriteBlock(Block block, const std::string& body, std::string& out) {
  ByteWriter writer(out);
  writer.Fixed(static_cast<uint8_t>(block));
  writer.String(body);
  writer.Fixed(Crc32c(body, Crc32c(std::string_view(reinterpret_cast<const char*>(&block), 1))));
}

Status Damaged(std::string_view what) {
  return Status(Code::kCorruption, "task snapshot: " + std::string(what));
}

/// Makes `in` fail: what it holds cannot be meant.
void Refuse(ByteReader& in) { in.Raw(in.left() + 1); }

/// A number of the width of T; a larger one would be taken for another task or key group.
template <class T>
T Number(ByteReader& in) {
  const uint64_t value = in.Varint();
  if (value > std::numeric_limits<T>::max()) Refuse(in);
  return static_cast<T>(value);
}

/// A count that the bytes left could hold: damaged counts never make us allocate.
uint64_t Count(ByteReader& in) {
  const uint64_t count = in.Varint();
  return count <= in.left() ? count : (Refuse(in), 0);
}

void WriteTask(const TaskSnapshot& snapshot, std::string& out) {
  ByteWriter writer(out);
  writer.Varint(snapshot.task.chain);
  writer.Varint(snapshot.task.task.value);
  writer.Varint(snapshot.groups.first.value);
  writer.Varint(snapshot.groups.last.value);
  writer.Fixed(static_cast<uint8_t>(snapshot.finished ? 1 : 0));
  writer.Varint(snapshot.changes);
}
void ReadTask(ByteReader& in, TaskSnapshot& snapshot) {
  snapshot.task.chain = Number<uint32_t>(in);
  snapshot.task.task = {Number<uint16_t>(in)};
  snapshot.groups.first = {Number<uint16_t>(in)};
  snapshot.groups.last = {Number<uint16_t>(in)};
  snapshot.finished = in.Fixed<uint8_t>() != 0;
  snapshot.changes = in.Varint();
}

void WriteTime(const TaskSnapshot& snapshot, std::string& out) {
  ByteWriter writer(out);
  writer.Varint(snapshot.watermarks.size());
  for (const auto& [node, time] : snapshot.watermarks) {
    writer.String(node);
    writer.Fixed(time.us);
  }
}
void ReadTime(ByteReader& in, TaskSnapshot& snapshot) {
  for (uint64_t count = Count(in); count != 0 && in.ok(); --count) {
    const std::string node(in.String());
    snapshot.watermarks[node] = {in.Fixed<int64_t>()};
  }
}

void WriteBuffered(const TaskSnapshot& snapshot, std::string& out) {
  ByteWriter writer(out);
  writer.Varint(snapshot.buffered.size());
  for (const auto& [node, groups] : snapshot.buffered) {
    writer.String(node);
    writer.Varint(groups.size());
    for (const auto& [group, rows] : groups) {
      writer.Varint(group);
      writer.Varint(rows);
    }
  }
}
void ReadBuffered(ByteReader& in, TaskSnapshot& snapshot) {
  for (uint64_t count = Count(in); count != 0 && in.ok(); --count) {
    std::map<uint16_t, uint64_t>& groups = snapshot.buffered[std::string(in.String())];
    for (uint64_t group_count = Count(in); group_count != 0 && in.ok(); --group_count) {
      const auto group = Number<uint16_t>(in);
      groups[group] = in.Varint();
    }
  }
}

void WriteLists(const TaskSnapshot& snapshot, std::string& out) {
  ByteWriter writer(out);
  writer.Varint(snapshot.lists.size());
  for (const ListItems& list : snapshot.lists) {
    writer.String(list.node_id);
    writer.Varint(list.state.value);
    writer.Varint(list.items.size());
    for (const std::string& item : list.items) writer.String(item);
  }
}
void ReadLists(ByteReader& in, TaskSnapshot& snapshot) {
  for (uint64_t count = Count(in); count != 0 && in.ok(); --count) {
    ListItems& list = snapshot.lists.emplace_back();
    list.node_id = in.String();
    list.state = {Number<uint16_t>(in)};
    for (uint64_t items = Count(in); items != 0 && in.ok(); --items)
      list.items.emplace_back(in.String());
  }
}

void WriteSplits(const TaskSnapshot& snapshot, std::string& out) {
  ByteWriter writer(out);
  writer.Varint(snapshot.splits.size());
  for (const auto& [node, splits] : snapshot.splits) {
    writer.String(node);
    writer.Varint(splits.size());
    for (const SplitState& split : splits) {
      writer.String(split.id);
      writer.String(split.position);
      writer.Fixed(split.max_ts.us);
      writer.Fixed(static_cast<uint8_t>((split.idle ? 1 : 0) | (split.begun ? 2 : 0)));
    }
  }
}
void ReadSplits(ByteReader& in, TaskSnapshot& snapshot) {
  for (uint64_t count = Count(in); count != 0 && in.ok(); --count) {
    std::vector<SplitState>& splits = snapshot.splits[std::string(in.String())];
    for (uint64_t split_count = Count(in); split_count != 0 && in.ok(); --split_count) {
      SplitState& split = splits.emplace_back();
      split.id = in.String();
      split.position = in.String();
      split.max_ts = {in.Fixed<int64_t>()};
      const auto flags = in.Fixed<uint8_t>();
      split.idle = (flags & 1) != 0;
      split.begun = (flags & 2) != 0;
    }
  }
}

void WriteInFlight(const TaskSnapshot& snapshot, std::string& out) {
  ByteWriter writer(out);
  writer.Varint(snapshot.in_flight.size());
  for (const InFlightRows& rows : snapshot.in_flight) {
    writer.String(rows.node_id);
    writer.Varint(rows.port.value);
    std::string batch;
    EncodeBatch(rows.batch, batch);
    writer.String(batch);
  }
}
Status ReadInFlight(ByteReader& in, TaskSnapshot& snapshot) {
  for (uint64_t count = Count(in); count != 0 && in.ok(); --count) {
    InFlightRows rows;
    rows.node_id = in.String();
    rows.port = {Number<uint16_t>(in)};
    const std::string_view batch = in.String();
    if (!in.ok()) break;
    WEIR_ASSIGN(rows.batch, DecodeBatch(batch));
    snapshot.in_flight.push_back(std::move(rows));
  }
  return Status::Ok();
}

void WriteLanes(const TaskSnapshot& snapshot, std::string& out) {
  ByteWriter writer(out);
  writer.Varint(snapshot.lanes.size());
  for (const NodeLane& lane : snapshot.lanes) {
    writer.String(lane.node_id);
    writer.Varint(lane.lane.lane.value);
    writer.String(lane.lane.handle);
    writer.Fixed(static_cast<uint8_t>(lane.guarantee));
  }
}
void ReadLanes(ByteReader& in, TaskSnapshot& snapshot) {
  for (uint64_t count = Count(in); count != 0 && in.ok(); --count) {
    NodeLane& lane = snapshot.lanes.emplace_back();
    lane.node_id = in.String();
    lane.lane.lane = {Number<uint16_t>(in)};
    lane.lane.handle = in.String();
    lane.guarantee = static_cast<Guarantee>(in.Fixed<uint8_t>());
    if (lane.guarantee > Guarantee::kExactlyOnce) Refuse(in);
  }
}

void WriteImage(const StateImage& image, std::string& out) {
  ByteWriter writer(out);
  writer.Varint(image.format);
  writer.Varint(image.groups.first.value);
  writer.Varint(image.groups.last.value);
  writer.Varint(image.files.size());
  for (const ImageFile& file : image.files) {
    writer.String(file.name);
    writer.Varint(file.bytes);
    writer.String(file.hash);
    writer.Fixed(static_cast<uint8_t>(file.shared ? 1 : 0));
    writer.String(file.original);
  }
  writer.String(image.metadata);
}
StateImage ReadImage(ByteReader& in) {
  StateImage image;
  image.format = Number<uint32_t>(in);
  image.groups.first = {Number<uint16_t>(in)};
  image.groups.last = {Number<uint16_t>(in)};
  for (uint64_t count = Count(in); count != 0 && in.ok(); --count) {
    ImageFile& file = image.files.emplace_back();
    file.name = in.String();
    file.bytes = in.Varint();
    file.hash = in.String();
    file.shared = in.Fixed<uint8_t>() != 0;
    file.original = in.String();
  }
  image.metadata = in.String();
  return image;
}

}  // namespace

void EncodeTaskSnapshot(const TaskSnapshot& snapshot, std::string& out) {
  ByteWriter writer(out);
  writer.Raw(kMagic);
  writer.Fixed(kFormat);
  using Write = void (*)(const TaskSnapshot&, std::string&);
  static constexpr std::pair<Block, Write> kBlocks[] = {
      {Block::kTask, WriteTask},   {Block::kTime, WriteTime},     {Block::kBuffered, WriteBuffered},
      {Block::kLists, WriteLists}, {Block::kSplits, WriteSplits}, {Block::kInFlight, WriteInFlight},
      {Block::kLanes, WriteLanes}};
  for (const auto& [block, write] : kBlocks) {
    std::string body;
    write(snapshot, body);
    WriteBlock(block, body, out);
  }
  if (snapshot.image) {
    std::string body;
    WriteImage(*snapshot.image, body);
    WriteBlock(Block::kImage, body, out);
  }
  WriteBlock(Block::kEnd, {}, out);
}

Result<TaskSnapshot> DecodeTaskSnapshot(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.Raw(kMagic.size()) != kMagic) return Damaged("it does not begin as one");
  const auto format = in.Fixed<uint32_t>();
  if (format != kFormat)
    return Status(Code::kIncompatible, "task snapshot: format " + std::to_string(format) +
                                           " is not known; this version reads format " +
                                           std::to_string(kFormat));
  TaskSnapshot snapshot;
  Block last{};
  while (true) {
    const auto block = static_cast<Block>(in.Fixed<uint8_t>());
    const std::string_view body = in.String();
    const auto crc = in.Fixed<uint32_t>();
    if (!in.ok()) return Damaged("it is cut off");
    if (crc != Crc32c(body, Crc32c(std::string_view(reinterpret_cast<const char*>(&block), 1))))
      return Damaged("a checksum does not match");
    // One behind the other; only the image may be missing.
    const bool follows = static_cast<int>(block) == static_cast<int>(last) + 1 ||
                         (block == Block::kEnd && last == Block::kLanes);
    if (block <= Block::kEnd && !follows)
      return Damaged("block " + std::to_string(static_cast<int>(block)) + " follows block " +
                     std::to_string(static_cast<int>(last)));
    last = block;
    ByteReader reader(body);
    switch (block) {
      case Block::kTask:
        ReadTask(reader, snapshot);
        break;
      case Block::kTime:
        ReadTime(reader, snapshot);
        break;
      case Block::kBuffered:
        ReadBuffered(reader, snapshot);
        break;
      case Block::kLists:
        ReadLists(reader, snapshot);
        break;
      case Block::kSplits:
        ReadSplits(reader, snapshot);
        break;
      case Block::kInFlight:
        WEIR_TRY(ReadInFlight(reader, snapshot));
        break;
      case Block::kLanes:
        ReadLanes(reader, snapshot);
        break;
      case Block::kImage:
        snapshot.image = ReadImage(reader);
        break;
      case Block::kEnd:
        if (in.left() != 0 || !body.empty()) return Damaged("bytes follow its end");
        return snapshot;
      default:
        return Damaged("block " + std::to_string(static_cast<int>(block)) + " is not known");
    }
    if (!reader.ok() || reader.left() != 0)
      return Damaged("block " + std::to_string(static_cast<int>(block)) +
                     " does not hold what it says");
  }
}

}  // namespace weir::runtime
