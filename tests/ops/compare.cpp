// Every case on every device against the reference device; and that no kind of operation is without a case.
#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "tests/ops/devices.h"
#include "tools/selftest/op_cases.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

using Parameters = std::tuple<DeviceSpec, OpKind>;
class Compare : public ::testing::TestWithParam<Parameters> {};

TEST_P(Compare, EqualsReference) {
  const auto& [spec, kind] = GetParam();
  std::unique_ptr<Device> device;
  ASSERT_EQ(spec.open(&device), Status::ok) << last_error();
  // A device serves all cases of a kind, or none; those of sequences, those that read a row for many steps, and those with
  // residuals count by themselves.
  size_t run[4] = {}, without_kernel[4] = {};
  std::string why;
  for (OpCase c : all_cases()) {
    if (c.op.kind != kind || !fits(c, spec.precision)) continue;
    c.precision = spec.precision;
    const bool sequence = c.time_steps != 0 || (kind == OpKind::input && c.op.x_dtype == DType::i32);
    const int group = c.rows_once ? 3 : sequence ? 1 : c.residual != OpCase::Residual::none ? 2 : 0;
    if (expect_equals_reference(*device, c)) {
      ++run[group];
    } else {
      ++without_kernel[group];
      why = c.name + ": " + last_error();
    }
    if (HasFatalFailure()) return;
  }
  size_t ran = 0, refused = 0;
  for (const int group : {0, 1, 2, 3}) {
    EXPECT_TRUE(run[group] == 0 || without_kernel[group] == 0) << "the last one was " << why;
    ran += run[group];
    refused += without_kernel[group];
  }
  EXPECT_GT(ran + refused, 0u);
  if (ran == 0) GTEST_SKIP() << why;
}

std::vector<OpKind> kinds() {
  std::vector<OpKind> list;
  for (unsigned kind = 0; kind < 256; ++kind)
    if (op_kind_name(static_cast<OpKind>(kind)) != nullptr) list.push_back(static_cast<OpKind>(kind));
  return list;
}

// One of each group: the others have to give its bits, which is a test of its own.
std::vector<DeviceSpec> groups_of(const std::vector<DeviceSpec>& specs) {
  std::vector<DeviceSpec> list;
  for (const DeviceSpec& spec : specs)
    if (list.empty() || spec.same_bits_group != list.back().same_bits_group) list.push_back(spec);
  return list;
}

std::string name_of(const ::testing::TestParamInfo<Parameters>& parameters) {
  return std::get<0>(parameters.param).name + "_" + op_kind_name(std::get<1>(parameters.param));
}

INSTANTIATE_TEST_SUITE_P(Devices, Compare,
                         ::testing::Combine(::testing::ValuesIn(groups_of(device_specs())), ::testing::ValuesIn(kinds())),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Int8, Compare,
                         ::testing::Combine(::testing::ValuesIn(groups_of(int8_device_specs())),
                                            ::testing::Values(OpKind::input, OpKind::conv2d, OpKind::average_pool)),
                         name_of);

TEST(Cases, CoverEveryKindOfOperation) {
  std::set<OpKind> covered;
  std::set<std::string> names;
  for (const OpCase& c : all_cases()) {
    covered.insert(c.op.kind);
    EXPECT_TRUE(names.insert(c.name).second) << "two cases are called " << c.name;
  }
  for (OpKind kind : kinds()) EXPECT_TRUE(covered.count(kind)) << op_kind_name(kind) << " has no case";
}

}  // namespace
}  // namespace lt::ops
