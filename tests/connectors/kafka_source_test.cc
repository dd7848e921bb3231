#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "engine/base/json.h"
#include "tests/connectors/kafka_rig.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

const KafkaAddresses& Addresses() {
  static const KafkaAddresses kAddresses = SharedKafka().value();
  return kAddresses;
}

std::string Options(const std::string& topic, const std::string& more) {
  return R"({"connection": "main", "topics": [")" + topic +
         R"("], "format": {"type": "raw"}, "schema": {"value": "string"})" +
         (more.empty() ? "" : ", " + more) + "}";
}

std::vector<std::string> Numbered(int first, int count) {
  std::vector<std::string> values;
  for (int i = first; i < first + count; ++i) values.push_back("v" + std::to_string(i));
  return values;
}

std::multiset<std::string> AsSet(const std::vector<std::string>& values) {
  return {values.begin(), values.end()};
}

TEST(KafkaSource, ReadsABoundedTopicWholeAndEnds) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("bounded");
  rig.CreateTopic(topic, 4);
  rig.Fill(topic, 3, 0, 3000, "v");  // the fourth partition stays empty
  SourceRun run(rig, Options(topic, R"("stop_at": "latest")"));
  ASSERT_TRUE(run.Start({}).ok());
  EXPECT_TRUE(run.enumerator->complete());
  ASSERT_THAT(run.splits, SizeIs(4));
  rig.Fill(topic, 4, 3000, 100, "late");  // behind the end that was seen at the start
  const Status status = run.PollUntil([&] { return run.AllEnded(); });
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(AsSet(run.Values()), AsSet(Numbered(0, 3000)));
  std::map<uint32_t, int64_t> next;
  for (const TestSourceOutput::Copied& record : run.out.records) {
    EXPECT_EQ(record.offset, next[record.split]++) << "partition " << record.partition;
    EXPECT_EQ(record.topic, topic);
    EXPECT_EQ(record.key, "k" + record.value.substr(1));
    EXPECT_EQ(record.timestamp.us, (1'700'000'000'000 + std::stoll(record.value.substr(1))) * 1000);
  }
  EXPECT_THAT(run.Discover().ok(), true);
  EXPECT_THAT(run.splits, SizeIs(4));
}

TEST(KafkaSource, BooksWhatItsQueuesMayHold) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("booked");
  rig.CreateTopic(topic, 3);
  rig.Fill(topic, 3, 0, 300, "v");
  SourceRun run(rig, Options(topic, R"("stop_at": "latest")"));
  const TestAccount& account = run.context.client_account;
  run.context.client_account.most = size_t{4} << 20;
  ASSERT_TRUE(run.Start({}).ok());
  // Three queues share three quarters, and a fetch of a third of a queue may come on top of each.
  EXPECT_NEAR(static_cast<double>(account.used()), 4.0 * (1 << 20), 16.0);
  ASSERT_TRUE(run.PollUntil([&] { return run.AllEnded(); }).ok());

  SourceRun least(rig, Options(topic, R"("stop_at": "latest")"));
  least.context.client_account.most = 0;  // each queue has its least size all the same
  ASSERT_TRUE(least.Start({}).ok());
  EXPECT_EQ(least.context.client_account.used(), 3 * (size_t{256} << 10));
}

TEST(KafkaSource, StartsWhereItIsTold) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("starts");
  rig.CreateTopic(topic, 1);
  rig.Fill(topic, 1, 0, 100, "v");
  const auto read = [&](const std::string& more) {
    SourceRun run(rig, Options(topic, more + R"(, "stop_at": "latest")"));
    EXPECT_EQ(run.node->Messages(), "");
    EXPECT_TRUE(run.Start({}).ok());
    const Status status = run.PollUntil([&] { return run.AllEnded(); });
    EXPECT_TRUE(status.ok()) << status.ToString();
    return run.Values();
  };
  EXPECT_EQ(read(R"("start_from": "earliest")"), Numbered(0, 100));
  EXPECT_THAT(read(R"("start_from": "latest")"), IsEmpty());
  EXPECT_EQ(read(R"("start_from": {"timestamp": "2023-11-14T22:13:20.060Z"})"), Numbered(60, 40));
  EXPECT_THAT(read(R"("start_from": {"timestamp": "2030-01-01T00:00:00Z"})"), IsEmpty());
  EXPECT_EQ(read(R"("start_from": "committed", "group_id": "none-yet")"), Numbered(0, 100));

  // Offsets are committed after a checkpoint, and found again.
  const std::string group = topic + "-group";
  SourceRun run(rig, Options(topic, R"("group_id": ")" + group + R"(")"));
  ASSERT_TRUE(run.Start({}).ok());
  run.out.wanted = 30;
  ASSERT_TRUE(run.PollUntil([&] { return run.out.records.size() >= 30; }).ok());
  run.source->OnComplete(CheckpointId{1}, run.Positions());
  const auto seen = static_cast<int>(run.out.records.size());
  const std::vector<std::pair<std::string, int32_t>> partition = {{topic, 0}};
  ASSERT_TRUE(WaitFor([&] {
    return rig.Admin()->Committed(group, partition, Seconds(10)).value().front() == seen;
  }));
  EXPECT_EQ(read(R"("start_from": "committed", "group_id": ")" + group + R"(")"),
            Numbered(seen, 100 - seen));

  SourceRun until(rig, Options(topic, R"("stop_at": {"timestamp": "2023-11-14T22:13:20.040Z"})"));
  ASSERT_TRUE(until.Start({}).ok());
  ASSERT_TRUE(until.PollUntil([&] { return until.AllEnded(); }).ok());
  EXPECT_EQ(until.Values(), Numbered(0, 40));
}

