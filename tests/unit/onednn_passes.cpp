// The passes around oneDNN's products, on every instruction set of this machine, against plain loops: channels that do not
// fill vectors, windows that overlap, leave gaps or reach over the border, NaN, ties. One thread.
#include "backends/cpu/onednn/passes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace lt::cpu::onednn {
namespace {

using highway::for_target;
using highway::Target;

class Passes : public testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    if (!highway::target_supported(target())) GTEST_SKIP() << highway::target_name(target());
  }
  Target target() const { return static_cast<Target>(GetParam()); }

  // Whole numbers, of which sums are exact in any order, and ties frequent.
  std::vector<float> numbers(uint64_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(static_cast<int>(random_() % 9) - 4);
    return values;
  }
  std::mt19937 random_{11};
};

struct Shape {
  uint32_t height, width, channels;
  Window window;
};

constexpr Shape shapes[] = {
    {4, 6, 1, {2, 2, 0}},  {4, 4, 16, {2, 2, 0}}, {5, 7, 17, {2, 2, 0}}, {6, 6, 35, {3, 2, 0}}, {7, 5, 3, {3, 2, 1}},
    {8, 8, 20, {2, 3, 0}}, {3, 3, 64, {3, 1, 1}}, {1, 1, 5, {1, 1, 0}},  {6, 9, 31, {3, 3, 1}},
};

Extent pooled(const Shape& s) {
  const auto slide = [&s](uint32_t size) { return (size + 2 * s.window.padding - s.window.kernel) / s.window.stride + 1; };
  return {slide(s.height), slide(s.width), s.channels};
}

// Visits the elements of each window that lie on the input: (place in y, place in x, number within the window).
template <class Visit>
void windows(const Shape& s, const Visit& visit) {
  const Extent y = pooled(s);
  for (uint32_t row = 0; row < y.height; ++row)
    for (uint32_t column = 0; column < y.width; ++column)
      for (uint32_t c = 0; c < s.channels; ++c)
        for (uint32_t k = 0; k < s.window.kernel * s.window.kernel; ++k) {
          const int64_t r = int64_t{row} * s.window.stride + k / s.window.kernel - s.window.padding;
          const int64_t q = int64_t{column} * s.window.stride + k % s.window.kernel - s.window.padding;
          if (r < 0 || q < 0 || r >= s.height || q >= s.width) continue;
          visit((row * y.width + column) * s.channels + c, static_cast<uint64_t>(r * s.width + q) * s.channels + c, k);
        }
}

TEST_P(Passes, MaxPoolTakesTheFirstOfTheLargest) {
  for (const Shape& s : shapes) {
    const Extent x_extent = {s.height, s.width, s.channels}, y_extent = pooled(s);
    std::vector<float> x = numbers(x_extent.elements());
    x[x.size() / 2] = NAN;
    std::vector<float> expected(y_extent.elements());
    std::vector<int> where(expected.size(), -1);
    windows(s, [&](uint64_t yi, uint64_t xi, uint32_t k) {
      if (where[yi] >= 0 && !(x[xi] > expected[yi]) && !(std::isnan(x[xi]) && !std::isnan(expected[yi]))) return;
      if (where[yi] >= 0 && std::isnan(expected[yi])) return;
      expected[yi] = x[xi];
      where[yi] = static_cast<int>(k);
    });
    std::vector<float> y(expected.size() + 1, 99), y_alone(expected.size(), 99);
    std::vector<uint8_t> argmax(expected.size() + 1, 99);
    for_target(max_pool_table, target())(x.data(), x_extent, s.window, y_extent, y.data(), argmax.data());
    for_target(max_pool_table, target())(x.data(), x_extent, s.window, y_extent, y_alone.data(), nullptr);
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(argmax[i], where[i]) << s.height << "x" << s.width << "x" << s.channels << " element " << i;
      ASSERT_EQ(std::isnan(y[i]), std::isnan(expected[i]));
      if (!std::isnan(y[i])) {
        ASSERT_EQ(y[i], expected[i]);
      }
      ASSERT_EQ(std::isnan(y_alone[i]), std::isnan(expected[i]));
    }
    EXPECT_EQ(y.back(), 99);  // nothing behind the end
    EXPECT_EQ(argmax.back(), 99);
  }
}

TEST_P(Passes, MaxUnpoolWritesAll) {
  for (const Shape& s : shapes) {
    const Extent x_extent = {s.height, s.width, s.channels}, y_extent = pooled(s);
    const std::vector<float> dy = numbers(y_extent.elements());
    std::vector<uint8_t> argmax(dy.size(), 255);
    // Some element of each window that lies on the input.
    windows(s, [&](uint64_t yi, uint64_t, uint32_t k) {
      if (argmax[yi] == 255 || random_() % 3 == 0) argmax[yi] = static_cast<uint8_t>(k);
    });
    std::vector<float> expected(x_extent.elements());
    windows(s, [&](uint64_t yi, uint64_t xi, uint32_t k) {
      if (argmax[yi] == k) expected[xi] += dy[yi];
    });
    std::vector<float> dx(expected.size() + 1, NAN);
    dx.back() = 99;
    for_target(max_unpool_table, target())(dy.data(), argmax.data(), x_extent, s.window, y_extent, dx.data());
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_EQ(dx[i], expected[i]) << s.height << "x" << s.width << "x" << s.channels << " element " << i;
    EXPECT_EQ(dx.back(), 99);
  }
}

TEST_P(Passes, SumsAreExactForWholeNumbers) {
  for (const uint64_t columns : {1, 7, 16, 50}) {
    for (const uint64_t rows : {1, 5, 128, 300}) {
      const std::vector<float> x = numbers(rows * columns);
      const uint64_t begin = columns / 3, end = columns;
      for (const bool accumulate : {false, true}) {
        std::vector<float> sums(columns, 2), expected = sums;
        for (uint64_t column = begin; column < end; ++column) {
          if (!accumulate) expected[column] = 0;
          for (uint64_t row = 0; row < rows; ++row) expected[column] += x[row * columns + column];
        }
        for_target(column_sums_table, target())(x.data(), rows, columns, begin, end, accumulate, sums.data());
        EXPECT_EQ(sums, expected) << rows << " by " << columns;
      }
      std::vector<float> y = numbers(rows * columns), expected = y;
      for (size_t i = 0; i < y.size(); ++i) expected[i] += x[i];
      for_target(add_to_table, target())(y.data(), x.data(), y.size());
      EXPECT_EQ(y, expected);
    }
  }
}

TEST_P(Passes, TransposeOfAnyShape) {
  for (const uint64_t rows : {1, 3, 4, 34, 70}) {
    for (const uint64_t columns : {1, 2, 4, 9, 64}) {
      const uint64_t x_stride = columns + 3, y_stride = rows + 2;
      const std::vector<float> x = numbers(rows * x_stride);
      std::vector<float> y(columns * y_stride, 99), expected = y;
      for (uint64_t row = 0; row < rows; ++row)
        for (uint64_t column = 0; column < columns; ++column)
          expected[column * y_stride + row] = x[row * x_stride + column];
      for_target(transpose_table, target())(x.data(), rows, columns, x_stride, y.data(), y_stride);
      EXPECT_EQ(y, expected) << rows << " by " << columns;  // the gaps between rows are still 99
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Passes, testing::Range(size_t{0}, highway::target_count));

}  // namespace
}  // namespace lt::cpu::onednn
