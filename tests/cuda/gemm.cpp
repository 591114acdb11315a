// The products' kernels in the emulation, against double loops: every kind, precision, tile and way of copying, cut into
// parts or not, with everything that a result can go through; and the plans of the host. Shapes are small and awkward.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "src/base/philox.h"
#include "tests/cuda/emulation/launch.h"
#include "tests/cuda/gemm_case.h"

namespace lt::cuda::test {
namespace {

constexpr GemmPrecision precisions[] = {GemmPrecision::f32, GemmPrecision::tf32, GemmPrecision::bf16};
constexpr const char* precision_names[] = {"f32", "tf32", "bf16"};

GemmCase convolution(Extent x, uint32_t out, Window window, uint32_t samples) {
  GemmCase c;
  c.x = x;
  c.window = window;
  c.z = {(x.height + 2 * window.padding - window.kernel) / window.stride + 1,
         (x.width + 2 * window.padding - window.kernel) / window.stride + 1, out};
  c.samples = samples;
  c.name = std::to_string(x.height) + "x" + std::to_string(x.width) + "x" + std::to_string(x.channels) + " to " +
           std::to_string(out) + ", kernel " + std::to_string(window.kernel) + ", stride " + std::to_string(window.stride) +
           ", padding " + std::to_string(window.padding) + ", samples " + std::to_string(samples);
  return c;
}
GemmCase linear(uint32_t in, uint32_t out, uint32_t samples) { return convolution({1, 1, in}, out, Window{}, samples); }

std::vector<GemmCase> shapes() {
  return {
      convolution({5, 5, 1}, 3, {5, 1, 2}, 2),    // one channel: rows of the kernel are taps
      convolution({6, 9, 2}, 9, {4, 2, 3}, 3),    // two, with a stride
      convolution({6, 7, 3}, 10, {3, 1, 1}, 2),   // three: by elements, or as taps that are rows
      convolution({7, 6, 6}, 50, {3, 2, 1}, 1),   // stride; copies of 8 and 4 bytes
      convolution({4, 4, 12}, 66, {3, 1, 0}, 2),  // copies of 16 and 8 bytes; two tiles of n
      convolution({9, 9, 16}, 8, {2, 3, 1}, 2),   // a stride past the kernel: places that no position reaches
      convolution({8, 9, 8}, 33, {1, 1, 0}, 2),   // two tiles of m
      convolution({7, 6, 16}, 24, {3, 1, 1}, 2),  // copies of 16 bytes alone, in all kinds
      convolution({5, 9, 8}, 72, {4, 1, 2}, 1),  linear(40, 10, 3), linear(129, 65, 5), linear(8, 200, 70),
  };
}

// `terms` rounding errors of half a unit of the last place of float, and one of the result's type.
void expect_near(const GemmCase& c, const std::vector<float>& actual, const Expected& expected, double terms,
                 bool bf16_result) {
  ASSERT_EQ(actual.size(), expected.sums.size()) << c.name;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double wanted = expected.sums[i];
    const double bound = c.whole_numbers && !bf16_result ? 0
                                                         : terms * 0x1p-24 * expected.magnitudes[i] +
                                                               (bf16_result ? 0x1.01p-8 : 0x1p-24) * std::fabs(wanted);
    ASSERT_LE(std::fabs(static_cast<double>(actual[i]) - wanted), bound)
        << c.name << ", " << precision_names[static_cast<int>(c.precision)] << ", tile " << c.plan.tile << ", parts "
        << c.plan.parts << ": element " << i << " is " << actual[i] << ", expected " << wanted;
  }
}

void expect_products(const GemmCase& c) {
  const GemmTensors t(c);
  const bool bf16 = c.precision == GemmPrecision::bf16;
  const double taps = c.window.kernel * c.window.kernel;
  const Outcome forward = run_product(GemmKind::forward, c, t);
  ASSERT_EQ(forward.error, "") << c.name;
  expect_near(c, forward.values, forward_of(c, t), taps * c.x.channels + 40, bf16);
  const Outcome dx = run_product(GemmKind::dx, c, t);
  ASSERT_EQ(dx.error, "") << c.name;
  expect_near(c, dx.values, dx_of(c, t), taps * c.z.channels + 40, bf16);
  const Outcome weights = run_product(GemmKind::weights, c, t);
  ASSERT_EQ(weights.error, "") << c.name;
  expect_near(c, weights.values, weights_of(c, t), c.samples * c.z.height * c.z.width + 40.0, false);
}

TEST(CudaGemm, DivisorsAreExact) {
  for (uint32_t value : {1u, 2u, 3u, 5u, 7u, 25u, 49u, 64u, 196u, 800u, 12544u, 65537u, 1u << 30, (1u << 31) - 1}) {
    const Divisor by = make_divisor(value);
    for (uint64_t n = 0; n < 2000; ++n)
      for (uint64_t number : {n, n * value, n * value + value - 1, (uint64_t{1} << 31) - 1 - n, n * 1048573})
        if (number < uint64_t{1} << 31) {
          ASSERT_EQ(divide(static_cast<uint32_t>(number), by), number / value) << number << " / " << value;
        }
  }
}

TEST(CudaGemm, ProductsOfAllKindsPrecisionsAndTiles) {
  for (GemmPrecision precision : precisions)
    for (GemmCase c : shapes())
      for (uint32_t tile = 0; tile < 3; ++tile) {
        c.precision = precision;
        c.plan = {tile, 1};
        expect_products(c);
        if (HasFatalFailure()) return;
      }
}

TEST(CudaGemm, ProductsInParts) {
  for (GemmPrecision precision : precisions)
    for (GemmCase c : shapes())
      for (uint32_t parts : {2u, 7u, 33u}) {  // of which some get nothing
        c.precision = precision;
        c.plan = {parts == 2 ? 1u : 2u, parts};
        expect_products(c);
        if (HasFatalFailure()) return;
      }
}

// Operands come rounded as they should: the expected sums are of rounded operands, and a rounding in another direction
// would be off by 2^-11 or 2^-8 of each product.
TEST(CudaGemm, NumbersWithFractions) {
  for (GemmPrecision precision : precisions)
    for (GemmCase c :
         {convolution({6, 7, 12}, 20, {3, 1, 1}, 2), linear(200, 33, 9), convolution({8, 8, 3}, 9, {5, 1, 2}, 2)})
      for (uint32_t parts : {1u, 3u}) {
        c.precision = precision;
        c.whole_numbers = false;
        c.plan = {1, parts};
        expect_products(c);
        if (HasFatalFailure()) return;
      }
}

// The kernels themselves round floats to tf32: x is given with all its bits.
TEST(CudaGemm, Tf32IsRoundedToTheNearest) {
  GemmCase c = linear(1, 1, 1);
  c.precision = GemmPrecision::tf32;
  for (float value : {1 + 0x1p-11f, 1 + 0x1.8p-11f, 1 + 0x1p-10f, -1 - 0x1p-11f, 1 + 0x1.fp-12f}) {
    GemmTensors t(c);
    t.x = {static_cast<double>(value)};
    t.weight = {1};
    const Outcome outcome = run_product(GemmKind::forward, c, t);
    ASSERT_EQ(outcome.error, "");
    EXPECT_EQ(outcome.values[0], round_to(GemmPrecision::tf32, value)) << value;
  }
  EXPECT_EQ(round_to(GemmPrecision::tf32, 1 + 0x1p-11f), 1 + 0x1p-10f);
}

TEST(CudaGemm, PixelsWithGaps) {
  for (GemmPrecision precision : precisions) {
    GemmCase c = convolution({6, 5, 8}, 50, {3, 1, 1}, 2);
    c.precision = precision;
    c.z_pitch = precision == GemmPrecision::bf16 ? 56 : 52;
    c.plan = {1, 2};
    const GemmTensors t(c);
    for (GemmKind kind : {GemmKind::dx, GemmKind::weights}) {
      const Outcome outcome = run_product(kind, c, t);
      ASSERT_EQ(outcome.error, "");
      expect_near(c, outcome.values, kind == GemmKind::dx ? dx_of(c, t) : weights_of(c, t), 600,
                  kind == GemmKind::dx && precision == GemmPrecision::bf16);
    }
  }
}

TEST(CudaGemm, WeightGradientsAreAddedTo) {
  for (uint32_t in : {3u, 4u, 16u})
    for (uint32_t parts : {1u, 3u}) {
      GemmCase c = convolution({5, 5, in}, 9, {3, 1, 1}, 3);
      c.plan = {2, parts};
      c.accumulate = true;
      const GemmTensors t(c);
      Expected expected = weights_of(c, t);
      std::vector<float> before(expected.sums.size());
      for (size_t i = 0; i < before.size(); ++i) {
        before[i] = static_cast<float>(i % 11);
        expected.sums[i] += before[i];
      }
      const Outcome outcome = run_product(GemmKind::weights, c, t, before);
      ASSERT_EQ(outcome.error, "");
      expect_near(c, outcome.values, expected, 100, false);
    }
}

// What forward does after its sums, in plain words.
void expect_forward(const GemmCase& c) {
  SCOPED_TRACE(c.name + ", " + precision_names[static_cast<int>(c.precision)] + ", tile " + std::to_string(c.plan.tile) +
               ", parts " + std::to_string(c.plan.parts));
  const GemmTensors t(c);
  std::vector<double> z = forward_of(c, t).sums;
  if (c.bias)
    for (size_t i = 0; i < z.size(); ++i) z[i] += t.bias[i % c.z.channels];
  std::vector<uint8_t> argmax;
  uint64_t y_elements = c.z.elements();
  if (c.pooled) {
    const uint64_t rows = c.z.height / 2, columns = c.z.width / 2, channels = c.z.channels;
    std::vector<double> y;
    for (uint64_t sample = 0; sample < c.samples; ++sample)
      for (uint64_t row = 0; row < rows; ++row)
        for (uint64_t column = 0; column < columns; ++column)
          for (uint64_t channel = 0; channel < channels; ++channel) {
            double best = 0;
            uint8_t best_at = 0;
            for (uint8_t at = 0; at < 4; ++at) {
              const uint64_t pixel = (sample * c.z.height + 2 * row + at / 2) * c.z.width + 2 * column + at % 2;
              const double value = z[pixel * channels + channel];
              if (at == 0 || value > best) best = value, best_at = at;
            }
            y.push_back(best);
            argmax.push_back(best_at);
          }
    z = y;
    y_elements = rows * columns * channels;
  }
  std::vector<uint8_t> mask(c.samples * mask_row_bytes(y_elements));
  for (size_t i = 0; i < z.size(); ++i) {
    if (c.relu) z[i] = std::max(z[i], 0.0);
    if (c.dropout < 0) continue;
    const uint64_t sample = i / y_elements, element = i % y_elements;
    const bool keeps = dropout_keeps(c.seed, 5, 3, c.sample_offset + static_cast<uint32_t>(sample),
                                     static_cast<uint32_t>(element), c.dropout);
    if (keeps && (!c.relu || z[i] > 0)) mask[sample * mask_row_bytes(y_elements) + element / 8] |= 1u << element % 8;
    z[i] = keeps ? z[i] / (1 - static_cast<double>(c.dropout)) : 0;
  }
  const Outcome outcome = run_product(GemmKind::forward, c, t);
  ASSERT_EQ(outcome.error, "");
  const bool bf16 = c.precision == GemmPrecision::bf16 && !c.f32_result;
  expect_near(c, outcome.values, {z, z}, 0, bf16);
  if (c.pooled && c.argmax) {
    EXPECT_EQ(outcome.argmax, argmax);
  }
  if (c.dropout >= 0) {
    EXPECT_EQ(outcome.mask, mask);
  }
}

TEST(CudaGemm, ForwardWithAllThatFollows) {
  std::vector<GemmCase> cases;
  const auto add = [&](GemmCase c, bool bias, bool relu, float dropout, bool pooled, const char* name) {
    c.bias = bias;
    c.relu = relu;
    c.dropout = dropout;
    c.pooled = pooled;
    c.name += std::string(", ") + name;
    cases.push_back(c);
  };
  add(linear(20, 77, 5), true, true, -1, false, "bias, ReLU");
  add(linear(20, 77, 5), true, true, 0.5f, false, "dropout; columns not in whole bytes");
  add(linear(20, 72, 3), false, false, 0.5f, false, "dropout; a row of 9 bytes in 16");
  add(linear(20, 64, 3), true, true, 0, false, "dropout turned off");
  add(convolution({6, 8, 4}, 16, {3, 1, 1}, 2), true, true, 0.5f, false, "dropout");
  add(convolution({6, 8, 4}, 16, {3, 1, 1}, 2), true, true, -1, true, "pool");
  add(convolution({9, 6, 8}, 16, {3, 1, 1}, 2), true, true, -1, true, "pool; copies of 16 bytes");
  add(convolution({7, 9, 3}, 10, {3, 1, 1}, 3), true, false, -1, true, "pool; odd rows and columns left out");
  add(convolution({10, 10, 4}, 24, {5, 1, 2}, 3), true, true, 0.5f, true, "pool, dropout; rows of 600 bits in 640");
  for (GemmCase c : cases)
    for (GemmPrecision precision : precisions)
      for (GemmPlan plan : {GemmPlan{0, 1}, GemmPlan{1, 3}, GemmPlan{2, 1}, GemmPlan{2, 17}}) {
        c.precision = precision;
        c.plan = plan;
        c.sample_offset = plan.parts;
        expect_forward(c);
        c.f32_result = true;
        c.argmax = false;
        if (precision == GemmPrecision::bf16) expect_forward(c);
        if (HasFailure()) return;
      }
}

// As the reference has it: a NaN is larger than any number, and the first of several stays.
TEST(CudaGemm, ANanPassesPoolAndRelu) {
  GemmCase c = convolution({2, 2, 1}, 8, {1, 1, 0}, 1);
  c.pooled = true;
  c.relu = true;
  GemmTensors t(c);
  for (double& w : t.weight) w = 1;
  t.x = {3, static_cast<double>(NAN), 5, static_cast<double>(NAN)};
  const Outcome outcome = run_product(GemmKind::forward, c, t);
  ASSERT_EQ(outcome.error, "");
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(std::isnan(outcome.values[i]));
    EXPECT_EQ(outcome.argmax[i], 1);
  }
}