TEST(KafkaSource, GoesOnAtTheSavedPositionWithoutRepeats) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("resume");
  rig.CreateTopic(topic, 2);
  rig.Fill(topic, 2, 0, 1000, "v");
  std::vector<std::string> values;
  std::vector<SplitState> restored;
  for (int attempt = 0; attempt < 5; ++attempt) {
    SourceRun run(rig, Options(topic, R"("stop_at": "latest")"));
    ASSERT_TRUE(run.Start(restored).ok());
    run.out.wanted = 37;
    const Status status = run.PollUntil(
        [&] { return run.AllEnded() || (attempt < 4 && run.out.records.size() > 200); });
    ASSERT_TRUE(status.ok()) << status.ToString();
    for (const std::string& value : run.Values()) values.push_back(value);
    restored = run.Positions();
  }
  EXPECT_THAT(values, SizeIs(1000));
  EXPECT_EQ(AsSet(values), AsSet(Numbered(0, 1000)));
}

TEST(KafkaSource, FindsNewPartitionsAndTopicsAndReadsThemFromTheirBeginning) {
  KafkaRig rig(Addresses().plaintext);
  const std::string prefix = UniqueTopic("pattern");
  rig.CreateTopic(prefix + "-a", 1);
  rig.Fill(prefix + "-a", 1, 0, 10, "v");
  SourceRun run(
      rig,
      R"({"connection": "main", "topic_pattern": ")" + prefix +
          R"(-[a-z]", "start_from": "latest", "format": {"type": "raw"}, "schema": {"value": "string"}})");
  ASSERT_EQ(run.node->Messages(), "");
  ASSERT_TRUE(run.Start({}).ok());
  ASSERT_THAT(run.splits, SizeIs(1));
  rig.CreateTopic(prefix + "-b", 2);
  rig.CreateTopic(prefix + "-long", 1);
  rig.Fill(prefix + "-b", 2, 10, 10, "v");
  ASSERT_TRUE(WaitFor([&] { return run.Discover().ok() && run.splits.size() == 3; }));
  const Status status = run.PollUntil([&] { return run.out.records.size() >= 10; });
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(AsSet(run.Values()), AsSet(Numbered(10, 10)));
}

TEST(KafkaSource, SkipsTombstonesOrPassesThemOn) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("tombstones");
  rig.CreateTopic(topic, 1);
  KafkaRecord record;
  record.topic = topic;
  record.partition = 0;
  record.timestamp_ms = 1;
  record.key = "k";
  const std::string_view bytes("\0\xFF", 2);
  const std::vector<Header> headers = {{"h", bytes}, {"none", std::nullopt}, {"h", ""}};
  record.headers = headers;
  rig.Produce(record);
  record.value = "";
  record.key = std::nullopt;
  rig.Produce(record);
  rig.FlushAll();
  SourceRun skip(rig, Options(topic, R"("stop_at": "latest")"));
  ASSERT_TRUE(skip.Start({}).ok());
  ASSERT_TRUE(skip.PollUntil([&] { return skip.AllEnded(); }).ok());
  EXPECT_EQ(skip.out.skipped, 1U);
  ASSERT_THAT(skip.out.records, SizeIs(1));
  EXPECT_FALSE(skip.out.records[0].null_value);
  EXPECT_FALSE(skip.out.records[0].has_key);

  SourceRun pass(rig, Options(topic, R"("stop_at": "latest", "on_null_value": "error")"));
  ASSERT_TRUE(pass.Start({}).ok());
  ASSERT_TRUE(pass.PollUntil([&] { return pass.AllEnded(); }).ok());
  ASSERT_THAT(pass.out.records, SizeIs(2));
  EXPECT_TRUE(pass.out.records[0].null_value);
  EXPECT_EQ(pass.out.records[0].key, "k");
  EXPECT_THAT(pass.out.records[0].headers,
              ElementsAre(std::pair<std::string, std::string>("h", std::string(bytes)),
                          std::pair<std::string, std::string>("none", "<null>"),
                          std::pair<std::string, std::string>("h", "")));
}

