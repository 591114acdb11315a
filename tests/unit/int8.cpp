// int8: every unit and instruction set gives the reference's bytes, bit for bit, on windows, strides, pools, residuals and
// odd numbers of channels; and the limits that a calibration takes. The reference's own loops are held against PyTorch by
// tests/golden/features.cpp.
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "backends/cpu/int8/factory.h"
#include "backends/cpu/thread_pool.h"
#include "src/run/calibration.h"
#include "tests/unit/int8_case.h"

namespace lt {
namespace {

using cpu::highway::Target;
using cpu::int8::Unit;
using namespace int8_test;

std::vector<uint8_t> by_kernel(const Case& c, Unit unit, Target target, uint32_t threads) {
  OneOp one;
  set_up(c, WeightLayout::in_out, &one);
  const auto kernel = cpu::int8::make_kernel(one.program, {&one.program.ops[0], samples, threads}, unit, target);
  EXPECT_NE(kernel, nullptr) << last_error();
  one.program.scratch_offset = one.add_bytes(kernel->scratch_bytes());
  one.program.ops[0].saved = one.add(DType::u8, 0, kernel->saved_bytes());
  // The op that the kernel runs knows where its saved bytes are.
  const auto placed = cpu::int8::make_kernel(one.program, {&one.program.ops[0], samples, threads}, unit, target);
  fill(&one);
  std::unique_ptr<cpu::ThreadPool> pool;
  EXPECT_TRUE(ok(cpu::ThreadPool::create(threads, &pool)));
  const RunArguments run = arguments();
  const cpu::KernelContext context{&one.program, &run, pool.get(), one.region()};
  placed->take_weights(context);
  placed->run(context);
  return result_of(&one);
}

TEST(Int8, AllUnitsGiveTheReferencesBytes) {
  for (size_t i = 0; i < std::size(awkward_cases); ++i) {
    const std::vector<uint8_t> expected = by_reference(awkward_cases[i]);
    ASSERT_TRUE(varies(expected)) << "case " << i;
    for (const Unit unit : {Unit::amx, Unit::avx512_vnni}) {
      if (!cpu::int8::unit_supported(unit)) continue;
      for (const uint32_t threads : {1u, 3u}) {
        EXPECT_EQ(by_kernel(awkward_cases[i], unit, cpu::highway::target_best(), threads), expected)
            << "case " << i << " on " << unit_name(unit);
      }
    }
    for (size_t t = 0; t < cpu::highway::target_count; ++t) {
      const auto target = static_cast<Target>(t);
      if (!target_supported(target)) continue;
      EXPECT_EQ(by_kernel(awkward_cases[i], Unit::portable, target, 2), expected)
          << "case " << i << " on " << target_name(target);
    }
  }
}

TEST(Int8, CalibrationTakesTheLargestOfEvenNumbersAndLessOfFarOnes) {
  Calibration even, far, none;
  std::vector<float> numbers;
  for (int i = -1000; i <= 1000; ++i) numbers.push_back(static_cast<float>(i) * 0.003f);
  even.add(numbers.data(), numbers.size());
  EXPECT_NEAR(even.scale(127), 3.0 / 127, 0.05 / 127);
  for (int i = 0; i < 100; ++i) far.add(numbers.data(), numbers.size());
  const float outlier = 60;
  far.add(&outlier, 1);
  EXPECT_LT(far.scale(127), 30.0 / 127);
  EXPECT_GT(far.scale(127), 3.0 / 127);
  EXPECT_EQ(none.scale(255), 1);
  const float broken = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(far.finite());
  far.add(&broken, 1);
  EXPECT_FALSE(far.finite());
}

}  // namespace
}  // namespace lt
