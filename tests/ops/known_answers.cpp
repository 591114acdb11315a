// The reference device's forward operations, the loss and the updates against answers worked out by hand or by the
// definition alone, so that what every other device is compared with rests on something else than itself.
#include <gtest/gtest.h>

#include <cmath>

#include "src/base/philox.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

OpRun* filled(OpRun* run) {
  EXPECT_EQ(run->status(), Status::ok) << last_error();
  run->fill();
  return run;
}

OpCase one_sample(OpCase c) {
  c.micro_batch = c.samples = c.batch_samples = 1;
  return c;
}

TEST(Known, ConvolutionByHand) {
  OpRun run(*reference_device(), one_sample(conv2d_case({3, 3, 1}, 1, {2, 1, 0})));
  filled(&run);
  run.set_values("x", {1, 2, 3, 4, 5, 6, 7, 8, 9});
  run.set_values("weight", {1, 0, -1, 2});  // [[1, 0], [-1, 2]], not flipped: a correlation
  run.run_forward();
  EXPECT_EQ(run.values("y"), (std::vector<float>{7, 9, 13, 15}));
}

TEST(Known, ConvolutionPaddedAndStrided) {
  OpCase c = one_sample(conv2d_case({3, 3, 1}, 1, {3, 2, 1}));
  c.op.has_bias = true;
  OpRun run(*reference_device(), c);
  filled(&run);
  run.set_values("x", {1, 2, 3, 4, 5, 6, 7, 8, 9});
  run.set_values("weight", {1, 1, 1, 1, 1, 1, 1, 1, 1});
  run.set_values("bias", {0.5f});
  run.run_forward();
  EXPECT_EQ(run.values("y"), (std::vector<float>{12.5f, 16.5f, 24.5f, 28.5f}));
}

TEST(Known, ConvolutionChannelsComeLast) {
  OpRun run(*reference_device(), one_sample(conv2d_case({1, 2, 2}, 2, {1, 1, 0})));
  filled(&run);
  run.set_values("x", {1, 10, 2, 20});
  run.set_values("weight", {1, 3, 2, 4});  // [in][out]: channel 0 gives (1, 3), channel 1 (2, 4)
  run.run_forward();
  EXPECT_EQ(run.values("y"), (std::vector<float>{21, 43, 42, 86}));
}

TEST(Known, PoolTakesTheFirstOfEquals) {
  OpRun run(*reference_device(), one_sample(activation_case({2, 4, 1}, {2, 2, 0})));
  filled(&run);
  run.set_values("x", {1, 3, -2, -2, 3, 0, -2, -2});
  run.run_forward();
  EXPECT_EQ(run.values("y"), (std::vector<float>{3, -2}));
  EXPECT_EQ(run.byte_values("argmax"), (std::vector<uint8_t>{1, 0}));
}

TEST(Known, OverlappingPoolAddsGradients) {
  OpRun overlapping(*reference_device(), one_sample(backward_case(activation_case({3, 3, 1}, {2, 1, 0}))));
  filled(&overlapping);
  overlapping.set_values("x", {0, 0, 0, 0, 9, 0, 0, 0, 0});
  overlapping.set_values("dy", {1, 2, 4, 8});
  overlapping.run_forward();
  EXPECT_EQ(overlapping.byte_values("argmax"), (std::vector<uint8_t>{3, 2, 1, 0}));
  overlapping.run_backward();
  EXPECT_EQ(overlapping.values("dx"), (std::vector<float>{0, 0, 0, 0, 15, 0, 0, 0, 0}));
}

TEST(Known, DropoutDropsWhatPhiloxSays) {
  OpCase c = activation_case({1, 1, 70});
  c.op.dropout = 0.5f;
  c.op.has_relu = true;
  c.samples = 3;
  c.sample_offset = 11;
  OpRun run(*reference_device(), backward_case(c));
  filled(&run);
  run.run_forward();
  run.run_backward();
  const std::vector<float> x = run.values("x"), y = run.values("y"), dy = run.values("dy"), dx = run.values("dx");
  const std::vector<uint8_t> mask = run.byte_values("mask");
  ASSERT_EQ(mask.size(), 3 * 16u);  // rows of 70 bits, in whole words of 64
  for (uint32_t sample = 0; sample < 3; ++sample)
    for (uint32_t e = 0; e < 128; ++e) {
      const bool bit = mask[sample * 16 + e / 8] >> e % 8 & 1;
      if (e >= 70) {
        EXPECT_FALSE(bit);
        continue;
      }
      const uint32_t i = sample * 70 + e;
      const bool kept = dropout_keeps(c.seed, c.step, 2, 11 + sample, e, 0.5f);  // 2: the fixture's layer
      EXPECT_EQ(y[i], kept && x[i] > 0 ? 2 * x[i] : 0.0f);
      EXPECT_EQ(bit, kept && x[i] > 0);
      EXPECT_EQ(dx[i], bit ? 2 * dy[i] : 0.0f);
    }
}

