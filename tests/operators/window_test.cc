#include "operators/window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace weir {
namespace {

std::vector<int64_t> Starts(Windows windows, int64_t ts) {
  std::vector<int64_t> starts;
  windows.ForEachWindow(ts, [&](int64_t start) { starts.push_back(start); });
  return starts;
}

TEST(Windows, AssignsTheTableOfTheSemantics) {
  const Windows tumbling{10, 10, 0};
  EXPECT_EQ(Starts(tumbling, -11), std::vector<int64_t>{-20});
  EXPECT_EQ(Starts(tumbling, -10), std::vector<int64_t>{-10});
  EXPECT_EQ(Starts(tumbling, -1), std::vector<int64_t>{-10});
  EXPECT_EQ(Starts(tumbling, 0), std::vector<int64_t>{0});
  EXPECT_EQ(Starts(tumbling, 9), std::vector<int64_t>{0});
  EXPECT_EQ(Starts(tumbling, 10), std::vector<int64_t>{10});
  const Windows shifted{10, 10, 3};
  EXPECT_EQ(Starts(shifted, -8), std::vector<int64_t>{-17});
  EXPECT_EQ(Starts(shifted, -7), std::vector<int64_t>{-7});
  EXPECT_EQ(Starts(shifted, 2), std::vector<int64_t>{-7});
  EXPECT_EQ(Starts(shifted, 13), std::vector<int64_t>{13});
  const Windows back{10, 10, -3};
  EXPECT_EQ(Starts(back, -4), std::vector<int64_t>{-13});
  EXPECT_EQ(Starts(back, 6), std::vector<int64_t>{-3});
  EXPECT_EQ(Starts(back, 7), std::vector<int64_t>{7});
  const Windows sliding{10, 5, 0};
  EXPECT_EQ(Starts(sliding, -6), (std::vector<int64_t>{-10, -15}));
  EXPECT_EQ(Starts(sliding, 4), (std::vector<int64_t>{0, -5}));
  const Windows uneven{10, 4, 0};
  EXPECT_EQ(Starts(uneven, -1), (std::vector<int64_t>{-4, -8}));
  EXPECT_EQ(Starts(uneven, 0), (std::vector<int64_t>{0, -4, -8}));
  EXPECT_EQ(Starts(uneven, 9), (std::vector<int64_t>{8, 4, 0}));
  const Windows gaps{4, 10, 0};
  EXPECT_EQ(Starts(gaps, -10), std::vector<int64_t>{-10});
  EXPECT_EQ(Starts(gaps, -6), std::vector<int64_t>{});
  EXPECT_EQ(Starts(gaps, 3), std::vector<int64_t>{0});
  EXPECT_EQ(Starts(gaps, 4), std::vector<int64_t>{});
}

// Slices against brute force: all sizes and distances up to 13, offsets of either sign, instants
// around zero.
TEST(Windows, SlicesAreTheLargestRunsOfEqualWindows) {
  for (int64_t size = 1; size <= 13; ++size) {
    for (int64_t every = 1; every <= 13; ++every) {
      for (int64_t offset = 1 - every; offset < every; ++offset) {
        const Windows windows{size, every, offset};
        std::set<int64_t> borders;
        for (int64_t start = windows.StartAt(-60, offset); start <= 60; start += every)
          borders.insert(start), borders.insert(start + size);
        for (int64_t ts = -30; ts <= 30; ++ts) {
          const auto after = borders.upper_bound(ts);
          const Windows::Slice slice = windows.SliceOf(ts);
          ASSERT_EQ(slice.end, *after) << size << "/" << every << "/" << offset << " at " << ts;
          ASSERT_EQ(slice.start, *std::prev(after))
              << size << "/" << every << "/" << offset << " at " << ts;
          ASSERT_EQ(Starts(windows, slice.start), Starts(windows, ts));
          for (const int64_t start : Starts(windows, ts)) {
            ASSERT_TRUE(start <= ts && ts < start + size);
            ASSERT_TRUE(windows.IsMaxTime(windows.MaxTime(start)));
            bool found = false;
            windows.ForEachSlice(start, [&](int64_t at) { found = found || at == slice.start; });
            ASSERT_TRUE(found);
          }
        }
      }
    }
  }
}

TEST(Windows, WorksAtTheEndsOfUsableTime) {
  const Windows windows{Seconds(10).us, Seconds(2).us, Milliseconds(500).us};
  for (const EventTime time : {kEventTimeLeast, kEventTimeMost}) {
    EXPECT_EQ(Starts(windows, time.us).size(), 5u);
    EXPECT_TRUE(windows.SliceOf(time.us).Contains(time.us));
  }
}

}  // namespace
}  // namespace weir
