// The matrix product on every instruction set of this machine, against sums in double: odd shapes, all transpositions,
// bias, ReLU and accumulation, nothing written outside C, and the same bits with any number of threads.
#include "backends/cpu/highway/gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "src/base/philox.h"

namespace lt::cpu::highway {
namespace {

constexpr float guard = -12345.5f;

std::vector<float> numbers(size_t count, uint64_t seed) {
  std::vector<float> result(count);
  for (size_t i = 0; i < count; ++i)
    result[i] = philox_uniform(philox4x32({{static_cast<uint32_t>(i), 0, 0, 0}}, seed).v[0]) * 2 - 1;
  return result;
}

struct Scratch {
  explicit Scratch(uint64_t bytes) : storage(bytes / sizeof(float) + 64, guard), bytes_(bytes) {
    void* pointer = storage.data();
    size_t space = storage.size() * sizeof(float);
    begin = static_cast<std::byte*>(std::align(64, bytes, pointer, space));
  }
  bool intact() const {
    const float* end = reinterpret_cast<const float*>(begin + bytes_);
    return std::all_of(end, storage.data() + storage.size(), [](float v) { return v == guard; });
  }
  std::vector<float> storage;
  std::byte* begin;
  uint64_t bytes_;
};

struct Case {
  GemmShape shape;
  bool bias = false, relu = false, accumulate = false;
  uint32_t gap = 0;  // between rows
};

// C as it lies in memory, guards between and around its rows included.
std::vector<float> product(const Case& test, ThreadPool* pool, Target target, bool b_packed = false) {
  const auto& [m, n, k, ta, tb] = test.shape;
  const size_t lda = (ta ? m : k) + test.gap, ldb = (tb ? k : n) + test.gap, ldc = n + test.gap;
  const auto a = numbers((ta ? k : m) * lda, 1), b = numbers((tb ? n : k) * ldb, 2), bias = numbers(n, 3);
  std::vector<float> c((m + 2) * ldc, guard);
  const auto old = numbers(m * n, 4);
  for (uint32_t i = 0; i < m; ++i)
    for (uint32_t j = 0; j < n; ++j)
      c[(i + 1) * ldc + j] = test.accumulate ? old[i * n + j] : std::numeric_limits<float>::quiet_NaN();
  GemmOperands operands{a.data(), lda, b.data(), ldb, c.data() + ldc, ldc};
  operands.bias = test.bias ? bias.data() : nullptr;
  operands.relu = test.relu;
  operands.accumulate = test.accumulate;
  Scratch packed(b_packed ? gemm_packed_bytes(test.shape, target) : 0);
  if (b_packed) {
    gemm_pack(test.shape, b.data(), ldb, pool, reinterpret_cast<float*>(packed.begin), target);
    EXPECT_TRUE(packed.intact());
    operands.b = reinterpret_cast<const float*>(packed.begin);
    operands.b_packed = true;
  }
  Scratch scratch(gemm_scratch_bytes(test.shape, pool ? pool->threads() : 1, target));
  gemm(test.shape, operands, pool, scratch.begin, target);
  EXPECT_TRUE(scratch.intact());
  return c;
}

void check(const Case& test, Target target) {
  const auto& [m, n, k, ta, tb] = test.shape;
  SCOPED_TRACE(testing::Message() << m << "x" << k << "x" << n << " a " << ta << " b " << tb << " bias " << test.bias
                                  << " relu " << test.relu << " accumulate " << test.accumulate << " gap " << test.gap);
  const size_t lda = (ta ? m : k) + test.gap, ldb = (tb ? k : n) + test.gap, ldc = n + test.gap;
  const auto a = numbers((ta ? k : m) * lda, 1), b = numbers((tb ? n : k) * ldb, 2), bias = numbers(n, 3),
             old = numbers(m * n, 4);
  const auto c = product(test, nullptr, target);
  for (uint32_t i = 0; i < m + 2; ++i)
    for (size_t j = 0; j < ldc; ++j) {
      const float got = c[i * ldc + j];
      if (i == 0 || i == m + 1 || j >= n) {
        ASSERT_EQ(got, guard) << "written outside at row " << i << " column " << j;
        continue;
      }
      const size_t row = i - 1;
      double sum = 0, magnitude = 1;
      for (size_t l = 0; l < k; ++l) {
        const double term = double{a[ta ? l * lda + row : row * lda + l]} * double{b[tb ? j * ldb + l : l * ldb + j]};
        sum += term;
        magnitude += std::fabs(term);
      }
      if (test.accumulate) sum += double{old[row * n + j]};
      if (test.bias) sum += double{bias[j]};
      if (test.relu) sum = std::max(sum, 0.0);
      // Each of the sums' roundings is at most half a unit of the largest partial sum; k of them rarely add up.
      ASSERT_NEAR(got, sum, 4e-7 * magnitude) << "row " << row << " column " << j;
    }
}

class Gemm : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    if (!target_supported(GetParam())) GTEST_SKIP() << target_name(GetParam()) << " is not usable here";
  }
};