TEST(KafkaSource, SaysWhenItHasCaughtUpAndHowFarItIsBehind) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("caught-up");
  rig.CreateTopic(topic, 1);
  rig.Fill(topic, 1, 0, 500, "v");
  SourceRun run(rig, Options(topic, ""));
  ASSERT_TRUE(run.Start({}).ok());
  run.out.wanted = 10;
  ASSERT_TRUE(run.PollUntil([&] {
                   return run.out.reports.contains(0) &&
                          run.out.reports[0].status == SplitStatus::kCaughtUp;
                 })
                  .ok());
  EXPECT_THAT(run.out.records, SizeIs(500));
  EXPECT_EQ(run.out.reports[0].lag, 0);
  run.out.paused_splits = {0};
  rig.Fill(topic, 1, 500, 5, "v");
  ASSERT_TRUE(run.PollUntil([&] { return run.out.reports[0].lag == 5; }).ok());
  EXPECT_THAT(run.out.records, SizeIs(500));
  run.out.paused_splits.clear();
  ASSERT_TRUE(run.PollUntil([&] { return run.out.records.size() == 505; }).ok());
}

/// The broker answers before the markers of a commit or an abort lie in the partitions.
void AwaitEnd(KafkaRig& rig, const std::string& topic, int32_t partition, KafkaAdmin::When when,
              int64_t end) {
  const std::vector<std::pair<std::string, int32_t>> one = {{topic, partition}};
  ASSERT_TRUE(WaitFor(
      [&] { return rig.Admin()->Offsets(one, when, {}, Seconds(10)).value().front() == end; }));
}

TEST(KafkaSource, ReadsWhatTransactionsHaveCommittedAndEndsBehindTheirMarkers) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("transactions");
  rig.CreateTopic(topic, 4);
  KafkaTransactions one(rig, topic + "-one"), two(rig, topic + "-two");
  one.Begin();
  one.Put(topic, 0, {"a0", "a1"});  // 0, 1
  two.Begin();
  two.Put(topic, 0, {"gone"});  // 2
  one.Put(topic, 0, {"a2"});    // 3
  one.Put(topic, 1, {"b0"});    // 0
  one.Commit();                 // markers: 4 and 1
  AwaitEnd(rig, topic, 0, KafkaAdmin::When::kLatest, 5);
  two.Put(topic, 0, {"gone"});  // 5
  two.Abort();                  // 6
  AwaitEnd(rig, topic, 0, KafkaAdmin::When::kLatestStable, 7);
  rig.Produce({.topic = topic, .partition = 0, .key = {}, .value = "a3", .headers = {}});
  rig.FlushAll();  // 7
  two.Begin();
  // More than one answer of the broker holds, in no record of which there is anything to read.
  two.Put(topic, 2, std::vector<std::string>(3000, std::string(500, 'x')));
  two.Put(topic, 0, {"gone"});  // 8
  two.Abort();                  // 9, and 3000
  AwaitEnd(rig, topic, 0, KafkaAdmin::When::kLatestStable, 10);
  AwaitEnd(rig, topic, 1, KafkaAdmin::When::kLatestStable, 2);
  AwaitEnd(rig, topic, 2, KafkaAdmin::When::kLatestStable, 3001);
  for (const std::string isolation : {"", R"(, "isolation": "read_committed")"}) {
    SourceRun run(
        rig, Options(topic, R"("group_id": ")" + topic + R"(", "stop_at": "latest")" + isolation));
    ASSERT_TRUE(run.Start({}).ok());
    const Status status = run.PollUntil([&] { return run.AllEnded(); });
    ASSERT_TRUE(status.ok()) << status.ToString();
    std::vector<std::string> of_zero;
    for (const TestSourceOutput::Copied& record : run.out.records) {
      if (record.partition == 0)
        of_zero.push_back(record.value + "@" + std::to_string(record.offset));
    }
    EXPECT_THAT(of_zero, ElementsAre("a0@0", "a1@1", "a2@3", "a3@7"));
    EXPECT_THAT(run.Values(), UnorderedElementsAre("a0", "a1", "a2", "a3", "b0"));
    EXPECT_EQ(run.out.skipped, 0U) << "nobody counts what was never written";
    EXPECT_EQ(run.context.counters["offset_repeat"].value(), 0);
    for (const auto& [split, reported] : run.out.reports) EXPECT_EQ(reported.lag, 0) << split;
    // Behind the markers, so that tools see no lag, and a new start has nothing to read.
    std::map<std::string, std::string> next;
    for (const SplitState& state : run.Positions())
      next[state.id.substr(topic.size())] = state.position.substr(0, state.position.find('/'));
    EXPECT_THAT(next, ElementsAre(std::pair("/0", "10"), std::pair("/1", "2"),
                                  std::pair("/2", "3001"), std::pair("/3", "0")));
    run.source->OnComplete(CheckpointId{1}, run.Positions());
    const std::vector<std::pair<std::string, int32_t>> partitions = {
        {topic, 0}, {topic, 1}, {topic, 2}};
    EXPECT_TRUE(WaitFor([&] {
      return rig.Admin()->Committed(topic, partitions, Seconds(10)).value() ==
             std::vector<int64_t>{10, 2, 3001};
    }));
    SourceRun again(rig, Options(topic, R"("stop_at": "latest")" + isolation));
    ASSERT_TRUE(again.Start(run.Positions()).ok());
    ASSERT_TRUE(again.PollUntil([&] { return again.AllEnded(); }).ok());
    EXPECT_THAT(again.out.records, IsEmpty());
  }

  SourceRun all(rig, Options(topic, R"("stop_at": "latest", "isolation": "read_uncommitted")"));
  ASSERT_TRUE(all.Start({}).ok());
  ASSERT_TRUE(all.PollUntil([&] { return all.AllEnded(); }).ok());
  std::vector<std::string> of_zero;
  size_t of_two = 0;
  for (const TestSourceOutput::Copied& record : all.out.records) {
    if (record.partition == 0) of_zero.push_back(record.value);
    if (record.partition == 2) ++of_two;
  }
  EXPECT_THAT(of_zero, ElementsAre("a0", "a1", "gone", "a2", "gone", "a3", "gone"));
  EXPECT_EQ(of_two, 3000U);
  for (const auto& [split, reported] : all.out.reports) EXPECT_EQ(reported.lag, 0) << split;
}

