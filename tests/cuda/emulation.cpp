// The emulation of CUDA itself: what good kernels compute in every order, and that each planted bug is caught by the mode
// that is there for it. Races that no order shows are ThreadSanitizer's to find, reads past the end AddressSanitizer's.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/cuda/emulation/launch.h"
#include "tests/cuda/emulation_kernels.h"

namespace {

using emulation::for_each_order;
using emulation::launch;
using emulation::Order;
using emulation::Poison;
using lt::cuda::TestArguments;

std::vector<float> counting(size_t n) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i + 1);
  return x;
}

// Counts how many of the modes give anything but the right sums (with an unsuitable kernel, some).
int modes_with_wrong_sums(const char* kernel, uint32_t threads) {
  const std::vector<float> x = counting(3 * threads);
  int wrong = 0;
  for_each_order([&] {
    std::vector<float> y(3, -1);
    const TestArguments arguments{x.data(), y.data(), nullptr, 0};
    EXPECT_EQ(launch(kernel, {3}, threads, 0, &arguments), "");
    bool good = true;
    for (uint32_t b = 0; b < 3; ++b) {
      float sum = 0;
      for (uint32_t t = 0; t < threads; ++t) sum += x[b * threads + t];
      good = good && y[b] == sum;
    }
    wrong += good ? 0 : 1;
  });
  return wrong;
}

TEST(CudaEmulation, EveryThreadOfEveryBlockRunsOnce) {
  for_each_order([] {
    SCOPED_TRACE(emulation::describe_options());
    std::vector<float> y(2 * 3 * 4 * 65 - 3, 0);
    const TestArguments arguments{nullptr, y.data(), nullptr, static_cast<uint32_t>(y.size())};
    ASSERT_EQ(launch("test_indices", {2, 3, 4}, 65, 0, &arguments), "");
    EXPECT_EQ(y, counting(y.size()));
  });
}

TEST(CudaEmulation, ThreadsThatNeverWaitAreNotSwitched) {
  std::vector<float> y(1024 * 8, 0);
  const TestArguments arguments{nullptr, y.data(), nullptr, static_cast<uint32_t>(y.size())};
  const uint64_t before = emulation::statistics().switches;
  ASSERT_EQ(launch("test_indices", {8}, 1024, 0, &arguments), "");
#if defined(__SANITIZE_THREAD__)
  EXPECT_GE(emulation::statistics().switches - before, 1024 * 8);
#else
  EXPECT_LE(emulation::statistics().switches - before, 8);
#endif
}

TEST(CudaEmulation, BarriersSumABlock) {
  for (const uint32_t threads : {1, 2, 32, 64, 256}) EXPECT_EQ(modes_with_wrong_sums("test_sum", threads), 0) << threads;
}

#if !defined(__SANITIZE_THREAD__)
TEST(CudaEmulation, OrdersShowAMissingBarrier) {
  EXPECT_GE(modes_with_wrong_sums("test_sum_no_first_barrier", 64), 2);
  EXPECT_GE(modes_with_wrong_sums("test_sum_no_inner_barrier", 64), 2);
}

// The orders disagree on which block comes last.
TEST(CudaEmulation, OrdersShowARaceBetweenBlocks) {
  std::vector<float> seen;
  for_each_order([&] {
    float y = -1;
    const TestArguments arguments{nullptr, &y, nullptr, 0};
    ASSERT_EQ(launch("test_blocks_race", {4}, 32, 0, &arguments), "");
    seen.push_back(y);
  });
  EXPECT_EQ(seen.front(), 3);
  EXPECT_EQ(seen[2], 0) << "reversed order";
}
#else
// In the forward order, where results are right. A test that has a child process die by ThreadSanitizer's report.
void run_under_race_checker(const char* kernel, uint32_t blocks, uint32_t threads) {
  const std::vector<float> x = counting(blocks * threads);
  std::vector<float> y(blocks, 0);
  const TestArguments arguments{x.data(), y.data(), nullptr, 0};
  std::exit(launch(kernel, {blocks}, threads, 0, &arguments).empty() ? 0 : 1);
}

TEST(CudaEmulationDeathTest, RaceCheckerSeesAMissingBarrier) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(run_under_race_checker("test_sum", 4, 64), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(run_under_race_checker("test_sum_no_first_barrier", 1, 64), testing::ExitedWithCode(66), "data race");
  EXPECT_EXIT(run_under_race_checker("test_sum_no_inner_barrier", 1, 64), testing::ExitedWithCode(66), "data race");
}

TEST(CudaEmulationDeathTest, RaceCheckerSeesARaceBetweenBlocks) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(run_under_race_checker("test_blocks_race", 4, 32), testing::ExitedWithCode(66), "data race");
}
#endif

