#include "engine/api/bounded_clients.h"

#include <gtest/gtest.h>

#include "tests/harness/sim_env.h"

namespace weir {
namespace {

/// Remembers the deadline of the last question.
struct Asked {
  Duration deadline{};
};

class RecordingAdmin final : public KafkaAdmin {
 public:
  explicit RecordingAdmin(Asked& asked) : asked_(asked) {}
  Result<std::vector<KafkaTopic>> Topics(std::span<const std::string>, Duration deadline) override {
    asked_.deadline = deadline;
    return std::vector<KafkaTopic>();
  }
  Result<std::vector<KafkaTopic>> AllTopics(Duration deadline) override {
    asked_.deadline = deadline;
    return std::vector<KafkaTopic>();
  }
  Status CreateTopic(const std::string&, int32_t, int32_t, Duration deadline) override {
    asked_.deadline = deadline;
    return Status::Ok();
  }
  Result<std::vector<int64_t>> Offsets(std::span<const std::pair<std::string, int32_t>>, When,
                                       EventTime, Duration deadline) override {
    asked_.deadline = deadline;
    return std::vector<int64_t>();
  }
  Result<uint64_t> MessageBytesMax(const std::string&, Duration deadline) override {
    asked_.deadline = deadline;
    return uint64_t{0};
  }
  Result<std::vector<int64_t>> Committed(const std::string&,
                                         std::span<const std::pair<std::string, int32_t>>,
                                         Duration deadline) override {
    asked_.deadline = deadline;
    return std::vector<int64_t>();
  }

 private:
  Asked& asked_;
};

class RecordingClients final : public Clients {
 public:
  explicit RecordingClients(Asked& asked) : asked_(asked) {}
  Result<std::unique_ptr<KafkaConsumer>> MakeKafkaConsumer(const KafkaConsumerConfig&,
                                                           Waker) override {
    return Status(Code::kUnavailable, "none here");
  }
  Result<std::unique_ptr<KafkaProducer>> MakeKafkaProducer(const KafkaProducerConfig&,
                                                           Waker) override {
    return Status(Code::kUnavailable, "none here");
  }
  Result<std::unique_ptr<KafkaAdmin>> MakeKafkaAdmin(const KafkaConnection&) override {
    return std::unique_ptr<KafkaAdmin>(std::make_unique<RecordingAdmin>(asked_));
  }

 private:
  Asked& asked_;
};

class BoundedClientsTest : public ::testing::Test {
 protected:
  SimWorld world_{1};
  const std::unique_ptr<Env> process_ = world_.StartProcess("a");
  Env& env_ = *process_;
  Asked asked_;
  RecordingClients inner_{asked_};
  BoundedClients clients_{inner_, env_};
  const std::unique_ptr<KafkaAdmin> admin_ = clients_.MakeKafkaAdmin({}).value();
};

TEST_F(BoundedClientsTest, LeaveDeadlinesAsTheyAreWithoutABound) {
  ASSERT_TRUE(admin_->AllTopics(Seconds(10)).ok());
  EXPECT_EQ(asked_.deadline, Seconds(10));
}

TEST_F(BoundedClientsTest, EndEveryQuestionByTheMomentThatWasSet) {
  clients_.SetUntil(env_.Steady() + Seconds(3));
  const std::vector<std::function<void()>> questions = {
      [&] { IgnoreStatus(admin_->Topics({}, Seconds(10)).status(), "the deadline is looked at"); },
      [&] { IgnoreStatus(admin_->AllTopics(Seconds(10)).status(), "the deadline is looked at"); },
      [&] {
        IgnoreStatus(admin_->CreateTopic("t", 1, 1, Seconds(10)), "the deadline is looked at");
      },
      [&] {
        IgnoreStatus(admin_->Offsets({}, KafkaAdmin::When::kLatest, {}, Seconds(10)).status(),
                     "the deadline is looked at");
      },
      [&] {
        IgnoreStatus(admin_->MessageBytesMax("t", Seconds(10)).status(),
                     "the deadline is looked at");
      },
      [&] {
        IgnoreStatus(admin_->Committed("g", {}, Seconds(10)).status(), "the deadline is looked at");
      }};
  for (const auto& question : questions) {
    asked_.deadline = {};
    question();
    EXPECT_EQ(asked_.deadline, Seconds(3));
  }
  ASSERT_TRUE(admin_->AllTopics(Seconds(1)).ok());
  EXPECT_EQ(asked_.deadline, Seconds(1)) << "a shorter one stays";
}

TEST_F(BoundedClientsTest, StillAskForAMomentWhenTheTimeIsOver) {
  clients_.SetUntil(env_.Steady() - Seconds(1));
  ASSERT_TRUE(admin_->AllTopics(Seconds(10)).ok());
  EXPECT_EQ(asked_.deadline, Milliseconds(1));
}

TEST_F(BoundedClientsTest, SharesWhatIsLeftAmongTheAdminsThatAreMade) {
  clients_.ShareOut(env_.Steady() + Seconds(6), 3);
  const auto first = clients_.MakeKafkaAdmin({}).value();
  ASSERT_TRUE(first->AllTopics(Seconds(10)).ok());
  EXPECT_EQ(asked_.deadline, Seconds(2));
  world_.RunFor(Seconds(4));
  const Duration now = env_.Steady();
  const auto second = clients_.MakeKafkaAdmin({}).value();
  ASSERT_TRUE(second->AllTopics(Seconds(10)).ok());
  EXPECT_LE(asked_.deadline, Seconds(1)) << "half of what is left";
  EXPECT_GT(asked_.deadline, Milliseconds(900));
  ASSERT_TRUE(first->AllTopics(Seconds(10)).ok());
  EXPECT_EQ(asked_.deadline, Milliseconds(1)) << "its share is over";
  EXPECT_EQ(env_.Steady(), now) << "nothing took time";
}

TEST_F(BoundedClientsTest, ABoundCanBeMovedAndLiftedUnderAnAdmin) {
  clients_.SetUntil(env_.Steady() + Seconds(3));
  clients_.Extend(Seconds(2));
  ASSERT_TRUE(admin_->AllTopics(Seconds(10)).ok());
  EXPECT_EQ(asked_.deadline, Seconds(5));
  clients_.Lift();
  clients_.Extend(Seconds(2));
  ASSERT_TRUE(admin_->AllTopics(Seconds(10)).ok());
  EXPECT_EQ(asked_.deadline, Seconds(10));
}

}  // namespace
}  // namespace weir