TEST(Known, InputTurnsPlanesIntoChannels) {
  OpCase c = one_sample(input_case({1, 2, 3}, DType::u8));
  c.op.scale = 0.5f;
  c.op.mean = {0, 1, 2};
  c.op.deviation = {1, 2, 4};
  OpRun run(*reference_device(), c);
  filled(&run);
  run.raw_x() = {2, 4, 6, 8, 10, 12};
  run.run_forward();
  EXPECT_EQ(run.values("y"), (std::vector<float>{1, 1, 0.75f, 2, 1.5f, 1}));
}

TEST(Known, LossOfEqualLogitsIsTheLogarithmOfTheClasses) {
  OpCase c = loss_case(4);
  c.samples = 2;
  c.batch_samples = 2;
  OpRun run(*reference_device(), c);
  filled(&run);
  run.set_values("x", {3, 3, 3, 3, 1000, 0, 0, 0});
  run.labels() = {0, 1};
  run.run_forward();
  EXPECT_DOUBLE_EQ(run.statistics().loss_sum, std::log(4.0) + 1000);
  EXPECT_EQ(run.statistics().correct, 1u);
  EXPECT_EQ(run.statistics().non_finite, 0u);
  EXPECT_EQ(run.values("dx"), (std::vector<float>{-0.375f, 0.125f, 0.125f, 0.125f, 0.5f, -0.5f, 0, 0}));
}

TEST(Known, LossCountsWhatIsNotFinite) {
  OpCase c = loss_case(2);
  c.samples = 3;
  OpRun run(*reference_device(), c);
  filled(&run);
  run.set_values("x", {0, std::nanf(""), 1, INFINITY, 0, 1});
  run.labels() = {0, 0, 1};
  run.run_forward();
  EXPECT_EQ(run.statistics().non_finite, 2u);
}

TEST(Known, LossWithoutLabelsLeavesTheStatistics) {
  OpRun run(*reference_device(), loss_case(3));
  filled(&run);
  const Statistics before = run.statistics();
  run.labels().clear();
  run.run_forward();
  EXPECT_EQ(run.statistics().loss_sum, before.loss_sum);
  EXPECT_EQ(run.statistics().correct, before.correct);
}

// The learning rate is 1/16 and the momentum 7/8 in every case of the fixture.
TEST(Known, SgdAndMomentum) {
  OpRun sgd(*reference_device(), update_case(OpKind::update_sgd, 2));
  filled(&sgd);
  sgd.set_values("parameters", {1, 2});
  sgd.set_values("gradients", {16, -8});
  sgd.run_forward();
  EXPECT_EQ(sgd.values("parameters"), (std::vector<float>{0, 2.5f}));
  OpRun momentum(*reference_device(), update_case(OpKind::update_momentum, 2));
  filled(&momentum);
  momentum.set_values("parameters", {1, 2});
  momentum.set_values("gradients", {2, -8});
  momentum.set_values("state", {16, 0});
  momentum.run_forward();
  EXPECT_EQ(momentum.values("state"), (std::vector<float>{16, -8}));
  EXPECT_EQ(momentum.values("parameters"), (std::vector<float>{0, 2.5f}));
}

// By the formulas of Kingma & Ba, algorithm 1, for g = 0.5 then -0.25 from w = 1 with the defaults of betas and epsilon.
TEST(Known, AdamsFirstSteps) {
  OpCase c = update_case(OpKind::update_adam, 1);
  OpRun run(*reference_device(), c);
  filled(&run);
  run.set_values("parameters", {1});
  run.set_values("state", {0});
  run.set_values("state2", {0});
  double w = 1, m = 0, v = 0;
  for (int t = 1; t <= 2; ++t) {
    const double g = t == 1 ? 0.5 : -0.25;
    run.set_values("gradients", {static_cast<float>(g)});
    RunArguments arguments = run.arguments();
    arguments.step = static_cast<uint64_t>(t);
    run.run(0, 1, arguments);
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    w -= 0.0625 * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
    EXPECT_NEAR(static_cast<double>(run.values("parameters")[0]), w, 1e-7);
  }
  EXPECT_NEAR(w, 1 - 0.0625 - 0.0625 * 0.2 / 1.9 / std::sqrt((0.00024975 + 0.0000625) / 0.001999), 1e-6);
}

TEST(Known, NothingIsUpdatedAfterALossThatIsNotFinite) {
  for (OpKind kind : {OpKind::update_sgd, OpKind::update_momentum, OpKind::update_adam}) {
    OpCase c = update_case(kind, 9);
    c.loss_is_finite = false;
    OpRun run(*reference_device(), c);
    filled(&run);
    for (const char* name : {"parameters", "state", "state2"}) {
      if (!run.has(name)) continue;
      const std::vector<float> before = run.values(name);
      run.run_forward();
      EXPECT_EQ(run.values(name), before) << op_kind_name(kind) << " " << name;
    }
  }
}

}  // namespace
}  // namespace lt::ops