TEST(CudaEmulation, PoisonShowsWhatWasNotWritten) {
  const std::vector<float> x = counting(32);
  int nan = 0, large = 0;
  for_each_order([&] {
    float y = 0;
    const TestArguments arguments{x.data(), &y, nullptr, 0};
    ASSERT_EQ(launch("test_uninitialized", {1}, 32, 0, &arguments), "");
    (emulation::options().poison == Poison::nan ? nan : large) += y == 32 ? 0 : 1;
  });
  EXPECT_EQ(nan, 0) << "fmaxf swallows a NaN: this is what the large poison is for";
  EXPECT_GT(large, 0);
}

TEST(CudaEmulation, WritingPastSharedMemoryIsCaught) {
  const TestArguments arguments{};
#if defined(__SANITIZE_ADDRESS__)
  EXPECT_DEATH((void)launch("test_write_past_end", {1}, 64, 0, &arguments), "use-after-poison");
#else
  const std::string error = launch("test_write_past_end", {1}, 64, 0, &arguments);
  EXPECT_NE(error.find("past the end of its shared memory"), std::string::npos) << error;
#endif
  EXPECT_EQ(launch("test_write_past_end", {1}, 63, 0, &arguments), "");
}

#if defined(__SANITIZE_ADDRESS__)
TEST(CudaEmulationDeathTest, ReadingPastSharedMemoryIsCaught) {
  std::vector<float> y(32);
  const TestArguments arguments{nullptr, y.data(), nullptr, 0};
  EXPECT_DEATH((void)launch("test_read_past_end", {1}, 32, 0, &arguments), "use-after-poison");
}
#endif

TEST(CudaEmulation, DynamicSharedMemoryIsAsLongAsTheLaunchSays) {
  const std::vector<float> x = counting(256);
  for_each_order([&] {
    std::vector<float> y(256, 0);
    const TestArguments arguments{x.data(), y.data(), nullptr, 0};
    ASSERT_EQ(launch("test_dynamic", {1}, 256, 1024, &arguments), "");
    for (size_t i = 0; i < 256; ++i) ASSERT_EQ(y[i], x[255 - i]);
  });
  std::vector<float> y(256, 0);
  const TestArguments arguments{x.data(), y.data(), nullptr, 0};
#if defined(__SANITIZE_ADDRESS__)
  EXPECT_DEATH((void)launch("test_dynamic", {1}, 256, 1020, &arguments), "use-after-poison");
#else
  EXPECT_NE(launch("test_dynamic", {1}, 256, 1020, &arguments).find("past the end"), std::string::npos);
#endif
}

TEST(CudaEmulation, BarriersThatDoNotMeetAreCaught) {
  std::vector<float> y(64, 0);
  const TestArguments arguments{nullptr, y.data(), nullptr, 0};
  for_each_order([&] {
    SCOPED_TRACE(emulation::describe_options());
    const std::string divergent = launch("test_divergent_barrier", {2}, 64, 0, &arguments);
    EXPECT_NE(divergent.find("divergent barrier"), std::string::npos) << divergent;
    const std::string deadlock = launch("test_half_a_warp_waits", {2}, 64, 0, &arguments);
    EXPECT_NE(deadlock.find("deadlock: "), std::string::npos) << deadlock;
  });
  EXPECT_EQ(modes_with_wrong_sums("test_sum", 64), 0) << "a failed launch leaves the next one in peace";
}

TEST(CudaEmulation, ThreadsThatHaveEndedAreNotWaitedFor) {
  for_each_order([] {
    std::vector<float> y(64, 0);
    const TestArguments arguments{nullptr, y.data(), nullptr, 40};
    ASSERT_EQ(launch("test_exit_before_barrier", {1}, 64, 0, &arguments), "");
    for (size_t i = 0; i < 64; ++i) ASSERT_EQ(y[i], i < 40 ? 1 : 0);
  });
}

TEST(CudaEmulation, WarpsExchange) {
  const std::vector<float> x = counting(64);
  for_each_order([&] {
    SCOPED_TRACE(emulation::describe_options());
    std::vector<float> y(64 * 5, 0);
    const TestArguments arguments{x.data(), y.data(), nullptr, 0};
    ASSERT_EQ(launch("test_warps", {1}, 64, 0, &arguments), "");
    for (size_t i = 0; i < 64; ++i) {
      EXPECT_EQ(y[i * 5], i < 32 ? 528 : 528 + 32 * 32);
      EXPECT_EQ(y[i * 5 + 1], static_cast<float>(0xaaaaaaaau));
      EXPECT_EQ(y[i * 5 + 2], i % 8 == 7 ? x[i] : x[i + 1]);
      EXPECT_EQ(y[i * 5 + 3], i % 8 == 0 ? x[i] : x[i - 1]);
      EXPECT_EQ(y[i * 5 + 4], x[i / 8 * 8 + 3]);
    }
    ASSERT_EQ(launch("test_two_masks", {1}, 32, 0, &arguments), "");
    for (size_t i = 0; i < 32; ++i) EXPECT_EQ(y[i], i < 8 ? 28 : 468);
  });
  std::vector<float> y(32);
  const TestArguments arguments{nullptr, y.data(), nullptr, 0};
  EXPECT_EQ(launch("test_absent_lane", {1}, 32, 0, &arguments), "");
  EXPECT_NE(launch("test_absent_lane", {1}, 16, 0, &arguments).find("lane 31, which is not there"), std::string::npos);
}

