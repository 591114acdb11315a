// Models of words in a session, on the reference device: rows whose updates are put off have the bits of rows that are
// updated in every step, whoever looks at them in between; a caller's words are checked before they are used.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/dataset.h"
#include "src/plan/plan.h"
#include "src/run/session.h"

namespace lt {
namespace {

constexpr const char* recipe_text = R"(
name = "words"
[input]
steps = 7
vocabulary = 40
[training]
batch = 6
epochs = 1
optimizer = "adam"
lr = 0.01
[[layer]]
type = "embedding"
name = "embedding"
features = 5
[[layer]]
type = "gru"
name = "rnn"
units = 4
[[layer]]
type = "last_step"
[[layer]]
type = "linear"
name = "fc"
out_features = 2
)";

constexpr uint32_t steps = 7, batch = 6;

std::shared_ptr<const Plan> make_plan(bool puts_off) {
  PlanRequest request;
  EXPECT_EQ(recipe_parse(recipe_text, "words", &request.recipe), Status::ok) << last_error();
  request.device = "reference";
  if (!puts_off) request.fold_least_bytes = fold_nothing;
  std::shared_ptr<const Plan> plan;
  EXPECT_EQ(plan_make(request, &plan), Status::ok) << last_error();
  return plan;
}

std::unique_ptr<Session> make_session(const std::shared_ptr<const Plan>& plan) {
  std::unique_ptr<Session> session;
  EXPECT_EQ(Session::create(plan, nullptr, 0, &session), Status::ok) << last_error();
  return session;
}

// Words of which some are rare, zeros behind the last of every second sample.
Status train(Session* session, uint32_t number) {
  std::vector<int32_t> words(batch * steps);
  std::vector<uint8_t> labels(batch);
  for (uint32_t i = 0; i < words.size(); ++i) {
    const uint32_t draw = (i * 2654435761u + number * 40503u) >> 7;
    words[i] = static_cast<int32_t>(draw % 5 == 0 ? 1 + draw / 5 % 39 : 1 + draw / 5 % 3);
    if (i / steps % 2 == 1 && i % steps > 4) words[i] = 0;
  }
  for (uint32_t i = 0; i < batch; ++i) labels[i] = static_cast<uint8_t>((i + number) % 2);
  Report report;
  return session->step_on(words.data(), labels.data(), batch, &report);
}

std::vector<float> table(Session* session) {
  std::vector<float> values(40 * 5);
  EXPECT_EQ(session->read("embedding.weight", values.data(), values.size()), Status::ok) << last_error();
  return values;
}

TEST(Words, ParametersAreThoseOfPyTorch) {
  const auto plan = make_plan(true);
  std::vector<std::string> names;
  for (const Parameter& parameter : plan->parameters) names.push_back(parameter.name);
  EXPECT_EQ(names, (std::vector<std::string>{"embedding.weight", "rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0",
                                             "rnn.bias_hh_l0", "fc.weight", "fc.bias"}));
  EXPECT_EQ(plan->parameters[0].dims, (std::vector<uint64_t>{40, 5}));
  EXPECT_LT(plan->program.step_end, plan->program.ops.size());
  EXPECT_EQ(make_plan(false)->program.step_end, make_plan(false)->program.ops.size());
  // N(0, 1): of 200 numbers the mean is within 0.3 of 0 and the mean square within 0.5 of 1, but for one seed in 10^4.
  const auto session = make_session(plan);
  double sum = 0, squares = 0;
  for (const float value : table(session.get())) {
    sum += static_cast<double>(value) / 200;
    squares += static_cast<double>(value) * static_cast<double>(value) / 200;
  }
  EXPECT_NEAR(sum, 0, 0.3);
  EXPECT_NEAR(squares, 1, 0.5);
}

TEST(Words, UpdatesThatArePutOffHaveTheBitsOfOthers) {
  const auto once = make_session(make_plan(true)), often = make_session(make_plan(true)),
             dense = make_session(make_plan(false));
  for (uint32_t number = 0; number < 30; ++number) {
    for (Session* session : {once.get(), often.get(), dense.get()})
      ASSERT_EQ(train(session, number), Status::ok) << last_error();
    if (number % 4 == 0) {
      ASSERT_EQ(table(often.get()), table(dense.get())) << "step " << number + 1;
    }
  }
  EXPECT_EQ(table(once.get()), table(dense.get()));
  EXPECT_EQ(table(often.get()), table(dense.get()));
  std::vector<int32_t> words(steps, 3);
  float one[2], two[2];
  ASSERT_EQ(once->predict(words.data(), 1, one, 2), Status::ok) << last_error();
  ASSERT_EQ(dense->predict(words.data(), 1, two, 2), Status::ok) << last_error();
  EXPECT_EQ(one[0], two[0]);
  EXPECT_NEAR(one[0] + one[1], 1, 1e-6);
}

TEST(Words, WhatAUserWritesIsNotPutOffOver) {
  const auto session = make_session(make_plan(true));
  ASSERT_EQ(train(session.get(), 0), Status::ok);
  ASSERT_EQ(train(session.get(), 1), Status::ok);
  const std::vector<float> written(40 * 5, 0.25f);
  ASSERT_EQ(session->write("embedding.weight", written.data(), written.size()), Status::ok);
  EXPECT_EQ(table(session.get()), written);
}

TEST(Words, PaddingBehindTheLastWordCountsForNothing) {
  const auto session = make_session(make_plan(true));
  std::vector<int32_t> words = {4, 5, 6, 0, 0, 0, 0};
  float before[2], after[2];
  ASSERT_EQ(session->predict(words.data(), 1, before, 2), Status::ok) << last_error();
  std::vector<float> values = table(session.get());
  for (int i = 0; i < 5; ++i) values[i] = 3;  // of the word 0
  ASSERT_EQ(session->write("embedding.weight", values.data(), values.size()), Status::ok);
  ASSERT_EQ(session->predict(words.data(), 1, after, 2), Status::ok) << last_error();
  EXPECT_EQ(before[0], after[0]);
}

TEST(Words, NumbersOutsideTheVocabularyAreRefused) {
  const auto session = make_session(make_plan(true));
  for (const int32_t wrong : {40, -1, INT32_MAX, INT32_MIN}) {
    std::vector<int32_t> words(steps * 2, 1);
    words[steps + 2] = wrong;
    float probabilities[4];
    EXPECT_EQ(session->predict(words.data(), 2, probabilities, 4), Status::argument);
    EXPECT_NE(std::string(last_error()).find("word 2 of sample 1 is " + std::to_string(wrong)), std::string::npos)
        << last_error();
    const uint8_t labels[2] = {0, 1};
    Report report;
    EXPECT_EQ(session->step_on(words.data(), labels, 2, &report), Status::argument);
  }
}

}  // namespace
}  // namespace lt
