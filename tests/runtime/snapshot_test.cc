#include "engine/runtime/snapshot.h"

#include <gtest/gtest.h>

#include "tests/runtime/test_job.h"

namespace weir::runtime {
namespace {

TaskSnapshot Full() {
  TaskSnapshot snapshot;
  snapshot.task = {3, {7}};
  snapshot.groups = {{10}, {19}};
  snapshot.finished = true;
  snapshot.watermarks = {{"a", {-5}}, {"b", EventTime::Max()}};
  snapshot.buffered = {{"a", {{10, 42}, {11, 1}}}};
  snapshot.lists = {{"a", {2}, {"item", std::string("\0x", 2)}}};
  snapshot.splits = {
      {"src", {{.id = "t-0", .position = "17", .max_ts = {9}, .idle = true, .begun = false}}}};
  const std::vector<TestRow> rows = {{1, 2, 3}, {4, 5, 6}};
  snapshot.in_flight = {{"a", {1}, MakeTestBatch(rows, TestSchema())}};
  snapshot.lanes = {{"sink", {{4}, "{\"open\":1}"}, Guarantee::kExactlyOnce}};
  StateImage image;
  image.groups = {{10}, {19}};
  image.files = {{.name = "shared/ab/x.sst",
                  .bytes = 123,
                  .hash = "ff",
                  .local = "",
                  .shared = true,
                  .original = "000001.sst"}};
  image.metadata = "meta";
  snapshot.image = image;
  snapshot.changes = 99;
  return snapshot;
}

TEST(TaskSnapshot, ComesBackAsItWasWritten) {
  std::string text;
  EncodeTaskSnapshot(Full(), text);
  const Result<TaskSnapshot> read = DecodeTaskSnapshot(text);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  std::string again;
  EncodeTaskSnapshot(*read, again);
  EXPECT_EQ(again, text);
  EXPECT_EQ(read->task, (TaskKey{3, {7}}));
  EXPECT_TRUE(read->finished);
  EXPECT_EQ(read->watermarks.at("a"), EventTime{-5});
  EXPECT_EQ(read->buffered.at("a").at(10), 42U);
  EXPECT_EQ(read->lists[0].items[1], std::string("\0x", 2));
  EXPECT_EQ(read->splits.at("src")[0].max_ts, EventTime{9});
  EXPECT_TRUE(read->splits.at("src")[0].idle);
  EXPECT_FALSE(read->splits.at("src")[0].begun);
  EXPECT_EQ(RowsOf(read->in_flight[0].batch), (std::vector<TestRow>{{1, 2, 3}, {4, 5, 6}}));
  EXPECT_EQ(read->lanes[0].lane.handle, "{\"open\":1}");
  EXPECT_EQ(read->image->files[0].original, "000001.sst");
}

TEST(TaskSnapshot, FindsEveryFlippedBitAndEveryCut) {
  std::string text;
  EncodeTaskSnapshot(Full(), text);
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string damaged = text;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_FALSE(DecodeTaskSnapshot(damaged).ok()) << "bit " << bit;
  }
  for (size_t size = 0; size < text.size(); ++size)
    ASSERT_FALSE(DecodeTaskSnapshot(std::string_view(text).substr(0, size)).ok()) << size;
  EXPECT_EQ(DecodeTaskSnapshot(text + "x").status().code(), Code::kCorruption);
}

}  // namespace
}  // namespace weir::runtime
