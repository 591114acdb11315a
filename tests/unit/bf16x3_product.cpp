// Products in thirds against sums in double of the same floats, and against a chain of fp32 multiply-adds, which is not to
// be more exact: shapes around every tail, sums that begin with a bias or are added to, A turned round that meets a part of
// B, numbers of all sizes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backends/cpu/bf16x3/product.h"
#include "src/base/philox.h"

namespace lt::cpu::bf16x3 {
namespace {

// Numbers with full fractions, between -scale and scale.
std::vector<float> numbers(uint64_t count, uint32_t salt, float scale) {
  std::vector<float> values(count);
  for (uint64_t i = 0; i < count; ++i)
    values[i] = (philox_uniform(philox4x32({{static_cast<uint32_t>(i), 0, salt, 0}}, 1).v[0]) * 2 - 1) * scale;
  return values;
}

// Memory at a line's beginning, of numbers that nothing may be made of.
template <class T>
class Lines {
 public:
  explicit Lines(uint64_t count) : storage_(count * sizeof(T) + 64, 0xff) {
    const auto at = reinterpret_cast<uintptr_t>(storage_.data());
    first_ = reinterpret_cast<T*>((at + 63) & ~uintptr_t{63});
  }
  T* get() const { return first_; }

 private:
  std::vector<uint8_t> storage_;
  T* first_;
};

enum class Start : uint8_t { zeros, bias, sums };

struct Case {
  uint32_t rows, columns, depth;
  Start start = Start::zeros;
  bool weights_transposed = false;
  bool transposed = false;          // A
  uint32_t first = 0, b_depth = 0;  // where A meets B; 0: B is as deep as A
  float a_scale = 1, b_scale = 1;
};

struct Errors {
  double thirds, chain;  // relative norms
  double largest;        // of thirds, over the sum of the products' sizes
};

Errors errors_of(const Case& test) {
  const uint32_t m = test.rows, n = test.columns, k = test.depth;
  const uint32_t b_depth = test.b_depth != 0 ? test.b_depth : k;
  const std::vector<float> a = numbers(uint64_t{m} * k, 1, test.a_scale);
  const std::vector<float> b = numbers(uint64_t{b_depth} * n, 2, test.b_scale);
  const std::vector<float> start = numbers(uint64_t{m} * n, 3, test.a_scale * test.b_scale);
  const auto a_at = [&](uint32_t row, uint32_t i) {
    return test.transposed ? a[uint64_t{i} * m + row] : a[uint64_t{row} * k + i];
  };
  std::vector<float> lying(b.size());
  for (uint32_t i = 0; i < b_depth; ++i)
    for (uint32_t column = 0; column < n; ++column)
      lying[test.weights_transposed ? uint64_t{column} * b_depth + i : uint64_t{i} * n + column] =
          b[uint64_t{i} * n + column];

  const Lines<uint16_t> split(split_elements(n, b_depth));
  split_weights(lying.data(), test.weights_transposed ? b_depth : n, test.weights_transposed, n, b_depth, split.get());
  // C has a column more, which stays as it is.
  const uint32_t stride = n + 1;
  constexpr float guard = -12345.5f;
  std::vector<float> c(uint64_t{m} * stride, guard);
  for (uint32_t row = 0; row < m; ++row)
    for (uint32_t column = 0; column < n; ++column)
      c[row * stride + column] =
          test.start == Start::sums ? start[row * n + column] : std::numeric_limits<float>::quiet_NaN();
  const Lines<float> scratch(scratch_floats(m, k));
  const Columns columns{split.get(), n, c.data(), test.start == Start::bias ? start.data() : nullptr,
                        test.start == Start::sums};
  multiply({a.data(), test.transposed ? m : k, m, k, test.transposed}, test.first, b_depth, &columns, 1, stride,
           scratch.get());

  double thirds = 0, chain = 0, norm = 0, largest = 0;
  for (uint32_t row = 0; row < m; ++row) {
    EXPECT_EQ(c[row * stride + n], guard);
    for (uint32_t column = 0; column < n; ++column) {
      const float begin = test.start == Start::zeros  ? 0
                          : test.start == Start::bias ? start[column]
                                                      : start[row * n + column];
      double sum = begin, sizes = std::abs(sum);
      float fp32 = begin;
      for (uint32_t i = 0; i < k; ++i) {
        const float left = a_at(row, i), right = b[uint64_t{test.first + i} * n + column];
        sum += static_cast<double>(left) * static_cast<double>(right);
        sizes += std::abs(static_cast<double>(left) * static_cast<double>(right));
        fp32 = std::fma(left, right, fp32);
      }
      const double error = static_cast<double>(c[row * stride + column]) - sum;
      thirds += error * error;
      chain += (static_cast<double>(fp32) - sum) * (static_cast<double>(fp32) - sum);
      norm += sum * sum;
      largest = std::isnan(error) ? error : std::max(largest, std::abs(error) / sizes);
      if (std::isnan(error)) return {error, 0, error};
    }
  }
  return {std::sqrt(thirds / norm), std::sqrt(chain / norm), largest};
}

class Bf16x3Product : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!supported()) GTEST_SKIP() << "this processor has no AMX";
  }
  static void expect_exact(const Case& test) {
    SCOPED_TRACE(std::to_string(test.rows) + " x " + std::to_string(test.columns) + " x " + std::to_string(test.depth) +
                 " from " + std::to_string(test.first));
    const Errors errors = errors_of(test);
    // What the six products leave out is below 2^-23 of each product; the rest is rounding, two sums deep for each chunk.
    EXPECT_LE(errors.largest, 6e-7);
    // Short sums in fp32 are nearly exact; there no more than a rounding is asked.
    EXPECT_LE(errors.thirds, std::max(errors.chain, 1.5e-7));
  }
};

