#include "engine/base/spsc_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <utility>

namespace weir {
namespace {

TEST(SpscQueue, IsFirstInFirstOutAndBounded) {
  SpscQueue<int> queue(3);
  EXPECT_EQ(queue.capacity(), 4U);
  EXPECT_EQ(queue.Front(), nullptr);
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(queue.HasRoom());
    EXPECT_TRUE(queue.Push(i));
  }
  EXPECT_FALSE(queue.HasRoom());
  EXPECT_FALSE(queue.Push(4));
  EXPECT_EQ(queue.size(), 4U);
  for (int i = 0; i < 4; ++i) {
    ASSERT_NE(queue.Front(), nullptr);
    EXPECT_EQ(*queue.Front(), i);
    queue.Pop();
  }
  EXPECT_EQ(queue.Front(), nullptr);
}

TEST(SpscQueue, LetsGoOfElementsAtOnce) {
  SpscQueue<std::shared_ptr<int>> queue(1);
  auto element = std::make_shared<int>(1);
  EXPECT_TRUE(queue.Push(element));
  queue.Pop();
  EXPECT_EQ(element.use_count(), 1);
  {
    SpscQueue<std::shared_ptr<int>> dropped(2);
    EXPECT_TRUE(dropped.Push(element));
  }
  EXPECT_EQ(element.use_count(), 1);
}

TEST(SpscQueue, CarriesEverythingInOrderBetweenTwoThreads) {
  for (const auto& [capacity, count] :
       {std::pair<size_t, int>{1, 5'000}, std::pair<size_t, int>{64, 200'000}}) {
    SpscQueue<std::unique_ptr<int>> queue(capacity);
    const int elements = count;
    std::thread producer([&] {
      for (int i = 0; i < elements; ++i) {
        auto element = std::make_unique<int>(i);
        while (!queue.HasRoom()) std::this_thread::yield();
        ASSERT_TRUE(queue.Push(std::move(element)));
      }
    });
    for (int i = 0; i < elements; ++i) {
      std::unique_ptr<int>* front = nullptr;
      while ((front = queue.Front()) == nullptr) std::this_thread::yield();
      ASSERT_EQ(**front, i);
      queue.Pop();
    }
    producer.join();
    EXPECT_EQ(queue.Front(), nullptr);
  }
}

}  // namespace
}  // namespace weir
