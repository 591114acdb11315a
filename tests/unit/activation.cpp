// ReLU and dropout rows on every instruction set of this machine, against the scalar definitions.
#include "backends/cpu/highway/activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "src/base/philox.h"
#include "src/op.h"

namespace lt::cpu::highway {
namespace {

constexpr uint64_t lengths[] = {1, 3, 7, 8, 15, 16, 17, 31, 32, 33, 50, 63, 64, 65, 127, 1024, 1031};
constexpr uint8_t guard_byte = 0xA5;
constexpr uint64_t guard_bytes = 64;

std::vector<float> values(uint64_t elements, uint64_t seed) {
  std::vector<float> result(elements);
  for (uint64_t e = 0; e < elements; ++e)
    result[e] = philox_uniform(philox4x32({{static_cast<uint32_t>(e), 0, 0, 0}}, seed).v[0]) * 2 - 1;
  if (elements > 4) {
    result[1] = 0;
    result[2] = -0.0f;
    result[elements / 2] = std::numeric_limits<float>::quiet_NaN();
    result[elements - 1] = std::numeric_limits<float>::infinity();
  }
  return result;
}

bool same(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

class Activation : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    if (!target_supported(GetParam())) GTEST_SKIP() << target_name(GetParam()) << " is not usable here";
  }
};

TEST_P(Activation, forward_is_relu_then_dropout) {
  const auto forward = for_target(activation_forward_table, GetParam());
  for (const uint64_t elements : lengths)
    for (const bool relu : {false, true})
      for (const float rate : {0.0f, 0.25f, 0.4f, 0.5f}) {
        const Dropout dropout{0x123456789abcdef0, (uint64_t{1} << 32) + 7, 3, rate};
        const uint32_t sample = 4000000000u;
        const std::vector<float> x = values(elements, 5);
        std::vector<float> y = x;
        y.push_back(77);
        std::vector<uint8_t> mask(mask_row_bytes(elements) + guard_bytes, guard_byte);
        forward(y.data(), elements, relu, &dropout, sample, mask.data());
        for (uint64_t e = 0; e < elements; ++e) {
          const bool keep = dropout_keeps(dropout.seed, dropout.step, 3, sample, static_cast<uint32_t>(e), rate);
          const float value = relu && x[e] < 0 ? 0 : x[e];
          ASSERT_TRUE(same(y[e], keep ? value * (1 / (1 - rate)) : 0))
              << elements << " " << e << " " << x[e] << " " << y[e];
          ASSERT_EQ(mask[e / 8] >> (e % 8) & 1, keep && (!relu || x[e] > 0)) << elements << " " << e;
        }
        for (uint64_t e = elements; e < mask_row_bytes(elements) * 8; ++e) ASSERT_EQ(mask[e / 8] >> (e % 8) & 1, 0);
        for (uint64_t b = mask_row_bytes(elements); b < mask.size(); ++b) ASSERT_EQ(mask[b], guard_byte);
        ASSERT_EQ(y.back(), 77);
      }
}

TEST_P(Activation, forward_without_dropout_writes_no_mask) {
  const auto forward = for_target(activation_forward_table, GetParam());
  for (const uint64_t elements : lengths)
    for (const bool relu : {false, true}) {
      const std::vector<float> x = values(elements, 6);
      std::vector<float> y = x;
      forward(y.data(), elements, relu, nullptr, 0, nullptr);
      for (uint64_t e = 0; e < elements; ++e) ASSERT_TRUE(same(y[e], relu && x[e] < 0 ? 0 : x[e])) << elements << " " << e;
    }
}

TEST_P(Activation, backward_passes_what_the_mask_or_relu_passes) {
  const auto backward = for_target(activation_backward_table, GetParam());
  for (const uint64_t elements : lengths)
    for (const bool relu : {false, true})
      for (const bool masked : {false, true})
        for (const bool in_place : {false, true}) {
          const std::vector<float> dy = values(elements, 7), y = values(elements, 8);
          std::vector<uint8_t> mask(mask_row_bytes(elements));
          for (size_t b = 0; b < mask.size(); ++b) mask[b] = static_cast<uint8_t>(b * 157 + 91);
          std::vector<float> dz = dy;
          if (!in_place) dz.assign(elements, -9);
          dz.push_back(77);
          backward(in_place ? dz.data() : dy.data(), relu && !masked ? y.data() : nullptr, masked ? mask.data() : nullptr,
                   elements, relu, 1.5f, dz.data());
          for (uint64_t e = 0; e < elements; ++e) {
            float expected = dy[e];
            if (masked)
              expected = mask[e / 8] >> (e % 8) & 1 ? dy[e] * 1.5f : 0;
            else if (relu && !(y[e] > 0))
              expected = 0;
            ASSERT_TRUE(same(dz[e], expected)) << elements << " " << e;
          }
          ASSERT_EQ(dz.back(), 77);
        }
}

std::vector<Target> all_targets() {
  std::vector<Target> targets;
  for (size_t i = 0; i < target_count; ++i) targets.push_back(static_cast<Target>(i));
  return targets;
}

std::string name_of(const testing::TestParamInfo<Target>& info) { return "target" + std::to_string(info.index); }

INSTANTIATE_TEST_SUITE_P(targets, Activation, testing::ValuesIn(all_targets()), name_of);

}  // namespace
}  // namespace lt::cpu::highway
