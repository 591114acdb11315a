// What CTC cannot train on is refused with its number, wherever in the batch it stands; all else passes.
#include "src/run/label_lists.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lt {
namespace {

constexpr uint32_t classes = 5;

Status check(const std::vector<int32_t>& labels, const std::vector<uint32_t>& lengths, LossKind loss = LossKind::ctc) {
  Recipe recipe;
  recipe.loss = loss;
  recipe.labels = 3;
  recipe.input = {6, 1, 2};
  const uint32_t indices[] = {70, 71, 72, 73};
  RunArguments run;
  run.samples = static_cast<uint32_t>(labels.size() / 3);
  run.labels = labels.data();
  run.lengths = lengths.empty() ? nullptr : lengths.data();
  return check_label_lists(recipe, classes, "toy", indices, run);
}

TEST(LabelLists, PossibleOnesPass) {
  EXPECT_EQ(check({1, 2, 4, 3, -1, -1, 1, 1, 1}, {3, 1, 5}), Status::ok);
  EXPECT_EQ(check({2, 2, 2}, {}), Status::ok) << "all six steps";
  EXPECT_EQ(check({0, 0, 0}, {1}, LossKind::cross_entropy), Status::ok);
}

TEST(LabelLists, ImpossibleOnesAreNamed) {
  const auto refused = [](const std::vector<int32_t>& labels, const std::vector<uint32_t>& lengths, const char* words) {
    EXPECT_EQ(check(labels, lengths), Status::format);
    EXPECT_NE(std::string(last_error()).find(words), std::string::npos) << last_error();
  };
  refused({1, 2, 3, 1, 2, 3}, {3, 2}, "sample 71 has 2 steps, its 3 labels need 3");
  refused({1, 1, 3}, {3}, "sample 70 has 3 steps, its 3 labels need 4");
  refused({1, 2, 3, -1, -1, -1}, {}, "sample 71 has no labels");
  refused({1, 0, 3}, {}, "label 1 of sample 70 is 0");
  refused({1, 5, 3}, {}, "label 1 of sample 70 is 5");
  refused({-2, 1, 3}, {}, "label 0 of sample 70 is -2");
}

}  // namespace
}  // namespace lt