TEST(CudaGemm, EveryOrderOfThreads) {
  for (GemmPrecision precision : precisions) {
    GemmCase c = convolution({6, 6, 12}, 40, {3, 1, 1}, 2);  // several steps: stages are used again
    c.precision = precision;
    for (GemmPlan plan : {GemmPlan{0, 1}, GemmPlan{2, 2}}) {
      c.plan = plan;
      emulation::for_each_order([&] {
        SCOPED_TRACE(emulation::describe_options());
        expect_products(c);
      });
      if (HasFatalFailure()) return;
    }
  }
}

TEST(CudaGemm, PlansFillTheDevice) {
  constexpr uint32_t multiprocessors = 132;
  const auto blocks = [](GemmPlan plan, uint64_t m, uint64_t n) {
    const auto [tile_m, tile_n] = gemm_tiles[plan.tile];
    return (m + tile_m - 1) / tile_m * ((n + tile_n - 1) / tile_n) * plan.parts;
  };
  for (GemmPrecision precision : precisions) {
    // fc1 of the MNIST network at 64 samples: few rows and columns, long sums.
    EXPECT_GE(blocks(plan_gemm(precision, 64, 1024, 3136, multiprocessors), 64, 1024), 96u);
    // conv2's gradient of the weights.
    EXPECT_GE(blocks(plan_gemm(precision, 64, 800, 12544, multiprocessors), 64, 800), 96u);
    // A product of many tiles is not cut, and has the largest ones.
    const GemmPlan large = plan_gemm(precision, 200000, 512, 4096, multiprocessors);
    EXPECT_EQ(large.parts, 1u);
    EXPECT_EQ(large.tile, 0u);
    // Nor is a short sum.
    EXPECT_EQ(plan_gemm(precision, 10, 10, 16, multiprocessors).parts, 1u);
    const GemmPlan one = plan_gemm(precision, 64, 10, 100000, 1);
    EXPECT_LE(one.parts, 128u);
  }
}

