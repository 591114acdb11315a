// CTC against its definition, the sum over all paths one by one; against differences of its own loss; against PyTorch's
// values; and what it says of lists that no path gives. On every device.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/ops/devices.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

class Ctc : public ::testing::TestWithParam<DeviceSpec> {
 protected:
  void SetUp() override {
    if (GetParam().precision != Precision::fp32) GTEST_SKIP() << "gradients are rounded";
    ASSERT_EQ(GetParam().open(&device_), Status::ok) << last_error();
  }
  // False where the device has no kernel for it.
  bool make(const OpCase& c) {
    run_ = std::make_unique<OpRun>(*device_, c);
    if (run_->status() == Status::unsupported) return false;
    EXPECT_EQ(run_->status(), Status::ok) << last_error();
    run_->fill();
    return true;
  }
  double loss() {
    run_->run_forward();
    return run_->statistics().loss_sum;
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<OpRun> run_;
};

OpCase one_sample(uint32_t steps, uint32_t classes, uint32_t label_count) {
  OpCase c = ctc_case(steps, classes, label_count);
  c.micro_batch = c.samples = c.batch_samples = 1;
  return c;
}

std::vector<int32_t> without_repetitions_and_blanks(const std::vector<int32_t>& path) {
  std::vector<int32_t> labels;
  for (size_t t = 0; t < path.size(); ++t)
    if (path[t] != 0 && (t == 0 || path[t] != path[t - 1])) labels.push_back(path[t]);
  return labels;
}

// The probability that a path drawn step by step gives the labels.
double probability_of(const std::vector<int32_t>& labels, const std::vector<float>& logits, uint32_t steps,
                      uint32_t classes) {
  std::vector<double> softmax(logits.size());
  for (uint32_t t = 0; t < steps; ++t) {
    double sum = 0;
    for (uint32_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(logits[t * classes + c]));
    for (uint32_t c = 0; c < classes; ++c)
      softmax[t * classes + c] = std::exp(static_cast<double>(logits[t * classes + c])) / sum;
  }
  double all = 0;
  std::vector<int32_t> path(steps, 0);
  while (true) {
    double one = 1;
    for (uint32_t t = 0; t < steps; ++t) one *= softmax[t * classes + static_cast<uint32_t>(path[t])];
    if (without_repetitions_and_blanks(path) == labels) all += one;
    uint32_t t = 0;
    while (t < steps && ++path[t] == static_cast<int32_t>(classes)) path[t++] = 0;
    if (t == steps) return all;
  }
}

TEST_P(Ctc, IsTheSumOverAllPaths) {
  struct Example {
    uint32_t steps, classes;
    std::vector<int32_t> labels;
  };
  const Example examples[] = {{1, 3, {2}},       {2, 3, {1}},          {3, 3, {1, 1}},          {4, 3, {1, 2}},
                              {5, 4, {3, 3, 1}}, {6, 3, {1, 2, 2, 1}}, {7, 3, {2, 2, 2}},       {5, 3, {1, 2, 1, 2, 1}},
                              {6, 4, {2, 3}},    {8, 2, {1, 1, 1}},    {6, 4, {1, 2, 3, 3, 1}}, {9, 2, {1}}};
  for (const Example& example : examples) {
    const auto count = static_cast<uint32_t>(example.labels.size());
    if (!make(one_sample(example.steps, example.classes, count + 2))) GTEST_SKIP() << last_error();
    run_->labels() = example.labels;
    run_->labels().resize(count + 2, -1);
    const double expected =
        -std::log(probability_of(example.labels, run_->values("x"), example.steps, example.classes)) / count;
    EXPECT_NEAR(loss(), expected, 1e-6 * (1 + expected)) << example.steps << " steps, " << count << " labels";
  }
}

TEST_P(Ctc, GradientsAreItsDifferences) {
  OpCase c = ctc_case(9, 4, 3);
  c.op.has_lengths = true;
  c.batch_samples = 7;
  if (!make(c)) GTEST_SKIP() << last_error();
  run_->lengths()[1] = 5;
  run_->labels() = {1, 1, 2, 3, -1, -1, 2, 2, 2, 1, 2, 1, 3, 1, -1};
  run_->lengths() = {9, 5, 6, 3, 7};
  const std::vector<float> at = run_->values("x");
  run_->run_forward();
  const std::vector<float> gradient = run_->values("dx");
  constexpr float step = 0x1p-6f;
  for (size_t i = 0; i < at.size(); ++i) {
    double sums[2];
    for (int side = 0; side < 2; ++side) {
      std::vector<float> moved = at;
      moved[i] += side == 0 ? -step : step;
      run_->set_values("x", moved);
      sums[side] = loss() / c.batch_samples;
    }
    // The third derivative's part in a difference is 2^-12 / 6 of it.
    ASSERT_NEAR(static_cast<double>(gradient[i]), (sums[1] - sums[0]) / (2 * static_cast<double>(step)), 2e-5) << i;
  }
}

// torch.nn.functional.ctc_loss(log_softmax(x, 2), ...), PyTorch 2: x[t][s][c] = sin(t + 3 s + 7 c), two samples.
TEST_P(Ctc, IsPyTorchs) {
  OpCase c = ctc_case(12, 6, 4);
  c.micro_batch = c.samples = c.batch_samples = 2;
  c.op.has_lengths = true;
  if (!make(c)) GTEST_SKIP() << last_error();
  std::vector<float> x;
  for (int t = 0; t < 12; ++t)
    for (int s = 0; s < 2; ++s)
      for (int k = 0; k < 6; ++k) x.push_back(static_cast<float>(std::sin(t + 3 * s + 7 * k)));
  run_->set_values("x", x);
  run_->labels() = {1, 5, 5, 2, 4, 3, -1, -1};
  run_->lengths() = {12, 9};
  EXPECT_NEAR(loss() / 2, 4.21266170272956, 1e-6);
  const std::vector<float> dx = run_->values("dx");
  const double expected[] = {-0.028709928, -0.059283137, 0.032022789, 0.018417183,
                             -0.080600447, 0.006702056,  0.072155164, -0.007662317};
  const size_t places[] = {0, 1, 7, 40, 65, 100, 107, 132};
  for (size_t i = 0; i < std::size(places); ++i)
    EXPECT_NEAR(static_cast<double>(dx[places[i]]), expected[i], 1e-6) << "dx[" << places[i] << "]";
  for (size_t i = (9 * 2 + 1) * 6; i < dx.size(); i += 12)
    for (size_t k = 0; k < 6; ++k) EXPECT_EQ(dx[i + k], 0) << "behind the sample's length";
}

// Two equal labels take a blank between them: four steps at least for 1 1 1 would be five.
TEST_P(Ctc, NoPathIsNoFiniteLoss) {
  if (!make(one_sample(4, 3, 3))) GTEST_SKIP() << last_error();
  run_->labels() = {1, 1, 1};
  EXPECT_EQ(loss(), INFINITY);
  EXPECT_EQ(run_->statistics().non_finite, 1u);
  run_->labels() = {1, 2, 1};
  EXPECT_TRUE(std::isfinite(loss()));
  EXPECT_EQ(run_->statistics().non_finite, 0u);
}

TEST_P(Ctc, GreedyPathDecides) {
  if (!make(one_sample(6, 3, 3))) GTEST_SKIP() << last_error();
  run_->set_values("x", {0, 9, 0, 0, 9, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9, 9, 0, 0});  // 1 1 - 1 2 -
  run_->labels() = {1, 1, 2};
  loss();
  EXPECT_EQ(run_->statistics().correct, 1u);
  run_->labels() = {1, 2, -1};
  loss();
  EXPECT_EQ(run_->statistics().correct, 0u);
}

// Probabilities of about e^-5000 a sample, and steps that are all but certain.
TEST_P(Ctc, LongSequencesStayExact) {
  for (float certainty : {0.5f, 60.0f}) {
    OpCase c = one_sample(1000, 59, 100);
    if (!make(c)) GTEST_SKIP() << last_error();
    std::vector<float> x = run_->values("x");
    for (float& value : x) value *= certainty;
    run_->set_values("x", x);
    const double actual = loss();
    OpRun oracle(*reference_device(), c);
    oracle.fill();
    oracle.set_values("x", x);
    oracle.run_forward();
    EXPECT_NEAR(actual, oracle.statistics().loss_sum, 1e-9 * oracle.statistics().loss_sum);
    EXPECT_LE(normalised_square_error(run_->values("dx"), oracle.values("dx")), square_error_limit);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, Ctc, ::testing::ValuesIn(device_specs()),
                         [](const ::testing::TestParamInfo<DeviceSpec>& parameters) { return parameters.param.name; });

}  // namespace
}  // namespace lt::ops
