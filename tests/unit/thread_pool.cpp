// The pool of threads: every block once, whoever runs it; sleepers wake; the control group's quota counts.
#include "backends/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "backends/cpu/cpu_quota.h"

namespace lt::cpu {
namespace {

std::unique_ptr<ThreadPool> make_pool(uint32_t threads) {
  std::unique_ptr<ThreadPool> pool;
  EXPECT_TRUE(ok(ThreadPool::create(threads, &pool))) << last_error();
  return pool;
}

TEST(ThreadPool, runs_every_block_once) {
  for (const uint32_t threads : {1u, 2u, 3u, 5u}) {
    const auto pool = make_pool(threads);
    EXPECT_EQ(pool->threads(), threads);
    for (const uint32_t blocks : {0u, 1u, 2u, 3u, 7u, 64u, 1000u})
      for (int round = 0; round < 20; ++round) {
        std::vector<uint32_t> times(blocks, 0);  // each written by one thread only: TSan tells otherwise
        std::atomic<uint32_t> bad_thread{0};
        pool->run(blocks, [&](uint32_t block, uint32_t thread) {
          ++times[block];
          if (thread >= threads) bad_thread = 1;
        });
        for (uint32_t block = 0; block < blocks; ++block) ASSERT_EQ(times[block], 1u) << threads << " " << blocks;
        ASSERT_EQ(bad_thread, 0u);
      }
  }
}

TEST(ThreadPool, a_run_sees_what_the_run_before_wrote) {
  const auto pool = make_pool(3);
  std::vector<uint64_t> values(100, 1), sums(100, 0);
  for (int round = 0; round < 3000; ++round) {
    pool->run(100, [&](uint32_t block, uint32_t) { sums[block] = values[block] + values[(block + 1) % 100]; });
    pool->run(100, [&](uint32_t block, uint32_t) { values[block] = sums[block] % 1000003; });
  }
  std::vector<uint64_t> expected(100, 1);
  for (int round = 0; round < 3000; ++round) {
    std::vector<uint64_t> next(100);
    for (size_t i = 0; i < 100; ++i) next[i] = (expected[i] + expected[(i + 1) % 100]) % 1000003;
    expected.swap(next);
  }
  EXPECT_EQ(values, expected);
}

TEST(ThreadPool, blocks_are_handed_out_in_ascending_order) {
  const auto pool = make_pool(3);
  std::vector<uint32_t> last(3, 0);
  std::atomic<uint32_t> wrong{0};
  pool->run(500, [&](uint32_t block, uint32_t thread) {
    if (block < last[thread]) wrong = 1;
    last[thread] = block;
  });
  EXPECT_EQ(wrong, 0u);
}

TEST(ThreadPool, workers_that_fell_asleep_wake_and_idle_ones_use_no_time) {
  const auto pool = make_pool(2);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    std::atomic<uint32_t> seen{0};
    pool->run(8, [&](uint32_t, uint32_t) { ++seen; });
    ASSERT_EQ(seen, 8u);
  }
  timespec before{}, after{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  const double used_seconds =
      static_cast<double>(after.tv_sec - before.tv_sec) + static_cast<double>(after.tv_nsec - before.tv_nsec) * 1e-9;
  EXPECT_LT(used_seconds, 0.02);
}

TEST(ThreadPool, a_caller_waits_for_a_slow_block) {
  const auto pool = make_pool(2);
  for (int round = 0; round < 5; ++round) {
    std::atomic<uint32_t> finished{0}, started{0};
    pool->run(2, [&](uint32_t, uint32_t thread) {
      ++started;
      while (thread == 0 && started < 2) std::this_thread::yield();  // leaves the other block to the worker
      if (thread != 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      ++finished;
    });
    ASSERT_EQ(finished, 2u);
  }
}

TEST(ThreadPool, with_a_thread_for_each_cpu_workers_keep_to_one_each) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  const auto cpus = static_cast<uint32_t>(CPU_COUNT(&allowed));
  if (cpus < 2) GTEST_SKIP() << "one CPU";
  const auto pool = make_pool(cpus);
  for (int round = 0; round < 20; ++round) {
    std::vector<cpu_set_t> sets(cpus);
    std::atomic<uint32_t> inside{0};
    pool->run(cpus, [&](uint32_t, uint32_t thread) {
      ++inside;
      while (inside < cpus) std::this_thread::yield();  // one block a thread
      sched_getaffinity(0, sizeof(cpu_set_t), &sets[thread]);
    });
    cpu_set_t all;
    CPU_ZERO(&all);
    for (uint32_t thread = 1; thread < cpus; ++thread) {
      EXPECT_EQ(CPU_COUNT(&sets[thread]), 1);
      CPU_OR(&all, &all, &sets[thread]);
    }
    EXPECT_EQ(CPU_COUNT(&all), static_cast<int>(cpus) - 1);
    EXPECT_TRUE(CPU_EQUAL(&sets[0], &allowed)) << "the caller goes where it likes";
    // The caller moves; the worker there has to move out of its way.
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0, left = round % static_cast<int>(cpus); cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &allowed) && left-- == 0) CPU_SET(cpu, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    pool->run(cpus, [&](uint32_t, uint32_t) {});
    ASSERT_EQ(sched_setaffinity(0, sizeof(allowed), &allowed), 0);
  }
}

TEST(ThreadPool, refuses_no_threads) {
  std::unique_ptr<ThreadPool> pool;
  EXPECT_EQ(ThreadPool::create(0, &pool), Status::argument);
  EXPECT_EQ(pool, nullptr);
}

TEST(ThreadPool, as_many_blocks_as_threads_meet_in_the_middle) {
  std::unique_ptr<ThreadPool> pool;
  ASSERT_EQ(ThreadPool::create(3, &pool), Status::ok);
  for (int run = 0; run < 200; ++run) {
    std::atomic<uint32_t> arrived{0};
    pool->run(3, [&](uint32_t, uint32_t) {
      arrived.fetch_add(1);
      while (arrived.load() != 3) std::this_thread::yield();
    });
    EXPECT_EQ(arrived.load(), 3u);
  }
}

TEST(ThreadPool, at_least_one_thread_is_allowed) { EXPECT_GE(threads_allowed(), 1u); }

class Quota : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/lean-train-quota-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path full = root_ + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }
  std::string root_;
};

