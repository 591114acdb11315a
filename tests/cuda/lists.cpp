// Operations on lists of words and labels, and those that take sequences apart: the same results in every order of threads,
// which is where sums by words could go wrong; and lists of labels that fill more than a block's shared memory.
#include <gtest/gtest.h>

#include "tests/cuda/emulation/launch.h"
#include "tests/ops/devices.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

std::unique_ptr<Device> open_device() {
  std::unique_ptr<Device> device;
  EXPECT_EQ(device_specs().front().open(&device), Status::ok) << last_error();
  return device;
}

// 130 words: more than a warp has lanes, in more rows than one of them numbers at a time.
std::vector<OpCase> small_cases() {
  std::vector<OpCase> cases;
  for (const bool deferred : {false, true})
    for (const bool lengths : {false, true}) {
      OpCase c = embedding_case(26, 20, 5);
      c.op.has_lengths = lengths;
      c.deferred = deferred;
      c.step = deferred ? 140 : 3;  // more steps put off than a block has rates at a time
      cases.push_back(backward_case(c));
    }
  cases.push_back(embedding_catch_up_case(9, 5));
  OpCase ctc = ctc_case(9, 4, 3);
  ctc.op.has_lengths = true;
  cases.push_back(ctc);
  return cases;
}

TEST(CudaLists, EveryOrderOfThreads) {
  const std::unique_ptr<Device> device = open_device();
  ASSERT_NE(device, nullptr);
  emulation::for_each_order(
      [&] {
        SCOPED_TRACE(emulation::describe_options());
        for (const OpCase& c : small_cases()) {
          EXPECT_TRUE(expect_equals_reference(*device, c)) << c.name << ": " << last_error();
          if (HasFailure()) return;
        }
      },
      1);
}

TEST(CudaLists, LabelsBeyondSharedMemory) {
  const std::unique_ptr<Device> device = open_device();
  ASSERT_NE(device, nullptr);
  for (const uint32_t labels : {1535u, 1536u, 4000u}) {
    OpCase c = ctc_case(24, 5, labels);
    c.samples = c.micro_batch = 2;
    EXPECT_TRUE(expect_equals_reference(*device, c)) << c.name << ": " << last_error();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace lt::ops
