// The bf16 units' products and the packing in front of them, against sums in double of the same numbers: shapes around
// every tail, both ways of packing, rows that overlap, segments, sums that are added to.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "backends/cpu/bf16/pack.h"
#include "backends/cpu/bf16/product.h"
#include "backends/cpu/bf16/rows.h"
#include "src/base/philox.h"

namespace lt::cpu::bf16 {
namespace {

float widened(uint16_t bits) {
  const uint32_t word = uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

// Numbers with full fractions, of magnitudes 1 to 2, either sign.
std::vector<uint16_t> numbers(uint64_t count, uint32_t salt) {
  std::vector<uint16_t> values(count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint32_t word = philox4x32({{static_cast<uint32_t>(i), 0, salt, 0}}, 1).v[0];
    values[i] = static_cast<uint16_t>((word & 0x8000u) | 0x3f80u | (word & 0x7fu));
  }
  return values;
}

// Numbers that nothing may be made of: NaN.
template <class T>
std::vector<T> untouched(uint64_t count) {
  std::vector<T> values(count);
  std::memset(values.data(), 0xFF, count * sizeof(T));
  return values;
}

class Bf16Product : public ::testing::TestWithParam<Unit> {
 protected:
  void SetUp() override {
    if (!unit_supported(GetParam())) GTEST_SKIP() << "this processor has no " << unit_name(GetParam());
  }
};

TEST_P(Bf16Product, EqualsSumsInDouble) {
  const struct {
    uint32_t m, n, k;
  } shapes[] = {{1, 1, 1},    {1, 17, 2},   {5, 16, 31},   {16, 32, 32}, {17, 33, 33},
                {25, 50, 64}, {31, 10, 65}, {33, 100, 97}, {64, 48, 450}};
  for (const auto& [m, n, k] : shapes) {
    const std::vector<uint16_t> a = numbers(uint64_t{m} * k, 1), b = numbers(uint64_t{k} * n, 2);
    std::vector<uint16_t> b_transposed(b.size());
    for (uint32_t i = 0; i < k; ++i)
      for (uint32_t j = 0; j < n; ++j) b_transposed[uint64_t{j} * k + i] = b[uint64_t{i} * n + j];
    const uint32_t chunks = chunks_of(k), blocks = blocks_of(n);
    const uint64_t step = uint64_t{chunks} * block_elements, row = uint64_t{chunks} * block_depth;
    auto packed = untouched<uint16_t>(blocks * step), packed_too = packed, padded = untouched<uint16_t>(m * row);
    pack_rows({b.data(), n, k, n}, step, packed.data());
    pack_columns({b_transposed.data(), k, n, k}, step, packed_too.data());
    EXPECT_EQ(packed, packed_too) << m << " x " << n << " x " << k;
    pad_rows({a.data(), k, m, k}, padded.data());
    auto c = untouched<float>(uint64_t{m} * blocks * block_columns);
    const uint32_t rows = tile_rows(GetParam(), m);
    multiply(Products(GetParam(), rows), rows,
             {padded.data(), packed.data(), c.data(), row, blocks * block_columns, m, blocks, chunks, step});
    for (uint32_t i = 0; i < m; ++i)
      for (uint32_t j = 0; j < blocks * block_columns; ++j) {
        double sum = 0, magnitude = 0;
        for (uint32_t l = 0; j < n && l < k; ++l) {
          const double product =
              static_cast<double>(widened(a[uint64_t{i} * k + l])) * static_cast<double>(widened(b[uint64_t{l} * n + j]));
          sum += product;
          magnitude += std::fabs(product);
        }
        // Each of the k additions rounds once, by no more than 2^-23 of what is summed.
        ASSERT_NEAR(c[uint64_t{i} * blocks * block_columns + j], sum, magnitude * k * 0x1p-23)
            << m << " x " << n << " x " << k << " at " << i << ", " << j;
      }
  }
}

TEST_P(Bf16Product, SegmentsOfOverlappingRowsAddToWhatThereIs) {
  constexpr uint32_t rows = 7, segments = 3, chunks = 2, step = 5, segment_step = 101;
  const std::vector<uint16_t> a = numbers(segments * segment_step + 2 * rows * step + chunks * block_depth, 3);
  const std::vector<uint16_t> b = numbers(uint64_t{2} * segments * (chunks + 1) * block_elements, 4);
  std::vector<float> c(uint64_t{2} * rows * 2 * block_columns, 100.0f);
  Product product{};
  product.a[0] = a.data();
  product.a[1] = a.data() + rows * step;
  product.c[0] = c.data();
  product.c[1] = c.data() + rows * 2 * block_columns;
  product.b = b.data();
  product.a_row = step;
  product.a_segment = segment_step;
  product.b_columns = uint64_t{segments} * (chunks + 1) * block_elements;  // a block that is not read behind each segment
  product.b_segment = uint64_t{chunks + 1} * block_elements;
  product.c_row = 2 * block_columns;
  product.tiles = product.columns = 2;
  product.segments = segments;
  product.chunks = chunks;
  product.accumulate = true;
  Products(GetParam(), rows)(product);
  for (uint32_t row = 0; row < 2 * rows; ++row)
    for (uint32_t column = 0; column < 2 * block_columns; ++column) {
      double sum = 100;
      for (uint32_t segment = 0; segment < segments; ++segment)
        for (uint32_t k = 0; k < chunks * block_depth; ++k) {
          const uint64_t block = (column / block_columns * segments + segment) * (chunks + 1) + k / block_depth;
          const uint64_t place =
              block * block_elements + k % block_depth / 2 * 2 * block_columns + column % block_columns * 2 + k % 2;
          sum += static_cast<double>(widened(a[segment * segment_step + row * step + k])) *
                 static_cast<double>(widened(b[place]));
        }
      ASSERT_NEAR(c[row * 2 * block_columns + column], sum, 0.02) << row << ", " << column;  // 192 additions to about 100
    }
}

TEST_P(Bf16Product, TransposesWithAndWithoutFilling) {
  for (const auto& [rows, columns] : {std::pair{1u, 1u}, {31u, 17u}, {32u, 32u}, {33u, 50u}, {70u, 65u}}) {
    const std::vector<uint16_t> from = numbers(uint64_t{rows} * columns, 5);
    const uint64_t filled = uint64_t{chunks_of(rows)} * block_depth;
    auto to = untouched<uint16_t>(columns * filled), exact = untouched<uint16_t>(uint64_t{columns} * (rows + 1));
    transpose({from.data(), columns, rows, columns}, filled, to.data());
    transpose({from.data(), columns, rows, columns}, rows + 1, rows, exact.data());
    for (uint64_t column = 0; column < columns; ++column) {
      for (uint64_t row = 0; row < filled; ++row)
        ASSERT_EQ(to[column * filled + row], row < rows ? from[row * columns + column] : 0) << row << ", " << column;
      for (uint64_t row = 0; row <= rows; ++row)
        ASSERT_EQ(exact[column * (rows + 1) + row], row < rows ? from[row * columns + column] : 0xFFFF);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Units, Bf16Product, ::testing::Values(Unit::avx512_bf16, Unit::amx),
                         [](const ::testing::TestParamInfo<Unit>& parameters) {
                           return std::string(unit_name(parameters.param));
                         });

TEST(Bf16Unit, EveryOneHasItsNameAndTheBestIsSupported) {
  EXPECT_TRUE(unit_supported(Unit::none));
  EXPECT_TRUE(unit_supported(unit_best()));
  EXPECT_STREQ(unit_name(Unit::amx), "AMX");
  EXPECT_STREQ(unit_name(Unit::avx512_bf16), "AVX512_BF16");
}

}  // namespace
}  // namespace lt::cpu::bf16
