// What has to hold to the bit: two runs of one device, and Highway kernels on one, two and five threads (more than a
// gradient of weights has parts). And what holds up to rounding: a batch in two parts, the second added to the first, is
// the batch in one.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "src/base/philox.h"
#include "tests/ops/devices.h"
#include "tools/selftest/op_cases.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

// Everything that the case's runs wrote.
std::vector<uint8_t> outputs(OpRun* run) {
  run->fill();
  run->run_forward();
  if (run->has_backward() && run->op_case().training) run->run_backward();
  std::vector<uint8_t> all;
  std::vector<std::string> names = {"y",     "argmax", "mask",   "dx",   "statistics", "parameters",
                                    "state", "state2", "copies", "rows", "last_steps"};
  for (const std::string& part : part_names()) names.push_back("d" + part);
  for (const std::string& name : names) {
    if (!run->has(name)) continue;
    const std::vector<uint8_t> bytes = run->byte_values(name);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

class SameBits : public ::testing::TestWithParam<DeviceSpec> {};

TEST_P(SameBits, RunAfterRunAndWithTheFirstOfItsGroup) {
  std::unique_ptr<Device> device, first;
  ASSERT_EQ(GetParam().open(&device), Status::ok) << last_error();
  // The first of a group is compared with itself, the others with it.
  const bool bytes = GetParam().precision == Precision::int8;
  for (const DeviceSpec& spec : bytes ? int8_device_specs() : device_specs()) {
    if (spec.same_bits_group != GetParam().same_bits_group) continue;
    if (spec.name != GetParam().name) {
      ASSERT_EQ(spec.open(&first), Status::ok) << last_error();
    }
    break;
  }
  size_t compared = 0;
  for (OpCase c : all_cases()) {
    c.precision = GetParam().precision;
    if (!fits(c, c.precision) || c.fill == Fill::integers || c.poison != Poison::none) continue;
    OpRun run(*device, c);
    if (run.status() == Status::unsupported) continue;
    ASSERT_EQ(run.status(), Status::ok) << last_error();
    const std::vector<uint8_t> once = outputs(&run);
    ++compared;
    if (first == nullptr) {
      ASSERT_EQ(once, outputs(&run)) << c.name << ": a second run differs";
      continue;
    }
    OpRun other(*first, c);
    ASSERT_EQ(other.status(), Status::ok) << last_error();
    ASSERT_EQ(once, outputs(&other)) << c.name << ": " << GetParam().name << " differs from the first of its group";
  }
  if (compared == 0) GTEST_SKIP() << last_error();
}

std::string name_of(const ::testing::TestParamInfo<DeviceSpec>& parameters) { return parameters.param.name; }

INSTANTIATE_TEST_SUITE_P(Devices, SameBits, ::testing::ValuesIn(device_specs()), name_of);
INSTANTIATE_TEST_SUITE_P(Int8, SameBits, ::testing::ValuesIn(int8_device_specs()), name_of);

class SplitBatch : public ::testing::TestWithParam<DeviceSpec> {};

OpCase case_of(OpKind kind) {
  OpCase c = kind == OpKind::conv2d_backward   ? conv2d_case({8, 8, 3}, 17, {3, 1, 1}, {2, 2, 0})
             : kind == OpKind::linear_backward ? linear_case(45, 33)
                                               : loss_case(10);
  if (kind != OpKind::softmax_cross_entropy) {
    c = backward_case(c);
    c.op.has_bias = true;
    c.op.dropout = 0.25f;
  }
  c.micro_batch = c.samples = c.batch_samples = 9;
  return c;
}

// Moves samples [from, 9) of what the run reads to the front.
void move_to_front(OpRun* run, uint32_t from) {
  for (const char* name : {"x", "dy"}) {
    if (!run->has(name)) continue;
    const std::vector<float> values = run->values(name);
    const uint64_t elements = values.size() / 9;
    run->set_values(name, {values.begin() + static_cast<std::ptrdiff_t>(from * elements), values.end()});
  }
  if (run->labels().size() == 9) run->labels().erase(run->labels().begin(), run->labels().begin() + from);
}

TEST_P(SplitBatch, InTwoPartsIsTheBatchInOne) {
  std::unique_ptr<Device> device;
  ASSERT_EQ(GetParam().open(&device), Status::ok) << last_error();
  bool any = false;
  for (OpKind kind : {OpKind::conv2d_backward, OpKind::linear_backward, OpKind::softmax_cross_entropy}) {
    OpCase c = case_of(kind);
    c.precision = GetParam().precision;
    OpRun whole(*device, c), parts(*device, c);
    if (whole.status() == Status::unsupported) continue;
    ASSERT_EQ(whole.status(), Status::ok) << last_error();
    ASSERT_EQ(parts.status(), Status::ok) << last_error();
    any = true;
    const uint32_t ops = whole.has_backward() ? 2 : 1;
    whole.fill();
    whole.run(0, ops, whole.arguments());
    parts.fill();
    RunArguments arguments = parts.arguments();
    constexpr uint32_t split = 4;
    arguments.samples = split;
    parts.run(0, ops, arguments);
    std::vector<uint8_t> first_mask = parts.has("mask") ? parts.byte_values("mask") : std::vector<uint8_t>();
    move_to_front(&parts, split);
    arguments.samples = 9 - split;
    arguments.sample_offset = split;
    arguments.accumulate = true;
    parts.run(0, ops, arguments);
    for (const char* name : {"dweight", "dbias"}) {
      if (!whole.has(name)) continue;
      EXPECT_LE(normalised_square_error(parts.values(name), whole.values(name)), square_error_limit) << name;
    }
    if (kind == OpKind::softmax_cross_entropy) {
      EXPECT_EQ(parts.statistics().correct, whole.statistics().correct);
      EXPECT_NEAR(parts.statistics().loss_sum, whole.statistics().loss_sum, 1e-12 * whole.statistics().loss_sum);
    }
    // Without a ReLU a mask is dropout's alone, which depends on the sample's place in the batch.
    if (!whole.has("mask")) continue;
    std::vector<uint8_t> expected = whole.byte_values("mask");
    expected.resize(expected.size() / 9 * split);
    first_mask.resize(expected.size());
    EXPECT_EQ(first_mask, expected);
  }
  if (!any) GTEST_SKIP() << last_error();
}

INSTANTIATE_TEST_SUITE_P(Devices, SplitBatch, ::testing::ValuesIn(device_specs()), name_of);

}  // namespace
}  // namespace lt::ops