// One channel in chunks of four or eight would be mostly padding.
TEST(CudaGemm, FirstLayersTakeRowsOfTheKernelAsTaps) {
  const auto k_of = [](GemmPrecision precision, Extent x, Window window) {
    GemmProduct product;
    const GemmConvolution shape{x, {x.height, x.width, 32}, window, false, 32};
    EXPECT_EQ(GemmProduct::make(GemmKind::forward, precision, shape, 4, 132, "conv", &product), Status::ok);
    return product.call(4, nullptr, nullptr, {}, nullptr).arguments.k;
  };
  EXPECT_EQ(k_of(GemmPrecision::f32, {28, 28, 1}, {5, 1, 2}), 5u * 8);
  EXPECT_EQ(k_of(GemmPrecision::bf16, {28, 28, 1}, {5, 1, 2}), 5u * 8);
  EXPECT_EQ(k_of(GemmPrecision::f32, {32, 32, 3}, {3, 1, 1}), 9u * 4);
  EXPECT_EQ(k_of(GemmPrecision::bf16, {32, 32, 3}, {3, 1, 1}), 3u * 16);
  EXPECT_EQ(k_of(GemmPrecision::f32, {32, 32, 50}, {3, 1, 1}), 9u * 52);
  EXPECT_EQ(k_of(GemmPrecision::bf16, {32, 32, 64}, {3, 1, 1}), 9u * 64);
}