TEST(KafkaSource, DoesNotWaitForATransactionThatIsOpenAtItsStartAndLosesNoneLater) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("open");
  rig.CreateTopic(topic, 1);
  KafkaTransactions writer(rig, topic);
  writer.Begin();
  writer.Put(topic, 0, {"v0", "v1"});
  writer.Commit();  // 2
  writer.Begin();
  writer.Put(topic, 0, {"v2", "v3"});  // 3, 4
  rig.Produce({.topic = topic, .partition = 0, .key = {}, .value = "plain", .headers = {}});
  rig.FlushAll();  // 5: complete, and behind what is open
  const auto read = [&](SourceRun& run) {
    const Status status = run.PollUntil([&] { return run.AllEnded(); });
    EXPECT_TRUE(status.ok()) << status.ToString();
    return run.Values();
  };
  SourceRun bounded(rig, Options(topic, R"("stop_at": "latest")"));
  ASSERT_TRUE(bounded.Start({}).ok());
  EXPECT_THAT(read(bounded), ElementsAre("v0", "v1"));
  EXPECT_EQ(bounded.out.reports[0].position.substr(0, 4), "3/3/");

  SourceRun uncommitted(rig,
                        Options(topic, R"("stop_at": "latest", "isolation": "read_uncommitted")"));
  ASSERT_TRUE(uncommitted.Start({}).ok());
  EXPECT_THAT(read(uncommitted), ElementsAre("v0", "v1", "v2", "v3", "plain"));

  // What is open now is new for them, but only for those that wait for commits.
  SourceRun from_latest(rig, Options(topic, R"("start_from": "latest")"));
  ASSERT_TRUE(from_latest.Start({}).ok());
  SourceRun behind(rig,
                   Options(topic, R"("start_from": "latest", "isolation": "read_uncommitted")"));
  ASSERT_TRUE(behind.Start({}).ok());
  SourceRun until(rig, Options(topic, R"("stop_at": {"timestamp": "2100-01-01T00:00:00Z"})"));
  ASSERT_TRUE(until.Start({}).ok());
  writer.Commit();  // 6
  EXPECT_THAT(read(until), ElementsAre("v0", "v1")) << "its end was seen at its start too";
  ASSERT_TRUE(from_latest.PollUntil([&] { return from_latest.out.records.size() == 3; }).ok());
  EXPECT_THAT(from_latest.Values(), ElementsAre("v2", "v3", "plain"));
  rig.Produce({.topic = topic, .partition = 0, .key = {}, .value = "new", .headers = {}});
  rig.FlushAll();
  ASSERT_TRUE(behind.PollUntil([&] { return !behind.out.records.empty(); }).ok());
  EXPECT_THAT(behind.Values(), ElementsAre("new"));

  // A bounded read keeps the end that it saw first, whatever has been committed since.
  SourceRun resumed(rig, Options(topic, R"("stop_at": "latest")"));
  ASSERT_TRUE(resumed.Start(bounded.Positions()).ok());
  EXPECT_THAT(read(resumed), IsEmpty());
}

TEST(KafkaSource, IsBehindWhileATransactionIsOpenAndCaughtUpOnceItIsAborted) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("hanging");
  rig.CreateTopic(topic, 2);
  rig.Fill(topic, 2, 0, 4, "v");
  KafkaTransactions writer(rig, topic);
  writer.Begin();
  writer.Put(topic, 0, {"w0", "w1", "w2"});
  SourceRun run(rig, Options(topic, ""));
  ASSERT_TRUE(run.Start({}).ok());
  const auto state = [&](const std::string& partition) {
    for (uint32_t split = 0; split < run.splits.size(); ++split) {
      if (run.splits[split].id == topic + "/" + partition) return run.out.reports[split];
    }
    return TestSourceOutput::Reported{};
  };
  // The client's figures come for both at once.
  ASSERT_TRUE(run.PollUntil([&] {
                   return state("1").status == SplitStatus::kCaughtUp && state("0").lag == 3;
                 })
                  .ok());
  EXPECT_EQ(state("0").status, SplitStatus::kBehind) << "it may not become idle";
  EXPECT_EQ(state("0").position.substr(0, 2), "2/");
  EXPECT_EQ(AsSet(run.Values()), AsSet(Numbered(0, 4)));
  writer.Abort();
  ASSERT_TRUE(run.PollUntil([&] { return state("0").status == SplitStatus::kCaughtUp; }).ok());
  EXPECT_EQ(state("0").lag, 0);
  EXPECT_EQ(state("0").position.substr(0, 2), "6/");
  EXPECT_THAT(run.out.records, SizeIs(4));
}