TEST(CudaEmulation, AtomicsGiveEveryBlockItsTicket) {
  for_each_order([] {
    std::vector<float> y(16, -1);
    uint32_t count = 0;
    const TestArguments arguments{nullptr, y.data(), &count, 0};
    ASSERT_EQ(launch("test_ticket", {16}, 64, 0, &arguments), "");
    std::vector<bool> seen(16);
    for (const float block : y) seen[static_cast<size_t>(block)] = true;
    EXPECT_EQ(seen, std::vector<bool>(16, true));
  });
}

TEST(CudaEmulation, ClustersReadEachOthersMemory) {
  [[maybe_unused]] int wrong = 0;  // the sanitizers end such a launch
  for_each_order([&] {
    SCOPED_TRACE(emulation::describe_options());
    for (const uint32_t cluster : {1, 2, 4}) {
      std::vector<float> y(8 * 32, 0);
      TestArguments arguments{nullptr, y.data(), nullptr, 1};
      ASSERT_EQ(launch("test_cluster", {8}, 32, 0, &arguments, cluster), "");
      for (uint32_t i = 0; i < 8 * 32; ++i) {
        const uint32_t rank = i / 32 % cluster;
        ASSERT_EQ(y[i], static_cast<float>((rank + 1) % cluster * 32 + i % 32));
      }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
      arguments.elements = 0;  // no barrier behind the reads: a block may be gone
      ASSERT_EQ(launch("test_cluster", {8}, 32, 0, &arguments, cluster), "");
      for (uint32_t i = 0; i < 8 * 32; ++i)
        wrong += y[i] == static_cast<float>((i / 32 % cluster + 1) % cluster * 32 + i % 32) ? 0 : 1;
#endif
    }
  });
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_GT(wrong, 0);
#endif
}

TEST(CudaEmulation, LaunchesThatADeviceRefusesAreRefused) {
  const TestArguments arguments{};
  const auto refused = [&](const char* name, emulation::Grid grid, uint32_t threads, uint32_t shared, uint32_t cluster,
                           const char* why) {
    const std::string error = launch(name, grid, threads, shared, &arguments, cluster);
    EXPECT_NE(error.find(why), std::string::npos) << error;
  };
  refused("no_such_kernel", {1}, 32, 0, 1, "no kernel called no_such_kernel");
  refused("test_sum", {1}, 257, 0, 1, "257 threads a block, the kernel takes 1 to 256");
  refused("test_indices", {1}, 0, 0, 1, "0 threads");
  refused("test_indices", {0}, 32, 0, 1, "a grid of 0 x 1 x 1");
  refused("test_indices", {1, 65536}, 32, 0, 1, "a grid of 1 x 65536 x 1");
  refused("test_indices", {1, 1, 65536}, 32, 0, 1, "a grid of 1 x 1 x 65536");
  refused("test_indices", {1}, 32, 232449, 1, "232449 bytes of shared memory");
  refused("test_sum", {1}, 32, 232448 - 1023, 1, "bytes of shared memory");
  refused("test_cluster", {6}, 32, 0, 4, "clusters of 4 blocks");
}

TEST(CudaEmulation, ConditionsReachTheGraph) {
  const TestArguments arguments{nullptr, nullptr, nullptr, 3};
  EXPECT_NE(launch("test_condition", {1}, 1, 0, &arguments).find("without a graph"), std::string::npos);
  static uint64_t seen_handle = 0, seen_value = 0;
  emulation::set_graph_condition_hook(
      [](void* context, uint64_t handle, uint32_t value) {
        *static_cast<uint64_t*>(context) = handle;
        seen_value = value;
      },
      &seen_handle);
  EXPECT_EQ(launch("test_condition", {1}, 1, 0, &arguments), "");
  emulation::set_graph_condition_hook(nullptr, nullptr);
  EXPECT_EQ(seen_handle, 7u);
  EXPECT_EQ(seen_value, 3u);
}

}  // namespace
