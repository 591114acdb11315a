// Input and loss kernels against the reference device's functions, at awkward sizes and in many orders of the threads.
#include <cmath>

#include "backends/cuda/own/own.h"
#include "backends/reference/ops.h"
#include "src/base/shuffle.h"
#include "tests/cuda/own_kernels.h"

namespace lt::cuda {
namespace {

struct InputCase {
  uint32_t height, width, channels;
  DType x_type, y_type;
  bool factors;
};

void check_input(const InputCase& c, bool kept, bool shuffle) {
  SCOPED_TRACE(testing::Message() << c.height << "x" << c.width << "x" << c.channels << (kept ? " kept" : " staged")
                                  << (shuffle ? " shuffled" : "") << ", " << emulation::describe_options());
  constexpr uint32_t samples = 11, count = 29, position = 13, offset = 4;
  OwnKernel k;
  k.op.kind = OpKind::input;
  k.op.x_extent = k.op.y_extent = {c.height, c.width, c.channels};
  k.op.x_dtype = c.x_type;
  k.op.scale = c.x_type == DType::u8 ? 1.0f / 255 : 0.5f;
  if (c.factors)
    for (uint32_t channel = 0; channel < c.channels; ++channel) {
      k.op.mean.push_back(0.1f + 0.05f * static_cast<float>(channel));
      k.op.deviation.push_back(0.3f + 0.02f * static_cast<float>(channel));
    }
  const uint64_t elements = k.op.x_extent.elements();
  const uint32_t held = kept ? count : samples;
  const TensorId x = k.add(c.x_type, held * elements), labels = k.add(DType::i32, count);
  std::minstd_rand generator(3);
  if (c.x_type == DType::u8)
    for (uint64_t i = 0; i < held * elements; ++i) k.at<uint8_t>(x)[i] = static_cast<uint8_t>(generator() % 256);
  else
    k.set(x, random_values(held * elements, 5, -2, 2));
  for (uint32_t i = 0; i < count; ++i) k.at<int32_t>(labels)[i] = static_cast<int32_t>(i + 100);
  k.op.y = k.add(c.y_type, samples * elements);
  if (kept)
    k.op.staging_labels = k.add(DType::i32, samples);
  else
    k.op.staging_x = x;

  const KeptSet set{k.at<void>(x), k.at<int32_t>(labels), count};
  k.state.seed = 7;
  k.state.epoch = 2;
  k.state.position = position;
  k.state.count = count;
  k.state.shuffle = shuffle ? 1 : 0;
  Site site = k.site();
  site.samples = samples;
  site.sample_offset = offset;
  site.kept = kept ? &set : nullptr;
  const auto kernel = make_own_input(k.request(samples));
  ASSERT_NE(kernel, nullptr) << last_error();
  ASSERT_EQ(kernel->enqueue(site), Status::ok);

  std::vector<float> expected(samples * elements);
  for (uint32_t i = 0; i < samples; ++i) {
    const uint32_t sample = !kept ? i : shuffle ? Shuffle(7, 2, count).at(position + offset + i) : position + offset + i;
    if (kept) {
      EXPECT_EQ(k.at<int32_t>(k.op.staging_labels)[i], static_cast<int32_t>(sample + 100)) << i;
    }
    for (uint32_t pixel = 0; pixel < c.height * c.width; ++pixel)
      for (uint32_t channel = 0; channel < c.channels; ++channel) {
        const uint64_t from = sample * elements + channel * c.height * c.width + pixel;
        const double raw = c.x_type == DType::u8 ? k.at<uint8_t>(x)[from] : static_cast<double>(k.at<float>(x)[from]);
        const double mean = c.factors ? static_cast<double>(k.op.mean[channel]) : 0;
        const double deviation = c.factors ? static_cast<double>(k.op.deviation[channel]) : 1;
        expected[i * elements + pixel * c.channels + channel] =
            static_cast<float>((raw * static_cast<double>(k.op.scale) - mean) / deviation);
      }
  }
  expect_near(k.values(k.op.y), expected, rounding_of(c.y_type), "y");
}

TEST(CudaInput, StagedAndKeptSamples) {
  emulation::for_each_order(
      [] {
        for (const DType x : {DType::u8, DType::f32})
          for (const DType y : {DType::f32, DType::bf16})
            for (const InputCase& c : {InputCase{28, 28, 1, x, y, false},
                                       {3, 3, 1, x, y, true},
                                       {4, 6, 3, x, y, true},
                                       {5, 3, 3, x, y, true},
                                       {2, 2, 20, x, y, false},
                                       {1, 1, 16, x, y, true}})
              for (const bool kept : {false, true}) check_input(c, kept, kept && c.width != 3);
      },
      1);
}

// As where there are more rows than a grid has: a block then goes on to others.
TEST(CudaInput, FewerBlocksThanRows) {
  const GridLimit limit(1);
  emulation::for_each_order([] {
    for (const bool kept : {false, true}) check_input({28, 28, 1, DType::u8, DType::f32, true}, kept, kept);
    check_input({5, 3, 3, DType::f32, DType::bf16, true}, true, true);
  });
}

TEST(CudaInput, MoreChannelsWithFactorsThanFitAreUnsupported) {
  OwnKernel k;
  k.op.kind = OpKind::input;
  k.op.layer = "input";
  k.op.x_extent = {2, 2, 33};
  k.op.mean.assign(33, 0.5f);
  k.op.y = k.add(DType::f32, 2 * 2 * 33);
  EXPECT_EQ(make_own_input(k.request(1)), nullptr);
  EXPECT_NE(std::string(last_error()).find("33 channels, the CUDA kernel takes 32"), std::string::npos) << last_error();
}

struct LossRun {
  Statistics statistics;
  std::vector<float> dx;
};

enum class Odd { none, nan_first, nan_later, infinite, all_minus_infinite };

LossRun check_loss(uint32_t samples, uint32_t classes, DType dx_type, bool training, bool accumulate, Odd odd) {
  OwnKernel k;
  k.op.kind = OpKind::softmax_cross_entropy;
  k.op.x_extent = k.op.y_extent = {1, 1, classes};
  k.op.x = k.add(DType::f32, uint64_t{samples} * classes);
  k.op.dx = k.add(dx_type, uint64_t{samples} * classes);
  k.op.staging_labels = k.add(DType::i32, samples);
  k.op.statistics = k.add_bytes(sizeof(Statistics));
  std::vector<float> logits = random_values(uint64_t{samples} * classes, samples * 131 + classes, -6, 6);
  // Of equals the first counts. The lanes of 1 and 8 meet last.
  logits[0] = logits[classes - 1];
  if (classes > 8) logits[1] = logits[8] = 7;
  float* odd_row = logits.data() + (samples / 2) * classes;
  if (odd == Odd::nan_first) odd_row[0] = NAN;
  if (odd == Odd::nan_later) odd_row[classes / 2] = NAN;
  if (odd == Odd::infinite) odd_row[classes / 3] = INFINITY;
  if (odd == Odd::all_minus_infinite) std::fill_n(odd_row, classes, -INFINITY);
  k.set(k.op.x, logits);
  std::minstd_rand generator(samples);
  for (uint32_t i = 0; i < samples; ++i) {
    // Often the largest, so that some are correct.
    const float* row = logits.data() + uint64_t{i} * classes;
    k.at<int32_t>(k.op.staging_labels)[i] =
        static_cast<int32_t>(i % 3 == 0 ? std::max_element(row, row + classes) - row : generator() % classes);
  }
  *k.at<Statistics>(k.op.statistics) = {3.25, 5, 1};

  const auto kernel = make_own_softmax_cross_entropy(k.request(samples));
  EXPECT_NE(kernel, nullptr);
  k.reserve_scratch(kernel->scratch_bytes());
  Site site = k.site();
  site.samples = samples;
  site.batch_samples = samples + 3;
  site.training = training;
  site.accumulate = accumulate;

  // The reference device's own, on its own memory.
  OwnKernel r;
  r.op = k.op;
  r.op.x = r.add(DType::f32, uint64_t{samples} * classes);
  r.op.dx = r.add(DType::f32, uint64_t{samples} * classes);
  r.op.statistics = r.add_bytes(sizeof(Statistics));
  r.set(r.op.x, logits);
  *r.at<Statistics>(r.op.statistics) = {3.25, 5, 1};
  RunArguments arguments;
  arguments.samples = samples;
  arguments.batch_samples = samples + 3;
  arguments.training = training;
  arguments.accumulate = accumulate;
  arguments.labels = k.at<int32_t>(k.op.staging_labels);
  reference::softmax_cross_entropy(r.op, {&r.program, &arguments, r.site().region});

  EXPECT_EQ(kernel->enqueue(site), Status::ok);
  const Statistics &actual = *k.at<Statistics>(k.op.statistics), &expected = *r.at<Statistics>(r.op.statistics);
  if (std::isfinite(expected.loss_sum))
    EXPECT_NEAR(actual.loss_sum, expected.loss_sum, 1e-12 * std::abs(expected.loss_sum));
  else
    EXPECT_FALSE(std::isfinite(actual.loss_sum));
  EXPECT_EQ(actual.correct, expected.correct);
  EXPECT_EQ(actual.non_finite, expected.non_finite);
  if (training)
    expect_near(k.values(k.op.dx), r.values(r.op.dx), rounding_of(dx_type), "dx");
  else
    EXPECT_EQ(k.bytes(k.op.dx), std::vector<uint8_t>(k.program.tensors[k.op.dx].bytes, 0xee)) << "not wanted";
  return {actual, k.values(k.op.dx)};
}

TEST(CudaLoss, EqualsTheReference) {
  emulation::for_each_order(
      [] {
        SCOPED_TRACE(emulation::describe_options());
        for (const uint32_t classes : {1, 10, 33, 100})
          for (const uint32_t samples : {1, 64, 130}) {
            SCOPED_TRACE(testing::Message() << samples << " samples, " << classes << " classes");
            check_loss(samples, classes, DType::f32, true, false, Odd::none);
            check_loss(samples, classes, DType::bf16, true, true, Odd::none);
            check_loss(samples, classes, DType::f32, false, true, Odd::none);
          }
      },
      1);
}

TEST(CudaLoss, WhatIsNotFiniteIsCounted) {
  emulation::for_each_order(
      [] {
        for (const Odd odd : {Odd::nan_first, Odd::nan_later, Odd::infinite, Odd::all_minus_infinite})
          for (const uint32_t samples : {1, 7, 70})
            for (const uint32_t classes : {10, 40}) {
              SCOPED_TRACE(testing::Message()
                           << samples << " samples, " << classes << " classes, oddity " << static_cast<int>(odd));
              EXPECT_EQ(check_loss(samples, classes, DType::f32, true, false, odd).statistics.non_finite, 1u);
            }
      },
      1);
}

TEST(CudaLoss, TheSameBitsInEveryOrder) {
  const LossRun first = check_loss(200, 10, DType::f32, true, false, Odd::none);
  emulation::for_each_order([&] {
    const LossRun run = check_loss(200, 10, DType::f32, true, false, Odd::none);
    EXPECT_EQ(run.statistics.loss_sum, first.statistics.loss_sum);
    EXPECT_EQ(run.dx, first.dx);
  });
}

TEST(CudaLoss, FewerSamplesNeedNoMoreScratch) {
  OwnKernel k;
  k.op.kind = OpKind::softmax_cross_entropy;
  k.op.x = k.add(DType::f32, 1);
  for (const uint32_t micro_batch : {1u, 64u, 65u, 1000u, 32768u, 32769u, 40000u, 1000000u}) {
    const uint64_t bytes = make_own_softmax_cross_entropy(k.request(micro_batch))->scratch_bytes();
    EXPECT_GE(bytes, make_own_softmax_cross_entropy(k.request(micro_batch - 1))->scratch_bytes());
    EXPECT_LE(bytes, 1024 * sizeof(Statistics));
  }
}

TEST(CudaLoss, NoLabelsNoLoss) {
  OwnKernel k;
  k.op.kind = OpKind::softmax_cross_entropy;
  k.op.x_extent = {1, 1, 4};
  k.op.x = k.add(DType::f32, 4);
  k.op.statistics = k.add_bytes(sizeof(Statistics));
  Site site = k.site();
  site.has_labels = false;
  ASSERT_EQ(make_own_softmax_cross_entropy(k.request(1))->enqueue(site), Status::ok);
  EXPECT_EQ(k.bytes(k.op.statistics), std::vector<uint8_t>(sizeof(Statistics), 0xee));
}

}  // namespace
}  // namespace lt::cuda