// A replica nearer to the reader may be behind the leader, which was asked for the end.
TEST(KafkaSource, AnEndBeforeTheStopIsNotTheEnd) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("replica");
  rig.CreateTopic(topic, 1);
  rig.Fill(topic, 1, 0, 10, "v");
  SourceRun first(rig, Options(topic, R"("stop_at": "latest")"));
  ASSERT_TRUE(first.Start({}).ok());
  std::vector<SplitState> ahead = first.Positions();
  ASSERT_EQ(ahead[0].position.substr(0, 5), "0/10/");
  ahead[0].position.replace(0, 5, "0/15/");
  SourceRun run(rig, Options(topic, R"("stop_at": "latest")"));
  ASSERT_TRUE(run.Start(ahead).ok());
  ASSERT_TRUE(run.PollUntil([&] {
                   return run.out.reports.contains(0) &&
                          run.out.reports[0].status == SplitStatus::kCaughtUp;
                 })
                  .ok());
  EXPECT_THAT(run.out.records, SizeIs(10));
  rig.Fill(topic, 1, 10, 10, "v");
  ASSERT_TRUE(run.PollUntil([&] { return run.AllEnded(); }).ok());
  EXPECT_EQ(run.Values(), Numbered(0, 15));
}

TEST(KafkaSource, RefusesPartitionsThatAreGone) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("gone");
  rig.CreateTopic(topic, 1);
  SourceRun run(rig, Options(topic, ""));
  ASSERT_TRUE(run.Start({}).ok());
  std::vector<SplitState> restored = run.Positions();
  SourceRun other(rig, Options(topic, ""));
  std::vector<SplitState> foreign = restored;
  foreign[0].id = topic + "/7";
  EXPECT_THAT(other.Start(foreign).message(), HasSubstr("no longer exist: " + topic + "/7"));
  SourceRun renewed(rig, Options(topic, ""));
  foreign = restored;
  foreign[0].position = "0/-1/AAAAAAAAAAAAAAAAAAAAAA";
  EXPECT_EQ(renewed.Start(foreign).code(), Code::kIncompatible);
}

TEST(KafkaSource, FailsWhenRetentionRemovedTheSavedOffsetUnlessToldToGoOn) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("lost");
  rig.CreateTopic(topic, 1);
  rig.Fill(topic, 1, 0, 10, "v");
  SourceRun first(rig, Options(topic, ""));
  ASSERT_TRUE(first.Start({}).ok());
  std::vector<SplitState> restored = first.Positions();
  restored[0].position = "99999" + restored[0].position.substr(restored[0].position.find('/'));
  SourceRun fails(rig, Options(topic, ""));
  ASSERT_TRUE(fails.Start(restored).ok());
  const Status status = fails.PollUntil([] { return false; });
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("offset 99999 is not in the topic"));
  EXPECT_THAT(status.message(), HasSubstr("on_data_loss"));
}

TEST(KafkaSource, GoesOnBehindWhatRetentionRemovedWhenToldTo) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("retention");
  rig.CreateTopic(topic, 1);
  rig.Fill(topic, 1, 0, 10, "v");
  SourceRun first(rig, Options(topic, ""));
  ASSERT_TRUE(first.Start({}).ok());
  rig.DeleteRecordsBefore(topic, 0, 4);
  SourceRun goes_on(rig, Options(topic, R"("on_data_loss": "earliest")"));
  ASSERT_TRUE(goes_on.Start(first.Positions()).ok());
  ASSERT_TRUE(goes_on.PollUntil([&] { return goes_on.out.records.size() == 6; }).ok());
  EXPECT_THAT(goes_on.Values(), ElementsAre("v4", "v5", "v6", "v7", "v8", "v9"));
  EXPECT_EQ(goes_on.context.counters["offset_jump"].value(), 1);
}

TEST(KafkaSource, DoesNotReadAgainWhenTheTopicHasLostItsEnd) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("cut");
  rig.CreateTopic(topic, 1);
  rig.Fill(topic, 1, 0, 10, "v");
  SourceRun first(rig, Options(topic, ""));
  ASSERT_TRUE(first.Start({}).ok());
  std::vector<SplitState> restored = first.Positions();
  restored[0].position = "99999" + restored[0].position.substr(restored[0].position.find('/'));
  SourceRun fails(rig, Options(topic, R"("on_data_loss": "earliest")"));
  ASSERT_TRUE(fails.Start(restored).ok());
  const Status status = fails.PollUntil([] { return false; });
  EXPECT_EQ(status.code(), Code::kIncompatible);
  EXPECT_EQ(status.retry(), Retry::kNever);
  EXPECT_THAT(status.message(), HasSubstr("offset 99999 lies behind the topic's end"));
  EXPECT_THAT(fails.out.records, IsEmpty());
}

