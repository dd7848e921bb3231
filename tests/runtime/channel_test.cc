#include "engine/runtime/channel.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/data/row_builder.h"

namespace weir::runtime {
namespace {

SchemaRef Numbers() {
  static const SchemaRef kSchema = std::make_shared<const Schema>(std::vector<Field>{
      {"n", Type::Of(TypeKind::kInt64), false}, {"text", Type::Of(TypeKind::kString), false}});
  return kSchema;
}

Batch Rows(int64_t first, uint32_t rows, size_t text_bytes = 1) {
  RowBuilder builder(Numbers(), rows);
  for (uint32_t i = 0; i < rows; ++i) {
    builder.column(size_t{0}).Append<int64_t>(first + i);
    builder.column(size_t{1}).AppendString(std::string(text_bytes, 'x'));
    builder.FinishRow();
  }
  return builder.Build();
}

struct Sizes {
  uint32_t queue_items = kQueueItemsDefault, batch_rows = 1024;
  size_t share_bytes = size_t{256} << 10;
};
Channel::Options With(const Sizes& sizes) {
  Channel::Options options;
  options.queue_items = sizes.queue_items;
  options.batch_rows = sizes.batch_rows;
  options.share_bytes = sizes.share_bytes;
  return options;
}

/// Both ends of one channel in one thread.
struct Pair {
  explicit Pair(Channel::Options options = {}) {
    auto worker = std::make_shared<WorkerSignal>();
    producer = options.producer = std::make_shared<TaskSignal>(worker);
    consumer = options.consumer = std::make_shared<TaskSignal>(worker);
    auto channel = std::make_shared<Channel>(options);
    sender = std::make_unique<ChannelSender>(channel);
    receiver = std::make_unique<ChannelReceiver>(channel);
  }
  /// "0..9", "wm 5", "barrier 1" ... of everything that arrives.
  std::vector<std::string> Drain() {
    std::vector<std::string> items;
    while (receiver->Front() != nullptr) {
      const ChannelItem item = receiver->Pop();
      if (const Batch* batch = std::get_if<Batch>(&item.item)) {
        const auto n = batch->Values<int64_t>({0});
        items.push_back(std::to_string(n.front()) + ".." + std::to_string(n.back()));
      } else if (const auto* watermark = std::get_if<WatermarkItem>(&item.item)) {
        items.push_back("wm " + std::to_string(watermark->time.us));
      } else if (const auto* barrier = std::get_if<BarrierItem>(&item.item)) {
        items.push_back("barrier " + std::to_string(barrier->checkpoint.value));
      } else if (std::holds_alternative<EndItem>(item.item)) {
        items.push_back("end");
      } else if (std::holds_alternative<IdleItem>(item.item)) {
        items.push_back("idle");
      } else if (std::holds_alternative<ActiveItem>(item.item)) {
        items.push_back("active");
      } else if (std::holds_alternative<NeedItem>(item.item)) {
        items.push_back("need");
      }
    }
    return items;
  }
  std::shared_ptr<TaskSignal> producer, consumer;
  std::unique_ptr<ChannelSender> sender;
  std::unique_ptr<ChannelReceiver> receiver;
};
using Items = std::vector<std::string>;

TEST(Channel, SendsAgainstCreditAndOnlyTheLastBatchOverdraws) {
  Pair pair(With({.batch_rows = 100}));
  pair.sender->Send(Rows(0, 90), 0, {1});
  pair.sender->Send(Rows(90, 60), 0, {1});  // 10 rows of credit are left: it may go
  EXPECT_TRUE(pair.sender->has_room());
  pair.sender->Send(Rows(150, 60), 0, {1});
  EXPECT_FALSE(pair.sender->has_room());
  EXPECT_EQ(pair.sender->credits(), -50);
  EXPECT_EQ(pair.Drain(), (Items{"0..89", "90..149"}));
  EXPECT_TRUE(pair.producer->Take());  // the consumer's grant woke the producer
  EXPECT_TRUE(pair.sender->Pump({2}));
  EXPECT_EQ(pair.Drain(), (Items{"150..209"}));
  EXPECT_TRUE(pair.sender->has_room());
}

TEST(Channel, KeepsControlItemsBehindUnsentRows) {
  Pair pair(With({.batch_rows = 10}));
  pair.sender->Send(Rows(0, 10), 0, {1});
  pair.sender->Send(Rows(10, 10), 0, {1});
  EXPECT_FALSE(pair.sender->has_room());
  pair.sender->SendWatermark({7}, 0, {1});
  pair.sender->SendBarrier({1}, {1});
  pair.sender->SendEnd({1});
  EXPECT_EQ(pair.Drain(), (Items{"0..9"}));
  pair.sender->Pump({2});
  EXPECT_EQ(pair.Drain(), (Items{"10..19", "wm 7", "barrier 1", "end"}));
}

TEST(Channel, SendsControlItemsWithoutCredit) {
  Pair pair(With({.batch_rows = 10}));
  pair.sender->Send(Rows(0, 10), 0, {1});  // all credit is used
  EXPECT_EQ(pair.sender->credits(), 0);
  pair.sender->SendBarrier({3}, {1});
  pair.sender->SendIdle({1});
  pair.sender->SendActive({1});
  pair.sender->SendEnd({1});
  EXPECT_EQ(pair.Drain(), (Items{"0..9", "barrier 3", "idle", "active", "end"}));
}

TEST(Channel, GathersSmallPiecesUntilABatchIsFull) {
  Pair pair(With({.batch_rows = 100}));
  for (int64_t i = 0; i < 9; ++i) pair.sender->Send(Rows(i * 10, 10), 0, {1});
  EXPECT_TRUE(pair.Drain().empty());
  pair.sender->Send(Rows(90, 10), 0, {1});
  EXPECT_EQ(pair.Drain(), (Items{"0..99"}));
}

TEST(Channel, KeepsTheOrderWhenAMarkTakesTheRoomBetweenACallAndItsOutput) {
  Pair pair(With({.batch_rows = 8}));
  pair.sender->Send(Rows(0, 8), 0, {});  // all the credit there is
  pair.sender->Send(Rows(8, 1), 0, {});  // gathered
  ASSERT_TRUE(pair.sender->has_room());
  pair.sender->SendActive({});
  ASSERT_FALSE(pair.sender->has_room());
  pair.sender->Send(Rows(9, 8), 0, {});
  std::vector<std::string> items;
  for (int turn = 0; turn < 10; ++turn) {
    for (const std::string& item : pair.Drain()) items.push_back(item);
    pair.sender->Pump({});
  }
  EXPECT_EQ(items, (std::vector<std::string>{"0..7", "8..8", "active", "9..16"}));
  EXPECT_TRUE(pair.sender->has_room());
}

TEST(Channel, LetsAPartialBatchGoAtItsAgeWithTheNewestWatermark) {
  Pair pair(With({.batch_rows = 100}));
  pair.sender->Send(Rows(0, 3), 0, {1000});
  pair.sender->SendWatermark({1}, 0, {1000});
  pair.sender->Send(Rows(3, 3), 0, {1010});
  pair.sender->SendWatermark({2}, 0, {1010});
  pair.sender->Flush({1050}, false);
  EXPECT_TRUE(pair.Drain().empty());
  ASSERT_TRUE(pair.sender->flush_at().has_value());
  pair.sender->Flush(*pair.sender->flush_at(), false);
  EXPECT_EQ(pair.Drain(), (Items{"0..5", "wm 2"}));
  pair.sender->Send(Rows(6, 1), 0, {2000});
  pair.sender->Flush({2000}, true);  // the task has no input
  EXPECT_EQ(pair.Drain(), (Items{"6..6"}));
}

TEST(Channel, ReplacesAWatermarkDirectlyBehindAnUndeliveredOne) {
  Pair pair;
  for (int64_t time = 1; time <= 50; ++time) {
    pair.sender->SendWatermark({time}, 0, {time});
    pair.sender->Flush({time}, true);
  }
  EXPECT_EQ(pair.Drain(), (Items{"wm 1"}));
  EXPECT_TRUE(pair.producer->Take());
  pair.sender->Pump({60});
  EXPECT_EQ(pair.Drain(), (Items{"wm 50"}));
}

TEST(Channel, CutsLargeBatchesToTheConsumersSize) {
  Pair pair(With({.batch_rows = 64}));
  pair.receiver->SetWindow(1000, 1 << 20, 64);
  pair.sender->Send(Rows(0, 200), 0, {1});
  EXPECT_EQ(pair.Drain(), (Items{"0..63", "64..127", "128..191", "192..199"}));
}

TEST(Channel, CutsByBytesAndLetsALargeRowTravelAlone) {
  Pair pair(With({.batch_rows = 64, .share_bytes = 4096}));
  pair.receiver->SetWindow(1000, 1 << 20, 64);
  pair.sender->Send(Rows(0, 8, 2000), 0, {1});
  const Items pieces = pair.Drain();
  EXPECT_GT(pieces.size(), 3U);
  EXPECT_EQ(pieces.front().substr(0, 1), "0");

  pair.sender->Send(Rows(100, 1, 9000), 0, {1});
  pair.sender->SendBarrier({1}, {1});
  EXPECT_FALSE(pair.sender->has_room());
  EXPECT_EQ(pair.Drain(), (Items{"need"}));
  EXPECT_FALSE(pair.sender->Pump({2}));  // nobody has lent the reserve yet
  pair.receiver->GrantNeed();
  EXPECT_TRUE(pair.sender->Pump({3}));
  EXPECT_EQ(pair.Drain(), (Items{"100..100", "barrier 1"}));
  EXPECT_EQ(pair.sender->credits(), pair.receiver->credits());
}

TEST(Channel, GivesABlockedChannelItsExclusivePartOnly) {
  Pair pair(With({.batch_rows = 64}));
  pair.receiver->SetWindow(1000, 1 << 20, 64);
  pair.sender->Send(Rows(0, 64), 0, {1});
  pair.receiver->Restrict(true);
  EXPECT_EQ(pair.Drain(), (Items{"0..63"}));
  EXPECT_EQ(pair.receiver->granted_rows(), 1000U);  // granted credit is never revoked
  pair.receiver->Restrict(false);
  EXPECT_EQ(pair.receiver->granted_rows(), 1064U);
}

TEST(Channel, TakesDuplicatedLostAndOldGrantsForWhatTheyAre) {
  Pair pair(With({.batch_rows = 10}));
  pair.sender->OnGrant({.rows = 50, .bytes = 1 << 20, .batch_rows = 10});
  pair.sender->OnGrant({.rows = 50, .bytes = 1 << 20, .batch_rows = 10});
  EXPECT_EQ(pair.sender->credits(), 50);
  pair.sender->OnGrant({.rows = 20, .bytes = 100, .batch_rows = 99});  // old
  EXPECT_EQ(pair.sender->credits(), 50);
  EXPECT_EQ(pair.sender->batch_rows(), 10U);
  pair.sender->OnGrant(
      {.rows = 90, .bytes = 1 << 20, .batch_rows = 12});  // those between were lost
  EXPECT_EQ(pair.sender->credits(), 90);
}

TEST(Channel, LetsCancelOvertake) {
  Pair pair(With({.batch_rows = 10}));
  pair.sender->Send(Rows(0, 10), 0, {1});
  pair.sender->Send(Rows(10, 10), 0, {1});
  pair.sender->SendBarrier({4}, {1});
  for (int i = 0; i < 3; ++i) pair.sender->SendCancel({4});
  EXPECT_EQ(pair.receiver->cancelled(), CheckpointId{4});
  EXPECT_EQ(pair.receiver->queued_rows(), 10U);
}

TEST(Channel, HoldsItsBoundWithAQueueOfOneItem) {
  Pair pair(With({.queue_items = 1, .batch_rows = 1}));
  pair.receiver->SetWindow(100, 1 << 20, 1);
  pair.sender->Send(Rows(0, 3), 0, {1});
  pair.sender->SendWatermark({1}, 0, {1});
  pair.sender->SendEnd({1});
  Items all;
  for (int i = 0; i < 10; ++i) {
    for (std::string& item : pair.Drain()) all.push_back(std::move(item));
    pair.sender->Pump({2 + i});
  }
  EXPECT_EQ(all, (Items{"0..0", "1..1", "2..2", "wm 1", "end"}));
}

TEST(Channel, AccountsForEveryRowInOnePlace) {
  Pair pair(With({.batch_rows = 50}));
  uint64_t sent = 0;
  uint64_t got = 0;
  for (int64_t i = 0; i < 200; ++i) {
    if (pair.sender->has_room()) {
      const auto rows = static_cast<uint32_t>(1 + i * 7 % 90);
      pair.sender->Send(Rows(i, rows), 0, {i});
      sent += rows;
    }
    if (i % 3 == 0) pair.Drain();
    pair.sender->Pump({i});
    got = pair.receiver->consumed_rows() + pair.receiver->queued_rows();
    EXPECT_EQ(got, pair.sender->sent_rows());
    EXPECT_LE(pair.receiver->queued_rows(), pair.receiver->window_rows() + 50);
    EXPECT_GE(pair.sender->credits(), -50);
  }
  pair.sender->Flush({1000}, true);
  while (!pair.sender->has_room() || pair.receiver->Front() != nullptr) {
    pair.Drain();
    pair.sender->Pump({1000});
  }
  EXPECT_EQ(pair.receiver->consumed_rows(), sent);
}

}  // namespace
}  // namespace weir::runtime