TEST(CudaGemm, ScratchIsThatOfTheLargestMicroBatch) {
  GemmProduct product;
  for (GemmKind kind : {GemmKind::forward, GemmKind::dx, GemmKind::weights}) {
    const GemmConvolution shape{{8, 8, 16}, {8, 8, 32}, {3, 1, 1}, false, 32};
    ASSERT_EQ(GemmProduct::make(kind, GemmPrecision::f32, shape, 9, 132, "conv", &product), Status::ok);
    product.set_plan({1, 4});
    for (uint32_t samples = 1; samples <= 9; ++samples) {
      const GemmCall call = product.call(samples, nullptr, nullptr, {}, nullptr);
      const uint64_t bytes = uint64_t{4} * call.arguments.result.m * call.arguments.result.n * sizeof(float);
      EXPECT_LE(bytes, product.scratch_bytes());
      if (samples == 9) {
        EXPECT_EQ(bytes, product.scratch_bytes());
      }
    }
  }
}

TEST(CudaGemm, WhatDoesNotFitIsRefused) {
  GemmProduct product;
  const GemmConvolution wide{{1, 1, 16}, {1, 1, 1u << 30}, {}, false, 1u << 30};
  EXPECT_EQ(GemmProduct::make(GemmKind::forward, GemmPrecision::f32, wide, 1, 132, "fc", &product), Status::unsupported);
  const GemmConvolution long_rows{{1, 1 << 14, 1}, {1, 1 << 14, 1}, {}, false, 1};
  EXPECT_EQ(GemmProduct::make(GemmKind::dx, GemmPrecision::f32, long_rows, 1, 132, "conv", &product), Status::unsupported);
  const GemmConvolution heavy{{1, 1, 1 << 16}, {1, 1, 1 << 15}, {}, false, 1 << 15};
  EXPECT_EQ(GemmProduct::make(GemmKind::forward, GemmPrecision::bf16, heavy, 1, 132, "fc", &product), Status::unsupported);
  const GemmConvolution tall{{1000, 1000, 4}, {1000, 1000, 4}, {}, false, 4};
  EXPECT_EQ(GemmProduct::make(GemmKind::dx, GemmPrecision::f32, tall, 3000, 132, "conv", &product), Status::unsupported);
  EXPECT_EQ(std::string(last_error()).substr(0, 5), "conv:");
}

}  // namespace
}  // namespace lt::cuda::test
