// Rounding to bfloat16: the scalar definition against the distances to its neighbours, and the rows of every instruction
// set of this machine against the scalar definition.
#include "src/base/bf16.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "backends/cpu/highway/bf16.h"

namespace lt::cpu::highway {
namespace {

constexpr uint16_t infinity_bits = 0x7f80;

// Of numbers of one sign; infinity counts as the number behind the largest one, 2^128.
double magnitude(uint16_t bits) { return bits == infinity_bits ? 0x1p128 : static_cast<double>(to_float(Bf16{bits})); }

TEST(Bf16, RoundsToTheNearestAndOfTwoToTheEvenOne) {
  for (uint16_t below = 0; below < infinity_bits; ++below) {
    const auto above = static_cast<uint16_t>(below + 1);
    const double low = magnitude(below), high = magnitude(above);
    for (const uint32_t rest : {0u, 1u, 0x1234u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      const auto value = std::bit_cast<float>(uint32_t{below} << 16 | rest);
      const double to_low = static_cast<double>(value) - low, to_high = high - static_cast<double>(value);
      const uint16_t expected = to_low < to_high ? below : to_high < to_low ? above : below & 1 ? above : below;
      ASSERT_EQ(to_bf16(value).bits, expected) << value;
      ASSERT_EQ(to_bf16(-value).bits, expected | 0x8000) << value;
    }
  }
}

TEST(Bf16, KeepsInfinityAndNaN) {
  EXPECT_EQ(to_bf16(INFINITY).bits, 0x7f80);
  EXPECT_EQ(to_bf16(-INFINITY).bits, 0xff80);
  // With ones in the lower half alone too, which would become infinity if they were cut off, or zero by rounding up.
  for (const uint32_t nan : {0x7fc00000u, 0x7f800001u, 0x7fffffffu, 0xff800001u, 0xffffffffu})
    EXPECT_EQ(to_bf16(std::bit_cast<float>(nan)).bits, 0x7fff);
}

TEST(Bf16, WidensWithoutALoss) {
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const Bf16 value{static_cast<uint16_t>(bits)};
    if (!std::isnan(to_float(value))) {
      ASSERT_EQ(to_bf16(to_float(value)).bits, bits);
    }
  }
}

class Rows : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    if (!target_supported(GetParam())) GTEST_SKIP() << target_name(GetParam()) << " is not usable here";
  }
};

TEST_P(Rows, RoundAsOneNumberDoes) {
  std::vector<float> from;
  for (uint32_t upper = 0; upper <= 0xffff; ++upper)
    for (const uint32_t rest : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      from.push_back(std::bit_cast<float>(upper << 16 | rest));
  std::vector<Bf16> to(from.size());
  for_target(round_row_table, GetParam())(from.data(), from.size(), to.data());
  for (size_t i = 0; i < from.size(); ++i)
    ASSERT_EQ(to[i].bits, to_bf16(from[i]).bits) << std::hex << std::bit_cast<uint32_t>(from[i]);
}

TEST_P(Rows, WidenAsOneNumberDoes) {
  std::vector<Bf16> from;
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) from.push_back({static_cast<uint16_t>(bits)});
  std::vector<float> to(from.size());
  for_target(widen_row_table, GetParam())(from.data(), from.size(), to.data());
  for (size_t i = 0; i < from.size(); ++i) ASSERT_EQ(std::bit_cast<uint32_t>(to[i]), uint32_t{from[i].bits} << 16);
}

TEST_P(Rows, OfAnyLengthWriteNothingElse) {
  for (size_t elements = 0; elements < 70; ++elements) {
    const std::vector<float> wide(elements, 1.5f);
    std::vector<Bf16> narrow(elements + 1, Bf16{0x1234});
    for_target(round_row_table, GetParam())(wide.data(), elements, narrow.data());
    std::vector<float> again(elements + 1, 77.0f);
    for_target(widen_row_table, GetParam())(narrow.data(), elements, again.data());
    for (size_t i = 0; i < elements; ++i) ASSERT_EQ(again[i], 1.5f);
    ASSERT_EQ(narrow.back().bits, 0x1234);
    ASSERT_EQ(again.back(), 77.0f);
  }
}

std::vector<Target> all_targets() {
  std::vector<Target> targets;
  for (size_t i = 0; i < target_count; ++i) targets.push_back(static_cast<Target>(i));
  return targets;
}

std::string name_of(const testing::TestParamInfo<Target>& info) { return "target" + std::to_string(info.index); }

INSTANTIATE_TEST_SUITE_P(Targets, Rows, testing::ValuesIn(all_targets()), name_of);

}  // namespace
}  // namespace lt::cpu::highway
