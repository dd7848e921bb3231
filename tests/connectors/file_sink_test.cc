#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/base/env_posix.h"
#include "engine/base/json.h"
#include "engine/runtime/segment_log.h"
#include "tests/connectors/kafka_rig.h"

namespace weir {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

/// One attempt of a one-task sink over a directory.
struct FileSinkRun {
  FileSinkRun(Env& with, const std::string& directory, uint64_t attempt, const std::string& more,
              const SchemaRef& schema)
      : env(with),
        node(MakeNode("file_sink",
                      R"({"path": ")" + directory + R"(", "format": {"type": "json"})" + more + "}",
                      {.input = schema})) {
    EXPECT_EQ(node->Messages(), "");
    context = std::make_unique<TestSinkContext>(
        env, nullptr, node->config->MakeEncoder(schema).value(), LaneId{0});
    context->info().attempt = Attempt{attempt};
    context->SetSegments(runtime::MakeFileSegmentLog(*context));
    const SinkParts parts =
        std::get<Factory<SinkParts>>(node->config->type().create)(*node->config, node->shape)
            .value();
    EXPECT_EQ(parts.guarantee, Guarantee::kExactlyOnce);
    sink = parts.sink();
    protocol = parts.protocol();
  }
  Status Open(const std::string& handle, uint64_t head) {
    const LaneState restored{LaneId{0}, handle};
    WEIR_TRY(sink->Open(*context, std::span(&restored, 1)));
    WEIR_TRY(protocol->Open(*context));
    protocol->Recover(restored, CheckpointId{head});
    return Drain();
  }
  Status Drain() {
    Status status;
    EXPECT_TRUE(WaitFor([&] {
      const Result<Step> step = protocol->Run();
      status = step.status();
      return !step.ok() || step->kind == Step::kDone;
    }));
    return status;
  }
  void Write(const SchemaRef& schema, int first, int count) {
    RowBuilder rows(schema, 100'000, size_t{1} << 30);
    for (int i = first; i < first + count; ++i) {
      rows.column(0).Append<int64_t>(i);
      if (schema->size() > 1) rows.column(1).AppendString(i % 2 == 0 ? "even" : "o/dd");
      rows.FinishRow();
    }
    RowErrors errors;
    const Result<Step> step = sink->Write(rows.Build(), errors);
    ASSERT_TRUE(step.ok());
    EXPECT_EQ(step->kind, Step::kDone);
  }
  std::string Prepare(uint64_t n) {
    sink->Prepare(CheckpointId{n});
    return AwaitPrepared(n);
  }
  std::string AwaitPrepared(uint64_t n) {
    std::string handle;
    EXPECT_TRUE(WaitFor([&] {
      const Result<std::optional<LaneState>> state = sink->Prepared(CheckpointId{n});
      EXPECT_TRUE(state.ok()) << state.status().ToString();
      if (state.ok() && state->has_value()) handle = (*state)->handle;
      return !state.ok() || state->has_value();
    }));
    return handle;
  }
  Status Commit(uint64_t n, const std::string& handle) {
    protocol->Commit(CheckpointId{n}, {LaneId{0}, handle});
    return Drain();
  }

  Env& env;
  std::unique_ptr<TestNode> node;
  std::unique_ptr<TestSinkContext> context;
  std::unique_ptr<Sink> sink;
  std::unique_ptr<SinkCommitProtocol> protocol;
};

/// A log whose files are not durable before the test says so.
class SlowDisk final : public SegmentLog {
 public:
  explicit SlowDisk(std::unique_ptr<SegmentLog> log) : log_(std::move(log)) {}
  void Open(const Path& path, uint64_t offset) override { log_->Open(path, offset); }
  Status Append(std::string_view bytes) override { return log_->Append(bytes); }
  uint64_t size() const override { return log_->size(); }
  uint64_t Sync() override { return log_->Sync(); }
  uint64_t Close() override { return log_->Close(); }
  Result<bool> Durable(uint64_t ticket) override {
    return done ? log_->Durable(ticket) : Result<bool>(false);
  }
  bool done = false;

