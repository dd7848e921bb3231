#pragma once
// What connector tests share: configured nodes from JSON options through the registry, and the
// contexts that a task would offer, with a pool that runs jobs when the test says so. One thread.

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/api/memory.h"
#include "engine/api/registry.h"
#include "engine/api/segment_log.h"
#include "engine/api/source.h"
#include "engine/base/env.h"
#include "engine/data/batch.h"

namespace weir {

/// All connectors and formats.
const Registry& TestRegistry();

/// A node of type `type` with `options` (JSON text) and, for a sink, an input of `schema`.
struct TestNode {
  Problems problems;
  std::shared_ptr<JobSettings> job = std::make_shared<JobSettings>();
  std::unique_ptr<NodeConfig> config;
  NodeShape shape;
  std::vector<std::string> Codes() const;
  std::string Messages() const;
};
struct TestNodeOptions {
  std::string connections = "{}";
  SchemaRef input = nullptr;
  StreamKind kind = kAppend;
  std::vector<std::string> unique_key = {};
};
std::unique_ptr<TestNode> MakeNode(std::string_view type, const std::string& options,
                                   const TestNodeOptions& more);
inline std::unique_ptr<TestNode> MakeNode(std::string_view type, const std::string& options) {
  return MakeNode(type, options, {});
}

/// Schema from "a int64, b string?".
SchemaRef SchemaOf(std::string_view text);

class TestCounters {
 public:
  Counter& operator[](std::string_view name) { return counters_[std::string(name)]; }

 private:
  std::map<std::string, Counter, std::less<>> counters_;
};

class TestAccount final : public MemoryAccount {
 public:
  void Use(int64_t delta) override { used_ += delta; }
  size_t used() const override { return static_cast<size_t>(used_); }
  size_t target() const override { return most; }

  size_t most = SIZE_MAX;

 private:
  int64_t used_ = 0;
};

/// Context of a task. Jobs wait in `jobs` until RunJobs, unless `at_once`.
template <class Base>
class TestContextOf : public Base {
 public:
  TestContextOf(Env& env, Clients* clients) : env_(env), clients_(clients) {
    info_.job = "job";
    info_.incarnation = "u1";
    info_.id = "node";
  }
  const NodeInfo& node() const override { return info_; }
  EventTime processing_time() const override { return now; }
  Waker waker() const override {
    return Waker([count = wakes] { count->fetch_add(1); });
  }
  void WakeAfter(Duration delay) override { wake_after = delay; }
  void Post(std::function<void()> job) override {
    if (at_once) return job();
    jobs.push_back(std::move(job));
  }
  Env& env() override { return env_; }
  Clients& clients() override { return *clients_; }
  MemoryAccount& memory() override { return account_; }
  TestAccount& client_memory() override { return client_account; }
  Counter& counter(std::string_view name) override { return counters[name]; }

  size_t RunJobs() {
    size_t count = 0;
    for (; !jobs.empty(); ++count) {
      const std::function<void()> job = std::move(jobs.front());
      jobs.pop_front();
      job();
    }
    return count;
  }
  NodeInfo& info() { return info_; }

  EventTime now{1'700'000'000'000'000};
  bool at_once = true;
  std::deque<std::function<void()>> jobs;
  std::shared_ptr<std::atomic<int>> wakes = std::make_shared<std::atomic<int>>(0);
  Duration wake_after{};
  TestCounters counters;
  TestAccount client_account;

 private:
  NodeInfo info_;
  Env& env_;
  Clients* clients_;
  TestAccount account_;
};
using TestNodeContext = TestContextOf<NodeContext>;

class TestSinkContext final : public TestContextOf<SinkContext> {
 public:
  TestSinkContext(Env& env, Clients* clients, std::unique_ptr<Encoder> encoder, LaneId lane)
      : TestContextOf(env, clients), encoder_(std::move(encoder)), lane_(lane) {}
  Encoder& encoder() override { return *encoder_; }
  CheckpointStore& store() override;
  SegmentLog& segments() override;
  LaneId lane() const override { return lane_; }
  void SetSegments(std::unique_ptr<SegmentLog> segments) { segments_ = std::move(segments); }

 private:
  std::unique_ptr<Encoder> encoder_;
  std::unique_ptr<SegmentLog> segments_;
  LaneId lane_;
};

/// Collects a Poll's harvest, records copied.
class TestSourceOutput final : public SourceOutput {
 public:
  struct Reported {
    std::string position;
    SplitStatus status = SplitStatus::kBehind;
    int64_t lag = -1;
  };
  struct Copied {
    uint32_t split = 0;
    std::string value, key, topic;
    bool null_value = false, truncated = false, has_key = false;
    EventTime timestamp{};
    int32_t partition = -1;
    int64_t offset = -1;
    std::vector<std::pair<std::string, std::string>> headers;
  };

  uint32_t rows_wanted() const override { return wanted; }
  bool paused(SplitIndex split) const override { return paused_splits.contains(split.value); }
  void Append(SplitIndex split, const Record& record) override;
  RowBuilder& Rows(SplitIndex split) override;
  void Report(SplitIndex split, std::string_view position, SplitStatus status,
              int64_t lag) override {
    reports[split.value] = {std::string(position), status, lag};
  }
  void Skipped(SplitIndex, uint64_t count) override { skipped += count; }

  uint32_t wanted = 1000;
  std::set<uint32_t> paused_splits;
  std::vector<Copied> records;
  std::map<uint32_t, Reported> reports;
  uint64_t skipped = 0;
  SchemaRef schema;  // of Rows
  std::map<uint32_t, std::unique_ptr<RowBuilder>> rows;
};

struct Decoded {
  Status status;
  std::vector<std::string> rows;    // as Batch::RowToString
  std::vector<std::string> errors;  // "row code: message"
};

/// A decoder of format `format` (JSON) for all columns of `schema` (JSON); `event_at` counts as the
/// event time.
struct TestDecoder {
  std::unique_ptr<Decoder> decoder;
  SchemaRef schema;
  Problems problems;
  Decoded Decode(std::span<const Record> input);
};
std::unique_ptr<TestDecoder> MakeTestDecoder(const std::string& format, const std::string& schema);
/// `texts` as the records of one call.
Decoded DecodeTexts(const std::string& format, const std::string& schema,
                    const std::vector<std::string>& texts);

/// Rows of `batch` encoded, one text for each.
std::vector<std::string> EncodeRows(const std::string& format, const std::string& sink_options,
                                    const Batch& batch, std::string* header);

}  // namespace weir