TEST_F(Bf16x3Product, IsAsExactAsAChainInFp32) {
  const struct {
    uint32_t m, n, k;
  } shapes[] = {{1, 1, 1},    {1, 17, 2},    {5, 16, 31},    {16, 32, 32},  {17, 33, 33},    {25, 50, 64},
                {31, 10, 65}, {33, 100, 97}, {25, 160, 320}, {64, 48, 450}, {257, 161, 330}, {3, 339, 1283}};
  for (const auto& [m, n, k] : shapes)
    for (const Start start : {Start::zeros, Start::bias, Start::sums})
      for (const bool transposed : {false, true}) expect_exact({m, n, k, start, transposed, !transposed && m > 1});
}

TEST_F(Bf16x3Product, MeetsAPartOfB) {
  for (const uint32_t first : {1u, 25u, 32u, 70u})
    for (const uint32_t depth : {1u, 31u, 230u}) {
      Case test{37, 49, depth, Start::sums, false, true};
      test.first = first;
      test.b_depth = 300;
      expect_exact(test);
    }
}

TEST_F(Bf16x3Product, TakesNumbersOfAllSizes) {
  for (const float scale : {1e-18f, 1e-9f, 1e9f, 1e18f})
    for (const bool inverse : {false, true}) {
      Case test{25, 40, 300, Start::bias};
      test.a_scale = scale;
      test.b_scale = inverse ? 1 / scale : 1;
      expect_exact(test);
    }
}

TEST_F(Bf16x3Product, KeepsNanToItsRowOrColumn) {
  constexpr uint32_t m = 20, n = 20, k = 40;
  std::vector<float> a = numbers(m * k, 1, 1), b = numbers(k * n, 2, 1), c(m * n);
  a[3 * k + 5] = std::numeric_limits<float>::quiet_NaN();
  a[7 * k + 6] = std::numeric_limits<float>::infinity();
  b[9 * n + 11] = std::numeric_limits<float>::quiet_NaN();
  const Lines<uint16_t> split(split_elements(n, k));
  split_weights(b.data(), n, false, n, k, split.get());
  const Lines<float> scratch(scratch_floats(m, k));
  const Columns columns{split.get(), n, c.data(), nullptr, false};
  multiply({a.data(), k, m, k, false}, 0, k, &columns, 1, n, scratch.get());
  for (uint32_t row = 0; row < m; ++row)
    for (uint32_t column = 0; column < n; ++column)
      EXPECT_EQ(std::isnan(c[row * n + column]), row == 3 || row == 7 || column == 11) << row << " " << column;
}

}  // namespace
}  // namespace lt::cpu::bf16x3