 private:
  const std::unique_ptr<SegmentLog> log_;
};

class FileSinkTest : public ::testing::Test {
 protected:
  FileSinkTest() : directory_(fs::temp_directory_path() / ("weir-file-sink-" + UniqueTopic("t"))) {
    fs::create_directories(directory_);
  }
  ~FileSinkTest() override { fs::remove_all(directory_); }

  /// Ids in all visible files, sorted; hidden parts are not results.
  std::vector<int> Visible() const {
    std::vector<int> ids;
    for (const auto& entry : fs::recursive_directory_iterator(directory_)) {
      if (!entry.is_regular_file() || entry.path().filename().string().starts_with('.')) continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);)
        ids.push_back(Json::parse(line)["id"].get<int>());
    }
    std::ranges::sort(ids);
    return ids;
  }
  size_t Files(bool hidden) const {
    size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(directory_))
      count +=
          entry.is_regular_file() && entry.path().filename().string().starts_with('.') == hidden
              ? 1U
              : 0U;
    return count;
  }
  static std::vector<int> Range(int first, int end) {
    std::vector<int> ids;
    for (int i = first; i < end; ++i) ids.push_back(i);
    return ids;
  }

  const fs::path directory_;
  const std::unique_ptr<Env> env_ = MakePosixEnv(2);
  const SchemaRef schema_ = SchemaOf("id int64");
};

TEST_F(FileSinkTest, ShowsRowsOnlyWhenTheirCheckpointIsComplete) {
  FileSinkRun run(*env_, directory_.string(), 1, "", schema_);
  ASSERT_TRUE(run.Open("", 0).ok());
  run.Write(schema_, 0, 10);
  const std::string first = run.Prepare(1);
  run.Write(schema_, 10, 10);
  EXPECT_THAT(Visible(), IsEmpty());
  ASSERT_TRUE(run.Commit(1, first).ok());
  EXPECT_EQ(Visible(), Range(0, 10));
  ASSERT_TRUE(run.Commit(1, first).ok());  // may come twice
  const std::string second = run.Prepare(2);
  ASSERT_TRUE(run.Commit(2, second).ok());
  EXPECT_EQ(Visible(), Range(0, 20));
  EXPECT_EQ(Files(true), 0U);
  EXPECT_EQ(run.protocol->progress().confirmed, CheckpointId{2});
  const std::string empty = run.Prepare(3);
  EXPECT_EQ(empty, R"({"files":[]})");
}

TEST_F(FileSinkTest, CountsRowsOncePublishedAndBytesAsWaitingUntilTheyAreInACheckpoint) {
  for (const std::string more : {"", R"(, "partition_by": ["id"])"}) {
    const std::string directory = (directory_ / (more.empty() ? "plain" : "parted")).string();
    FileSinkRun run(*env_, directory, 1, more, schema_);
    ASSERT_TRUE(run.Open("", 0).ok());
    const auto committed = [&] { return run.protocol->progress().records_committed; };
    const auto waiting = [&] { return run.sink->progress().bytes_waiting; };
    run.Write(schema_, 0, 10);
    const std::string first = run.Prepare(1);
    EXPECT_EQ(committed(), 0U);
    ASSERT_TRUE(run.Commit(1, first).ok());
    ASSERT_TRUE(run.Commit(1, first).ok());  // may come twice
    EXPECT_EQ(committed(), 10U);
    run.Write(schema_, 10, 5);
    run.Prepare(2);
    run.sink->Abort(CheckpointId{2});
    EXPECT_EQ(committed(), 10U);
    EXPECT_GT(waiting(), 0U);
    ASSERT_TRUE(run.Commit(3, run.Prepare(3)).ok());
    EXPECT_EQ(committed(), 15U);
    EXPECT_EQ(waiting(), 0U);
  }
}