// A request for partitions at their end is held by the broker, and the others wait for it: one that
// has ended is in no request any more.
TEST(KafkaConsumer, FetchesNothingForFinishedPartitions) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("finished");
  rig.CreateTopic(topic, 2);
  rig.Fill(topic, 2, 0, 2, "v");
  const std::unique_ptr<KafkaConsumer> consumer =
      rig.clients->MakeKafkaConsumer({.connection = rig.connection, .group_id = topic}, Waker())
          .value();
  const std::vector<KafkaPosition> positions = {{topic, 0, 0}, {topic, 1, 0}};
  ASSERT_TRUE(consumer->Assign(positions).ok());
  std::vector<KafkaMessage> messages(10);
  const auto poll = [&](uint32_t partition) {
    consumer->Release();
    return consumer->Poll(PartitionIndex{partition}, messages);
  };
  ASSERT_TRUE(WaitFor([&] { return poll(0) == 1; }));
  ASSERT_TRUE(WaitFor([&] { return poll(1) == 1; }));
  consumer->Finish(PartitionIndex{0});
  // The older records would be fetched no later than those of the other partition.
  rig.Produce({.topic = topic, .partition = 0, .key = {}, .value = "unwanted", .headers = {}});
  rig.FlushAll();
  rig.Produce({.topic = topic, .partition = 1, .key = {}, .value = "wanted", .headers = {}});
  rig.FlushAll();
  ASSERT_TRUE(WaitFor([&] { return poll(1) == 1; }));
  EXPECT_EQ(messages[0].record.value, "wanted");
  EXPECT_EQ(poll(0), 0);
}

// What a finished partition was given beyond the wanted is freed, so that its queue counts no more.
TEST(KafkaConsumer, CountsNoQueuesOfFinishedPartitions) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("freed");
  rig.CreateTopic(topic, 2);
  rig.Fill(topic, 2, 0, 2000, "v");
  const std::unique_ptr<KafkaConsumer> consumer =
      rig.clients->MakeKafkaConsumer({.connection = rig.connection, .group_id = topic}, Waker())
          .value();
  const std::vector<KafkaPosition> positions = {{topic, 0, 0}, {topic, 1, 0}};
  ASSERT_TRUE(consumer->Assign(positions).ok());
  const uint64_t both = consumer->queue_bytes_max();
  ASSERT_GT(both, 0U);
  const auto queued = [&] {
    consumer->Release();  // takes the statistics
    return consumer->status(PartitionIndex{0}).queued_messages;
  };
  ASSERT_TRUE(WaitFor([&] { return queued() > 0; }));
  consumer->Finish(PartitionIndex{0});
  EXPECT_EQ(consumer->queue_bytes_max(), both / 2);
  EXPECT_TRUE(WaitFor([&] { return queued() == 0; }));
  consumer->Finish(PartitionIndex{0});
  EXPECT_EQ(consumer->queue_bytes_max(), both / 2) << "once only";
  consumer->Finish(PartitionIndex{1});
  EXPECT_EQ(consumer->queue_bytes_max(), 0U);
}

TEST(KafkaSource, ReportsMissingTopicsAndSilentBrokersBeforeTheJobStarts) {
  KafkaRig rig(Addresses().plaintext);
  const auto probe = [](KafkaRig& with, const std::string& options) {
    const auto node = MakeNode("kafka_source", options, {.connections = with.connections});
    EXPECT_EQ(node->Messages(), "");
    node->config->type().probe(*node->config, node->shape, *with.clients, *with.env,
                               node->problems);
    return node->Messages();
  };
  const std::string missing = UniqueTopic("missing");
  EXPECT_THAT(probe(rig, Options(missing, "")),
              HasSubstr("W0701 /nodes/node/topics/0: topic '" + missing + "' does not exist"));
  const std::string one = UniqueTopic("one");
  rig.CreateTopic(one, 1);
  EXPECT_THAT(probe(rig, Options(one, R"("parallelism": 3)")), HasSubstr("W0705"));
  EXPECT_EQ(probe(rig, Options(one, "")), "");
  KafkaRig silent("127.0.0.1:1");
  EXPECT_THAT(probe(silent, Options(one, "")),
              AllOf(HasSubstr("W0702 /nodes/node/connection: no answer from 127.0.0.1:1"),
                    HasSubstr("refused")));
}

std::string FileText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Secure(const std::string& brokers, const std::string& protocol,
                   const std::string& more) {
  Json security =
      Json::parse(R"({"protocol": ")" + protocol + "\"" + (more.empty() ? "" : ", " + more) + "}");
  if (protocol != "sasl_plaintext") security["ca"] = FileText(Addresses().ca_path);
  Json connections;
  connections["main"] = {{"type", "kafka"}, {"brokers", brokers}, {"security", security}};
  return connections.dump();
}

