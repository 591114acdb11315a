// The reference device's backward operations against central differences of its forward operations: an oracle is not taken
// on trust. A product is linear in each of x, weight and bias, so that a difference is exact up to rounding, except where
// it crosses a kink: another window's winner, or another side of a ReLU; such elements are left out, and few may be. A
// recurrent layer is smooth: its third derivatives times the step's square are far below the limit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tools/selftest/op_cases.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

// Rounding of y, 2^-24 relative, is divided by twice this: 2^-15 of the largest y a term.
constexpr float step = 0x1p-10f;
constexpr double limit = 5e-4;

// What decides the piece that the operation is linear in.
std::vector<uint8_t> pattern(OpRun* run) {
  std::vector<uint8_t> result;
  if (run->op_case().op.has_relu)
    for (float y : run->values("y")) result.push_back(y > 0);
  for (const char* name : {"argmax", "mask"})
    if (run->has(name))
      for (uint8_t byte : run->byte_values(name)) result.push_back(byte);
  return result;
}

double weighted_sum(const std::vector<float>& dy, const std::vector<float>& y) {
  double sum = 0;
  for (size_t i = 0; i < y.size(); ++i) sum += static_cast<double>(dy[i]) * static_cast<double>(y[i]);
  return sum;
}

void expect_gradient(OpRun* run, const std::string& of) {
  const std::vector<float> gradient = run->values("d" + of), at = run->values(of), dy = run->values("dy");
  const std::vector<uint8_t> base = pattern(run);
  double largest = 0.1;
  for (float g : gradient) largest = std::max(largest, std::fabs(static_cast<double>(g)));
  size_t checked = 0;
  const size_t stride = std::max<size_t>(1, at.size() / 200);
  for (size_t i = 0; i < at.size(); i += stride) {
    double sums[2];
    bool same_piece = true;
    for (int side = 0; side < 2; ++side) {
      std::vector<float> moved = at;
      moved[i] += side == 0 ? -step : step;
      run->set_values(of, moved);
      run->run_forward();
      sums[side] = weighted_sum(dy, run->values("y"));
      same_piece &= pattern(run) == base;
    }
    run->set_values(of, at);
    if (!same_piece) continue;
    ++checked;
    const double numeric = (sums[1] - sums[0]) / (2 * static_cast<double>(step));
    ASSERT_NEAR(static_cast<double>(gradient[i]), numeric, limit * largest)
        << run->op_case().name << ": d" << of << "[" << i << "]";
  }
  EXPECT_GE(checked * stride * 4, at.size()) << run->op_case().name << ": too few elements of " << of << " away from kinks";
}

std::vector<OpCase> small_cases() {
  std::vector<OpCase> list;
  for (unsigned parts = 0; parts < 8; ++parts) {
    std::vector<OpCase> shapes = {linear_case(9, 7),
                                  activation_case({5, 4, 3}),
                                  activation_case({6, 5, 2}, {2, 2, 0}),
                                  activation_case({5, 5, 2}, {3, 2, 1}),
                                  conv2d_case({5, 4, 3}, 4, {3, 1, 1}),
                                  conv2d_case({6, 6, 2}, 3, {3, 1, 1}, {2, 2, 0}),
                                  conv2d_case({7, 6, 2}, 3, {2, 1, 0}, {3, 2, 0}),
                                  conv2d_case({7, 8, 2}, 3, {3, 2, 2}),
                                  conv2d_case({5, 5, 1}, 2, {3, 1, 1}, {2, 1, 0})};
    for (OpCase& c : shapes) {
      c.micro_batch = c.samples = 2;
      c.op.has_bias = parts & 1 && c.op.kind != OpKind::activation;
      c.op.has_relu = parts & 2;
      c.op.dropout = parts & 4 ? 0.25f : 0;
      c.name += "_parts" + std::to_string(parts);
      list.push_back(backward_case(c));
    }
  }
  for (const Cell cell : {Cell::gru, Cell::lstm})
    for (unsigned parts = 0; parts < 16; ++parts) {
      OpCase c = recurrent_case(cell, 5, 3, 4, parts & 1 ? 2 : 1);
      c.op.has_bias = parts & 2;
      c.op.has_lengths = parts & 4;
      if (parts & 8) {
        c.op.only_last_step = true;
        c.op.y_extent.height = 1;
      }
      c.micro_batch = 4;
      c.samples = 3;
      c.name += "_parts" + std::to_string(parts);
      list.push_back(backward_case(c));
    }
  OpCase rows = sequence_linear_case(4, 5, 3);
  rows.op.has_bias = true;
  list.push_back(backward_case(rows));
  return list;
}

TEST(Gradients, OfReferenceAreItsDifferences) {
  const std::unique_ptr<Device> device = reference_device();
  for (const OpCase& c : small_cases()) {
    OpRun run(*device, c);
    ASSERT_EQ(run.status(), Status::ok) << last_error();
    run.fill();
    run.run_forward();
    run.run_backward();
    expect_gradient(&run, "x");
    for (const std::string& of : part_names())
      if (run.has("d" + of)) expect_gradient(&run, of);
    if (HasFailure()) return;
  }
}

TEST(Gradients, OfTheLossAreItsDifferences) {
  for (uint32_t classes : {2u, 3u, 10u}) {
    OpCase c = loss_case(classes);
    c.batch_samples = 7;
    OpRun run(*reference_device(), c);
    run.fill();
    run.run_forward();
    const std::vector<float> gradient = run.values("dx"), at = run.values("x");
    for (size_t i = 0; i < at.size(); ++i) {
      double loss[2];
      for (int side = 0; side < 2; ++side) {
        std::vector<float> moved = at;
        moved[i] += side == 0 ? -step : step;
        run.set_values("x", moved);
        run.run_forward();
        loss[side] = run.statistics().loss_sum / c.batch_samples;
      }
      run.set_values("x", at);
      // Logits are float: a step on one below 8 is off by 2^-22 at most, a part in 4000 of it.
      ASSERT_NEAR(static_cast<double>(gradient[i]), (loss[1] - loss[0]) / (2 * static_cast<double>(step)), 5e-5)
          << c.name << ": dx[" << i << "]";
    }
  }
}

}  // namespace
}  // namespace lt::ops