TEST_F(FileSinkTest, KeepsRowsOfAnAbortedCheckpointForTheNext) {
  FileSinkRun run(*env_, directory_.string(), 1, "", schema_);
  ASSERT_TRUE(run.Open("", 0).ok());
  run.Write(schema_, 0, 5);
  run.Prepare(1);
  run.sink->Abort(CheckpointId{1});
  run.Write(schema_, 5, 5);
  const std::string handle = run.Prepare(2);
  ASSERT_TRUE(run.Commit(2, handle).ok());
  EXPECT_EQ(Visible(), Range(0, 10));
  for (const auto& entry : fs::directory_iterator(directory_))
    EXPECT_THAT(entry.path().filename().string(), HasSubstr("node-u1-0-2-"));
}

TEST_F(FileSinkTest, RecoversFromEachPlaceWhereAnAttemptCanDie) {
  // 0: prepared, never complete · 1: complete, nothing renamed · 2: renamed too
  for (int died = 0; died < 3; ++died) {
    fs::remove_all(directory_);
    std::string handle;
    {
      FileSinkRun run(*env_, directory_.string(), 1, "", schema_);
      ASSERT_TRUE(run.Open("", 0).ok());
      run.Write(schema_, 0, 10);
      handle = run.Prepare(1);
      if (died == 2) {
        ASSERT_TRUE(run.Commit(1, handle).ok());
      }
      run.Write(schema_, 10, 7);  // of a checkpoint that never was
    }
    FileSinkRun run(*env_, directory_.string(), 2, "", schema_);
    const Status status = run.Open(died == 0 ? "" : handle, died == 0 ? 0 : 1);
    ASSERT_TRUE(status.ok()) << status.ToString();
    EXPECT_EQ(Visible(), died == 0 ? Range(0, 0) : Range(0, 10)) << died;
    EXPECT_EQ(Files(true), 0U) << "parts of the dead attempt remain";
    run.Write(schema_, died == 0 ? 0 : 10, died == 0 ? 20 : 10);
    const std::string next = run.Prepare(2);
    ASSERT_TRUE(run.Commit(2, next).ok());
    EXPECT_EQ(Visible(), Range(0, 20)) << died;
  }
}

TEST_F(FileSinkTest, FinishesALostCommitWithTheNextOne) {
  std::string second;
  {
    FileSinkRun run(*env_, directory_.string(), 1, "", schema_);
    ASSERT_TRUE(run.Open("", 0).ok());
    run.Write(schema_, 0, 10);
    run.Prepare(1);
    run.Write(schema_, 10, 10);
    second = run.Prepare(2);  // checkpoint 1 was completed, its notice got lost
  }
  FileSinkRun run(*env_, directory_.string(), 2, "", schema_);
  ASSERT_TRUE(run.Open(second, 2).ok());
  EXPECT_EQ(Visible(), Range(0, 20));
}

TEST_F(FileSinkTest, RefusesAHeadThatIsOlderThanItsFiles) {
  std::string first;
  {
    FileSinkRun run(*env_, directory_.string(), 1, "", schema_);
    ASSERT_TRUE(run.Open("", 0).ok());
    run.Write(schema_, 0, 10);
    first = run.Prepare(1);
    ASSERT_TRUE(run.Commit(1, first).ok());
    run.Write(schema_, 10, 10);
    ASSERT_TRUE(run.Commit(2, run.Prepare(2)).ok());
  }
  FileSinkRun run(*env_, directory_.string(), 2, "", schema_);
  const Status status = run.Open(first, 1);
  EXPECT_EQ(status.code(), Code::kMarkerAhead);
  EXPECT_EQ(Visible(), Range(0, 20));
}