TEST(KafkaSource, LogsInAndEncrypts) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("secure");
  rig.CreateTopic(topic, 1);
  rig.Fill(topic, 1, 0, 10, "v");
  const std::string scram =
      R"("mechanism": "SCRAM-SHA-512", "username": "alice", "password": "alice-secret")";
  const std::string scram_256 =
      R"("mechanism": "SCRAM-SHA-256", "username": "alice", "password": "alice-secret")";
  const std::string plain =
      R"("mechanism": "PLAIN", "username": "alice", "password": "alice-secret")";
  const std::vector<std::string> all = {
      Secure(Addresses().sasl_ssl, "sasl_ssl", scram),
      Secure(Addresses().sasl_ssl, "sasl_ssl", plain), Secure(Addresses().ssl, "ssl", ""),
      Secure(Addresses().sasl_plaintext, "sasl_plaintext", scram_256)};
  for (const std::string& connections : all) {
    rig.connections = connections;
    SourceRun run(rig, Options(topic, R"("stop_at": "latest")"));
    const Status started = run.Start({});
    ASSERT_TRUE(started.ok()) << started.ToString();
    const Status status = run.PollUntil([&] { return run.AllEnded(); });
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_EQ(run.Values(), Numbered(0, 10));
  }
}

/// A certificate with its key in files below `prefix`, by an authority that has the name of the
/// broker's and not its key: a client shows only what that name has signed.
void MakeForeignCertificate(const std::string& prefix) {
  const std::string command =
      "set -e; cd '" + prefix.substr(0, prefix.rfind('/')) + "'; p='" + prefix +
      "'; exec 2>/dev/null; "
      "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=Weir test CA' -keyout "
      "$p.ca.key -out $p.ca; "
      "openssl req -newkey rsa:2048 -nodes -subj /CN=mallory -keyout $p.key -out $p.csr; "
      "openssl x509 -req -in $p.csr -CA $p.ca -CAkey $p.ca.key -set_serial 7 -days 2 -out $p.pem; "
      "rm $p.ca.key $p.ca $p.csr";
  ASSERT_EQ(std::system(command.c_str()), 0);  // NOLINT: a test's own command
}

// The broker asks for a certificate and checks the one that is shown, so a refusal tells that it
// was.
TEST(KafkaSource, ShowsItsCertificateAndTrustsWhomItIsToldTo) {
  KafkaRig rig(Addresses().plaintext);
  const std::string topic = UniqueTopic("certificate");
  rig.CreateTopic(topic, 1);
  rig.Fill(topic, 1, 0, 10, "v");
  const std::string foreign = ::testing::TempDir() + topic;
  MakeForeignCertificate(foreign);
  const std::string cert = FileText(Addresses().client_certificate_path);
  const std::string key = FileText(Addresses().client_key_path);
  const auto use = [&](const Json& security) {
    Json connections;
    connections["main"] = {{"type", "kafka"}, {"brokers", Addresses().ssl}, {"security", security}};
    connections["main"]["security"]["protocol"] = "ssl";
    rig.connections = connections.dump();
  };
  for (const Json& security :
       {Json{{"ca_file", Addresses().ca_path}},
        Json{{"ca_file", Addresses().ca_path}, {"cert", cert}, {"key", key}},
        Json{{"ca", FileText(Addresses().ca_path)}, {"cert", cert}, {"key", key}}}) {
    use(security);
    SourceRun run(rig, Options(topic, R"("stop_at": "latest")"));
    const Status started = run.Start({});
    ASSERT_TRUE(started.ok()) << started.ToString();
    ASSERT_TRUE(run.PollUntil([&] { return run.AllEnded(); }).ok());
    EXPECT_EQ(run.Values(), Numbered(0, 10));
  }
  struct Refused {
    Json security;
    std::string code, part;
  };
  const Json trusted = {{"ca_file", Addresses().ca_path}};
  const auto with = [&](const std::string& c, const std::string& k) {
    Json security = trusted;
    security["cert"] = c;
    security["key"] = k;
    return security;
  };
  for (const Refused& refused : {
           Refused{Json::object(), "W0702", "certificate"},  // authorities of the system
           Refused{Json{{"ca_file", foreign + ".pem"}}, "W0702", "certificate"},
           Refused{with(FileText(foreign + ".pem"), FileText(foreign + ".key")), "W0702", "SSL"},
           Refused{with(cert, FileText(foreign + ".key")), "W0704", "key"},
           Refused{with(cert, "no key"), "W0704", "key"},
           Refused{Json{{"ca_file", foreign + ".absent"}}, "W0704", "ssl.ca.location"},
           Refused{Json{{"ca_file", foreign + ".absent"}}, "W0704",
                   "ca_file of the connection (ssl.ca.location): cannot read '" + foreign +
                       ".absent': No such file or directory"},
           // Readable, and no certificate.
           Refused{Json{{"ca_file", foreign + ".key"}}, "W0704",
                   "(ca_file: '" + foreign + ".key')"},
       }) {
    use(refused.security);
    const auto node =
        MakeNode("kafka_source", Options(topic, ""), {.connections = rig.connections});
    ASSERT_EQ(node->Messages(), "");
    node->config->type().probe(*node->config, node->shape, *rig.clients, *rig.env, node->problems);
    EXPECT_THAT(node->Messages(), AllOf(HasSubstr(refused.code + " /nodes/node/connection"),
                                        HasSubstr(refused.part)));
    EXPECT_THAT(node->Messages(), Not(HasSubstr("PRIVATE KEY")));
  }
  std::remove((foreign + ".key").c_str());
  std::remove((foreign + ".pem").c_str());
}