TEST_F(Quota, none_without_control_groups) { EXPECT_EQ(cgroup_cpus(root_.c_str()), 0u); }

TEST_F(Quota, the_tightest_of_a_group_and_its_parents) {
  write("/proc/self/cgroup", "0::/a/b\n");
  write("/proc/self/mountinfo",
        "20 1 0:5 / /proc rw - proc proc rw\n30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  EXPECT_EQ(cgroup_cpus(root_.c_str()), 0u);
  write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(cgroup_cpus(root_.c_str()), 0u);
  write("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  EXPECT_EQ(cgroup_cpus(root_.c_str()), 2u);
  write("/sys/fs/cgroup/a/b/cpu.max", "800000 100000\n");
  EXPECT_EQ(cgroup_cpus(root_.c_str()), 2u);
  write("/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
  EXPECT_EQ(cgroup_cpus(root_.c_str()), 1u);
}

TEST_F(Quota, of_the_first_version_in_a_container) {
  write("/proc/self/cgroup", "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x/job\n1:cpuset:/\n");
  write("/proc/self/mountinfo",
        "31 30 0:27 /docker/x /cg/cpuset ro - cgroup cgroup rw,cpuset\n"
        "32 30 0:28 /docker/x /cg/cpu ro,nosuid master:11 - cgroup cgroup rw,cpu,cpuacct\n");
  write("/cg/cpu/cpu.cfs_quota_us", "300000\n");
  write("/cg/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpus(root_.c_str()), 3u);
  write("/cg/cpu/job/cpu.cfs_quota_us", "-1\n");
  write("/cg/cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpus(root_.c_str()), 3u);
  write("/cg/cpu/job/cpu.cfs_quota_us", "100001\n");
  EXPECT_EQ(cgroup_cpus(root_.c_str()), 2u);
}

TEST_F(Quota, broken_files_set_no_limit) {
  write("/proc/self/cgroup", "0::/a\nnonsense\n:\n");
  write("/proc/self/mountinfo", "x\n- -\n30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  for (const char* text : {"", "x y\n", "-5 100000\n", "100000 0\n", "9223372036854775807 1\n", "100000\n"}) {
    write("/sys/fs/cgroup/a/cpu.max", text);
    EXPECT_EQ(cgroup_cpus(root_.c_str()), 0u) << text;
  }
}

}  // namespace
}  // namespace lt::cpu
