#include "tests/cuda/small_training.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lt::cuda {

Samples::Samples(const char* kind, uint32_t count) : labels_(count) {
  lt_dataset* drawn = nullptr;
  EXPECT_EQ(lt_dataset_open(kind, nullptr, LT_TRAIN, 1, &drawn), LT_OK) << lt_last_error();
  const DatasetPtr owner(drawn);
  lt_dataset_info info{};
  info.size = sizeof info;
  EXPECT_EQ(lt_dataset_get(drawn, &info), LT_OK);
  sample_bytes_ = info.sample_bytes;
  x_.resize(count * sample_bytes_);
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t label = 0;
    EXPECT_EQ(lt_dataset_read(drawn, i, x_.data() + i * sample_bytes_, &label), LT_OK);
    labels_[i] = static_cast<uint8_t>(label);
  }
  lt_dataset* wrapped = nullptr;
  EXPECT_EQ(
      lt_dataset_wrap(x_.data(), labels_.data(), count, info.channels, info.height, info.width, info.classes, &wrapped),
      LT_OK);
  dataset_.reset(wrapped);
}

namespace {

bool keep(lt_status status, Training* training) {
  training->status = status;
  if (status != LT_OK) training->error = lt_last_error();
  return status == LT_OK;
}

}  // namespace

Training open(const Wish& wish) {
  Training result;
  lt_config config;
  lt_config_init(&config);
  config.recipe = wish.recipe.c_str();
  config.device = wish.device.c_str();
  config.precision = wish.precision.c_str();
  if (!wish.kernels.empty()) config.kernels = wish.kernels.c_str();
  config.batch = wish.batch;
  config.flags = wish.flags;
  lt_plan* plan = nullptr;
  if (!keep(lt_plan_create(&config, &plan), &result)) return result;
  PlanPtr plan_owner(plan);
  lt_session* session = nullptr;
  if (!keep(lt_session_create(plan, nullptr, 0, &session), &result)) return result;
  result.plan = std::move(plan_owner);
  result.session.reset(session);
  return result;
}

Training start(const Wish& wish, const lt_dataset* train, const lt_dataset* test) {
  Training result = open(wish);
  if (result.status == LT_OK && keep(lt_session_bind(result.session.get(), LT_TRAIN, train), &result) &&
      keep(lt_session_bind(result.session.get(), LT_TEST, test), &result))
    return result;
  result.session.reset();
  result.plan.reset();
  return result;
}

std::vector<double> losses(lt_session* session, uint32_t steps) {
  std::vector<double> result;
  for (uint32_t i = 0; i < steps; ++i) {
    lt_report report{};
    report.size = sizeof report;
    if (lt_session_step(session, &report) != LT_OK) break;
    result.push_back(report.loss);
  }
  return result;
}

void expect_close(const std::vector<double>& actual, const std::vector<double>& expected, double bound) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    EXPECT_NEAR(actual[i], expected[i], bound * std::abs(expected[i])) << "step " << i + 1;
}

}  // namespace lt::cuda
