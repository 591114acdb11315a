// How far trainings part, and when that is too far; the columns of tables and of the live line, and the curve in it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/compare/parting.h"
#include "tools/sparkline.h"
#include "tools/text.h"
#include "tools/text_table.h"

namespace lt::tool {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(Parting, LossesAreHeldAgainstTheBase) {
  EXPECT_DOUBLE_EQ(relative_difference(2, 2.5), 0.25);
  EXPECT_DOUBLE_EQ(relative_difference(2, 1.5), 0.25);
  EXPECT_DOUBLE_EQ(relative_difference(-4, -5), 0.25);
  EXPECT_EQ(relative_difference(0, 0), 0);
  EXPECT_DOUBLE_EQ(relative_difference(0.001, 0.002), 0.1);  // below 0.01: against that
  EXPECT_TRUE(std::isnan(relative_difference(nan, 1)));
  EXPECT_TRUE(std::isnan(relative_difference(1, nan)));
}

TEST(Parting, WeightsAreHeldAgainstTheNormOfAll) {
  WeightsDistance distance(7);
  const float base[] = {3, 4}, other[] = {3, 4.5f}, zero[] = {0, 0}, start[] = {3, 3};
  distance.add("near", base, base, base, 2);
  distance.add("far", start, base, other, 2);
  distance.add("zero", zero, zero, zero, 2);
  const WeightsApart apart = distance.finish();
  EXPECT_EQ(apart.step, 7u);
  EXPECT_DOUBLE_EQ(apart.distance, std::sqrt(0.25 / 50));
  EXPECT_DOUBLE_EQ(apart.distance_of_move, 0.5);
  EXPECT_EQ(apart.tensor, "far");
  EXPECT_DOUBLE_EQ(apart.tensor_distance, 0.1);
}

TEST(Parting, WhatIsNotANumberIsTheFarthest) {
  WeightsDistance distance(1);
  const float base[] = {1, 1}, other[] = {2, 2}, broken[] = {1, std::numeric_limits<float>::quiet_NaN()};
  distance.add("broken", base, base, broken, 2);
  distance.add("other", base, base, other, 2);
  const WeightsApart apart = distance.finish();
  EXPECT_EQ(apart.tensor, "broken");
  EXPECT_TRUE(std::isnan(apart.distance));
  Parting parting;
  parting.loss_differences = {0, nan, 0.5};
  parting.weights = {apart};
  const Verdict verdict = judge(parting, {1, 1, 1, 20, ""});
  EXPECT_FALSE(verdict.loss_agrees);
  EXPECT_FALSE(verdict.weights_agree);
  EXPECT_EQ(verdict.first_loss_step, 2u);
  EXPECT_EQ(verdict.loss_step, 2u);
}

TEST(Parting, IsJudgedStepByStep) {
  Parting parting;
  parting.loss_differences = {1e-6, 3e-4, 9e-4, 1e-5};
  parting.weights = {{0, 0, 0, "", 0}, {1, 1e-7, 1e-3, "a", 0}, {4, 2e-4, 1, "b", 0}};
  const Bound bound = {2e-4, 2e-4, 1e-3, 20, ""};
  Verdict verdict = judge(parting, bound);
  EXPECT_FALSE(verdict.agrees);
  EXPECT_EQ(verdict.first_loss_step, 2u);
  EXPECT_EQ(verdict.loss_step, 3u);
  EXPECT_DOUBLE_EQ(verdict.loss, 9e-4);
  EXPECT_TRUE(verdict.weights_agree);  // the bound itself is within
  EXPECT_EQ(verdict.weights_step, 4u);
  parting.weights[2].distance = 2.1e-4;
  parting.loss_differences = {0, 0, 0, 0};
  verdict = judge(parting, bound);
  EXPECT_FALSE(verdict.agrees);
  EXPECT_EQ(verdict.first_weights_step, 4u);
  EXPECT_EQ(verdict.tensor, "b");
  EXPECT_TRUE(verdict.first_update_agrees);
  parting.weights[1].distance_of_move = 1.1e-3;
  parting.weights.pop_back();
  verdict = judge(parting, bound);
  EXPECT_TRUE(verdict.loss_agrees && verdict.weights_agree);
  EXPECT_FALSE(verdict.agrees);
  EXPECT_EQ(verdict.first_update_tensor, "a");
}

TEST(Parting, StepsPastTheBoundsAreNotJudged) {
  Parting parting;
  parting.loss_differences = {0, 0, 1};
  parting.weights = {{2, 0, 0, "a", 0}, {3, 1, 0, "a", 1}};
  EXPECT_TRUE(judge(parting, {0, 0, 0, 2, ""}).agrees);
  EXPECT_FALSE(judge(parting, {0, 0, 0, 3, ""}).agrees);
}

TEST(Parting, ABoundIsForTheCoarserPrecision) {
  EXPECT_EQ(bound_of("fp32", "fp32", "sgd").loss, 2e-4);
  EXPECT_EQ(bound_of("fp32", "fp32", "sgd").weights, 2e-4);
  EXPECT_EQ(bound_of("fp32", "tf32", "sgd").why, "tf32");
  EXPECT_EQ(bound_of("bf16", "tf32", "sgd").why, "bf16");
  EXPECT_EQ(bound_of("bf16", "fp32", "sgd").steps, bound_steps);
  for (const char* precision : {"fp32", "tf32", "bf16"}) {
    EXPECT_GT(bound_of("fp32", precision, "adam").weights, bound_of("fp32", precision, "momentum").weights);
    EXPECT_EQ(bound_of("fp32", precision, "adam").loss, bound_of("fp32", precision, "momentum").loss);
  }
}

TEST(Columns, AreCountedByCharacters) {
  EXPECT_EQ(display_columns(""), 0u);
  EXPECT_EQ(display_columns("abc"), 3u);
  EXPECT_EQ(display_columns("a\u2581\u2588b"), 4u);
  EXPECT_EQ(display_columns("a\x80z"), 3u);  // a byte that is no UTF-8
  EXPECT_EQ(bytes_of_columns("a\u2581\u2588b", 0), 0u);
  EXPECT_EQ(bytes_of_columns("a\u2581\u2588b", 2), 4u);
  EXPECT_EQ(bytes_of_columns("a\u2581\u2588b", 9), 8u);
}

std::string drawn(const Sparkline& line, size_t columns) {
  char text[Sparkline::bytes_most];
  const size_t count = line.draw(columns, text);
  EXPECT_EQ(count, display_columns(text));
  return text;
}

TEST(Sparkline, GoesFromTheLeastToTheLargest) {
  Sparkline line;
  EXPECT_EQ(drawn(line, 8), "");
  line.add(3);
  EXPECT_EQ(drawn(line, 8), "\u2581");  // nothing to compare it with
  line.add(nan);
  line.add(10);
  line.add(std::numeric_limits<double>::infinity());
  EXPECT_EQ(drawn(line, 8), "\u2581\u2588");
  line.add(4);
  EXPECT_EQ(drawn(line, 8), "\u2581\u2588\u2582");
  EXPECT_EQ(drawn(line, 0), "");
}

TEST(Sparkline, FewerColumnsAreMeans) {
  Sparkline line;
  for (int i = 0; i < 8; ++i) line.add(i);
  EXPECT_EQ(drawn(line, 8), "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588");
  EXPECT_EQ(drawn(line, 2), "\u2581\u2588");
}

TEST(Sparkline, NeverTakesMoreColumns) {
  Sparkline line;
  for (int i = 1; i <= 100000; ++i) {
    line.add(i);
    EXPECT_LE(line.columns(), Sparkline::columns_most);
    EXPECT_GE(line.columns(), std::min<size_t>(static_cast<size_t>(i), Sparkline::columns_most / 2));
  }
  // A straight line stays one, however often columns were joined.
  EXPECT_EQ(drawn(line, 8), "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588");
}

TEST(TextTable, ColumnsStandBelowEachOther) {
  TextTable table({"name", ">n", "note"});
  table.row({"a", "1", "first"});
  table.row({"\u2588\u2588\u2588\u2588\u2588", "100", ""});
  EXPECT_EQ(table.text(), "name     n  note\na        1  first\n\u2588\u2588\u2588\u2588\u2588  100\n");
}

}  // namespace
}  // namespace lt::tool