TEST_F(FileSinkTest, NeverOverwritesAForeignFile) {
  FileSinkRun run(*env_, directory_.string(), 1, "", schema_);
  ASSERT_TRUE(run.Open("", 0).ok());
  run.Write(schema_, 0, 3);
  const std::string handle = run.Prepare(1);
  std::ofstream(directory_ / "node-u1-0-1-0.json") << "something else";
  EXPECT_EQ(run.Commit(1, handle).code(), Code::kOutputChanged);
}

TEST_F(FileSinkTest, RollsBySizeAndMakesADirectoryForEachValue) {
  FileSinkRun run(*env_, directory_.string(), 1, R"(, "roll": {"size": "1KiB"})", schema_);
  ASSERT_TRUE(run.Open("", 0).ok());
  for (int i = 0; i < 10; ++i) run.Write(schema_, i * 100, 100);
  ASSERT_TRUE(run.Commit(1, run.Prepare(1)).ok());
  EXPECT_EQ(Visible(), Range(0, 1000));
  EXPECT_EQ(Files(false),
            9U);  // the first hundred rows are 990 bytes: they share a file with the second

  const SchemaRef two = SchemaOf("id int64, kind string");
  FileSinkRun parted(*env_, (directory_ / "parted").string(), 1, R"(, "partition_by": ["kind"])",
                     two);
  ASSERT_TRUE(parted.Open("", 0).ok());
  parted.Write(two, 1000, 10);
  ASSERT_TRUE(parted.Commit(1, parted.Prepare(1)).ok());
  EXPECT_TRUE(fs::is_directory(directory_ / "parted" / "kind=even"));
  EXPECT_TRUE(fs::is_directory(directory_ / "parted" / "kind=o%2Fdd"));
  EXPECT_EQ(Visible(), Range(0, 1010));
}

TEST_F(FileSinkTest, BooksTheRowsThatItHoldsUntilTheyAreOnTheDisk) {
  const SchemaRef two = SchemaOf("id int64, kind string");
  FileSinkRun run(*env_, directory_.string(), 1, R"(, "partition_by": ["kind"])", two);
  ASSERT_TRUE(run.Open("", 0).ok());
  EXPECT_EQ(run.context->memory().used(), 0U);
  run.Write(two, 0, 1000);  // {"id":7,"kind":"o/dd"} and a line end
  EXPECT_GE(run.context->memory().used(), size_t{1000} * 20);
  run.Prepare(1);
  EXPECT_EQ(run.context->memory().used(), 0U);

  FileSinkRun whole(*env_, (directory_ / "whole").string(), 1, "", schema_);
  ASSERT_TRUE(whole.Open("", 0).ok());
  whole.Write(schema_, 0, 1000);
  whole.Prepare(1);
  EXPECT_EQ(whole.context->memory().used(), 0U);
}

TEST_F(FileSinkTest, RowsBehindABarrierWaitForTheNextCheckpoint) {
  FileSinkRun run(*env_, directory_.string(), 1, R"(, "roll": {"size": "1KiB"})", schema_);
  auto log = std::make_unique<SlowDisk>(runtime::MakeFileSegmentLog(*run.context));
  SlowDisk& disk = *log;
  run.context->SetSegments(std::move(log));
  ASSERT_TRUE(run.Open("", 0).ok());
  run.Write(schema_, 0, 100);
  run.sink->Prepare(CheckpointId{1});
  // Its files are being made durable when rows behind it come and files of them end.
  const Result<std::optional<LaneState>> early = run.sink->Prepared(CheckpointId{1});
  ASSERT_TRUE(early.ok());
  ASSERT_FALSE(early->has_value());
  run.Write(schema_, 100, 1000);
  disk.done = true;
  ASSERT_TRUE(run.Commit(1, run.AwaitPrepared(1)).ok());
  EXPECT_EQ(Visible(), Range(0, 100));
  ASSERT_TRUE(run.Commit(2, run.Prepare(2)).ok());
  EXPECT_EQ(Visible(), Range(0, 1100));
}

}  // namespace
}  // namespace weir