TEST_P(Gemm, odd_shapes_and_all_transpositions) {
  constexpr uint32_t sizes[] = {1, 3, 17, 63, 64, 65, 100, 127};
  for (const uint32_t m : sizes)
    for (const uint32_t n : sizes)
      for (const uint32_t k : {1u, 17u, 64u})
        for (const bool ta : {false, true})
          for (const bool tb : {false, true})
            for (const bool epilogue : {false, true}) {
              check({{m, n, k, ta, tb}, epilogue && m % 2 == 0, epilogue && n % 2 == 1, false, 0}, GetParam());
              if (HasFatalFailure()) return;
            }
}

TEST_P(Gemm, epilogues_and_gaps_between_rows) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true})
      for (const bool bias : {false, true})
        for (const bool relu : {false, true})
          for (const bool accumulate : {false, true})
            for (const uint32_t n : {10u, 96u}) {
              check({{13, n, 300, ta, tb}, bias, relu, accumulate, 5}, GetParam());
              if (HasFatalFailure()) return;
            }
}

TEST_P(Gemm, depths_around_the_block) {
  for (const uint32_t k : {255u, 256u, 257u, 511u, 513u, 1000u})
    for (const bool ta : {false, true})
      for (const bool tb : {false, true})
        for (const bool accumulate : {false, true}) {
          check({{21, 70, k, ta, tb}, false, false, accumulate, 1}, GetParam());
          if (HasFatalFailure()) return;
        }
}

// Larger than a block both ways: several panels, tiles of two heights, parts of vectors at the end.
TEST_P(Gemm, several_blocks) {
  for (const auto& [m, n] : {std::pair{1500u, 10u}, {10u, 1500u}, {410u, 270u}})
    for (const bool ta : {false, true})
      for (const bool tb : {false, true})
        for (const bool accumulate : {false, true}) {
          check({{m, n, 300, ta, tb}, false, false, accumulate, 0}, GetParam());
          if (HasFatalFailure()) return;
        }
}

TEST_P(Gemm, nothing_to_sum) {
  check({{5, 19, 0, false, false}, true, true, false, 0}, GetParam());
  check({{5, 19, 0, false, false}, false, false, true, 0}, GetParam());
}

TEST_P(Gemm, infinities_and_nans_pass) {
  const float a[2] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}, b[17] = {1, -1};
  float c[34];
  GemmOperands operands{a, 1, b, 17, c, 17};
  operands.relu = true;
  Scratch scratch(gemm_scratch_bytes({2, 17, 1}, 1, GetParam()));
  gemm({2, 17, 1}, operands, nullptr, scratch.begin, GetParam());
  for (int j = 0; j < 17; ++j) EXPECT_TRUE(std::isnan(c[j])) << j;
  EXPECT_EQ(c[17], std::numeric_limits<float>::infinity());
  EXPECT_EQ(c[18], 0);
  EXPECT_TRUE(std::isnan(c[19]));
}

