// The native bf16 kernels, unit by unit: every case that a unit serves against the reference device, and the same bits on
// one to three threads. What it leaves to other kernels is tested with the CPU device.
#include <gtest/gtest.h>

#include "backends/cpu/bf16/factory.h"
#include "tests/ops/kernel_device.h"
#include "tools/selftest/op_cases.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

using cpu::bf16::Unit;

std::unique_ptr<Device> device_of(Unit unit, uint32_t threads) {
  return kernel_device([unit](const Program& program,
                              const cpu::KernelRequest& request) { return cpu::bf16::make_kernel(program, request, unit); },
                       threads);
}

// All cases, and what is past the units' own cuts: batches of more than 1024 samples.
std::vector<OpCase> cases_of(OpKind kind) {
  std::vector<OpCase> cases;
  OpCase many = linear_case(70, 81);
  many.micro_batch = many.samples = many.batch_samples = 2060;
  many.op.has_bias = many.op.has_relu = true;
  std::vector<OpCase> all = all_cases();
  all.push_back(many);
  many.samples = 1025;
  many.accumulate = true;
  all.push_back(backward_case(many));
  for (OpCase& c : all) {
    if (c.op.kind != kind) continue;
    c.precision = Precision::bf16;
    cases.push_back(std::move(c));
  }
  return cases;
}

class Bf16Unit : public ::testing::TestWithParam<std::tuple<Unit, OpKind>> {
 protected:
  void SetUp() override {
    if (!cpu::bf16::unit_supported(unit())) GTEST_SKIP() << "this processor has no " << cpu::bf16::unit_name(unit());
  }
  Unit unit() const { return std::get<0>(GetParam()); }
  // Calls what(case) for the cases of this kind that are served.
  template <class What>
  void for_each_case(const What& what) {
    size_t served = 0;
    for (const OpCase& c : cases_of(std::get<1>(GetParam()))) {
      served += what(c);
      if (HasFatalFailure()) return;
    }
    EXPECT_GT(served, 0u);
  }
};

TEST_P(Bf16Unit, EqualsReference) {
  const std::unique_ptr<Device> device = device_of(unit(), 2);
  for_each_case([&](const OpCase& c) { return expect_equals_reference(*device, c); });
}

TEST_P(Bf16Unit, SameBitsOnAnyNumberOfThreads) {
  const std::unique_ptr<Device> one = device_of(unit(), 1), three = device_of(unit(), 3);
  for_each_case([&](const OpCase& c) {
    OpRun first(*one, c), second(*three, c);
    if (first.status() == Status::unsupported) return false;
    EXPECT_EQ(second.status(), Status::ok) << last_error();
    for (OpRun* run : {&first, &second}) {
      run->fill();
      run->run_forward();
      if (run->has_backward()) run->run_backward();
    }
    for (const char* name : {"y", "argmax", "mask", "dx", "dweight", "dbias"})
      if (first.has(name)) {
        EXPECT_EQ(first.byte_values(name), second.byte_values(name)) << c.name << ": " << name;
      }
    return true;
  });
}

INSTANTIATE_TEST_SUITE_P(Units, Bf16Unit,
                         ::testing::Combine(::testing::Values(Unit::avx512_bf16, Unit::amx),
                                            ::testing::Values(OpKind::conv2d, OpKind::conv2d_backward, OpKind::linear,
                                                              OpKind::linear_backward)),
                         [](const ::testing::TestParamInfo<std::tuple<Unit, OpKind>>& parameters) {
                           return std::string(cpu::bf16::unit_name(std::get<0>(parameters.param))) + "_" +
                                  op_kind_name(std::get<1>(parameters.param));
                         });

}  // namespace
}  // namespace lt::ops