TEST(KafkaSource, NamesACaFileAsTheJobDoes) {
  KafkaRig rig(Addresses().plaintext);
  rig.connections = Secure(Addresses().ssl, "ssl", R"("ca_file": "${secret:tls/ca}")");
  const auto node = MakeNode("kafka_source", Options("any", ""), {.connections = rig.connections});
  node->job->resolve_secret = [](std::string_view, const void*) -> Result<std::string> {
    return std::string("/canary/absent.pem");
  };
  node->config->type().probe(*node->config, node->shape, *rig.clients, *rig.env, node->problems);
  EXPECT_THAT(node->Messages(),
              HasSubstr("cannot read '${secret:tls/ca}': No such file or directory"));
  EXPECT_THAT(node->Messages(), Not(HasSubstr("canary")));
}

TEST(KafkaSource, SaysThatTheLoginWasRefusedAndNeverThePassword) {
  KafkaRig rig(Addresses().plaintext);
  rig.connections =
      Secure(Addresses().sasl_ssl, "sasl_ssl",
             R"("mechanism": "SCRAM-SHA-512", "username": "alice", "password": "canary-password")");
  const auto node = MakeNode("kafka_source", Options("any", ""), {.connections = rig.connections});
  node->config->type().probe(*node->config, node->shape, *rig.clients, *rig.env, node->problems);
  EXPECT_THAT(node->Messages(),
              HasSubstr("W0703 /nodes/node/connection: the broker refused the login"));
  EXPECT_THAT(node->Messages(), Not(HasSubstr("canary")));

  SourceRun run(rig, Options("any", ""));
  ASSERT_TRUE(run.source->Open(run.context).ok());
  ASSERT_TRUE(run.source->Add(std::vector<SplitState>{{.id = "any/0", .position = "0/-1/"}}).ok());
  const Status status = run.PollUntil([] { return false; });
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_THAT(status.message(), Not(HasSubstr("canary")));
}

TEST(KafkaSource, OutlivesARestartOfTheBrokerUnderLoad) {
  Result<std::unique_ptr<KafkaBroker>> broker = KafkaBroker::Start({});
  ASSERT_TRUE(broker.ok()) << broker.status().ToString();
  KafkaRig rig((*broker)->bootstrap());
  const std::string topic = UniqueTopic("restart");
  rig.CreateTopic(topic, 2);
  rig.Fill(topic, 2, 0, 20'000, "v");
  SourceRun run(rig, Options(topic, ""));
  ASSERT_TRUE(run.Start({}).ok());
  run.out.wanted = 100;
  ASSERT_TRUE(run.PollUntil([&] { return run.out.records.size() > 2000; }).ok());
  ASSERT_TRUE((*broker)->Kill().ok());
  ASSERT_TRUE(run.PollUntil([&] {
                   return std::ranges::any_of(run.out.reports, [](const auto& report) {
                     return report.second.status == SplitStatus::kUnreachable;
                   });
                 })
                  .ok());
  ASSERT_TRUE((*broker)->Restart().ok());
  rig.Fill(topic, 2, 20'000, 100, "v");
  const Status status = run.PollUntil([&] { return run.out.records.size() >= 20'100; });
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(AsSet(run.Values()), AsSet(Numbered(0, 20'100)));
}

TEST(KafkaSource, RefusesContradictoryOptions) {
  const std::string rest =
      R"("connection": "main", "format": {"type": "raw"}, "schema": {"value": "string"}})";
  EXPECT_THAT(MakeNode("kafka_source", "{" + rest)->Codes(), ElementsAre("W0202"));
  EXPECT_THAT(
      MakeNode("kafka_source", R"({"topics": ["a"], "topic_pattern": "b", )" + rest)->Codes(),
      ElementsAre("W0202"));
  EXPECT_THAT(MakeNode("kafka_source", R"({"topics": [], )" + rest)->Codes(), ElementsAre("W0206"));
  EXPECT_THAT(MakeNode("kafka_source", R"({"topic_pattern": "(", )" + rest)->Codes(),
              ElementsAre("W0427"));
  EXPECT_THAT(
      MakeNode("kafka_source", R"({"topics": ["a"], "start_from": "yesterday", )" + rest)->Codes(),
      ElementsAre("W0203"));
  EXPECT_THAT(
      MakeNode("kafka_source", R"({"topics": ["a"], "stop_at": {"timestamp": "soon"}, )" + rest)
          ->Codes(),
      ElementsAre("W0203"));
}

}  // namespace
}  // namespace weir