TEST_P(Gemm, same_bits_with_any_number_of_threads) {
  const Case cases[] = {
      {{64, 300, 520, false, false}, true, true, false, 0},  {{300, 130, 64, true, false}, false, false, true, 3},
      {{65, 700, 129, false, true}, false, false, false, 0}, {{500, 10, 784, false, false}, true, false, false, 0},
      {{700, 10, 300, true, false}, false, false, true, 0},  {{33, 40, 300, true, true}, false, false, false, 0}};
  for (const Case& test : cases) {
    const auto expected = product(test, nullptr, GetParam());
    for (const uint32_t threads : {1u, 2u, 3u, 5u}) {
      std::unique_ptr<ThreadPool> pool;
      ASSERT_TRUE(ok(ThreadPool::create(threads, &pool)));
      const auto c = product(test, pool.get(), GetParam());
      ASSERT_EQ(std::memcmp(c.data(), expected.data(), c.size() * sizeof(float)), 0) << threads << " threads";
    }
  }
}

TEST_P(Gemm, rows_do_not_depend_on_the_others) {
  for (const bool tb : {false, true}) {
    const Case all{{140, 150, 600, false, tb}, !tb, !tb, false, 0};
    const auto expected = product(all, nullptr, GetParam());
    for (const uint32_t m : {1u, 7u, 64u, 139u}) {
      Case some = all;
      some.shape.m = m;
      const auto c = product(some, nullptr, GetParam());
      ASSERT_EQ(std::memcmp(c.data() + 150, expected.data() + 150, size_t{m} * 150 * sizeof(float)), 0) << m << " rows";
    }
  }
}

TEST_P(Gemm, packed_b_gives_the_same_bits) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true})
      for (const uint32_t m : {1u, 25u, 140u})
        for (const uint32_t n : {10u, 150u, 320u})
          for (const uint32_t k : {64u, 300u}) {
            const Case test{{m, n, k, ta, tb}, true, !ta, false, 3};
            const auto expected = product(test, nullptr, GetParam());
            const auto c = product(test, nullptr, GetParam(), true);
            ASSERT_EQ(std::memcmp(c.data(), expected.data(), c.size() * sizeof(float)), 0) << m << "x" << k << "x" << n;
          }
}

// Panels of two widths, one thread alone, and C a part of a larger matrix: as a gradient is computed strip by strip.
TEST_P(Gemm, strips_of_rows_have_the_bits_of_the_whole) {
  constexpr uint32_t m = 300, n = 335, k = 64, strip = 70;
  const auto a = numbers(m * k, 1), b = numbers(n * k, 2);
  std::vector<float> whole(m * n), strips(m * n);
  std::unique_ptr<ThreadPool> pool;
  ASSERT_TRUE(ok(ThreadPool::create(2, &pool)));
  const GemmShape shape{m, n, k, true, false};
  Scratch scratch(gemm_scratch_bytes(shape, 2, GetParam())), packed(gemm_packed_bytes(shape, GetParam()));
  gemm(shape, {a.data(), m, b.data(), n, whole.data(), n}, pool.get(), scratch.begin, GetParam());
  gemm_pack(shape, b.data(), n, pool.get(), reinterpret_cast<float*>(packed.begin), GetParam());
  for (uint32_t row = 0; row < m; row += strip) {
    GemmShape part = shape;
    part.m = std::min(strip, m - row);
    GemmOperands operands{a.data() + row, m, reinterpret_cast<const float*>(packed.begin), 0, strips.data() + row * n, n};
    operands.b_packed = true;
    gemm(part, operands, nullptr, scratch.begin, GetParam());
  }
  EXPECT_EQ(std::memcmp(whole.data(), strips.data(), whole.size() * sizeof(float)), 0);
}

TEST_P(Gemm, scratch_grows_with_the_rows) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      uint64_t before = 0;
      for (uint32_t m = 1; m < 1000; m += 7) {
        const uint64_t bytes = gemm_scratch_bytes({m, 300, 200, ta, tb}, 2, GetParam());
        EXPECT_GE(bytes, before);
        before = bytes;
      }
    }
}

std::string name_of(const testing::TestParamInfo<Target>& info) {
  std::string name = target_name(info.param);
  std::erase(name, '-');
  return name;
}

#if defined(__aarch64__)
INSTANTIATE_TEST_SUITE_P(Targets, Gemm, testing::Values(Target::neon), name_of);
#else
INSTANTIATE_TEST_SUITE_P(Targets, Gemm, testing::Values(Target::baseline, Target::sse4, Target::avx2, Target::avx512),
                         name_of);
#endif

}  // namespace
}  // namespace lt::cpu::highway
