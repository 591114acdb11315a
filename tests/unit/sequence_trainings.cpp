// Trainings of sequences and of words by the C API, on a few samples of the built-in models' features and units but few
// steps: the same bits with any number of threads, in fp32 and bf16; and a training that was saved in the middle of a
// shuffled epoch and resumed ends with the same bytes, dropout, every optimizer and the rows of words whose updates were
// put off included.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "src/lean_train.h"
#include "tests/data/temporary_folder.h"
#include "tests/unit/sequence_files.h"

namespace lt::test {
namespace {

using tests::read_file;
using tests::TemporaryFolder;

struct Model {
  const char *name, *recipe;
  // What of the recipe's text is another.
  std::vector<std::pair<std::string, std::string>> changes;
};

// A dropout layer behind the last step, which no built-in model has.
const char* const dropout =
    "type = \"last_step\"\n\n[[layer]]\ntype = \"linear\"\nname = \"wide\"\nout_features = 40\n\n"
    "[[layer]]\ntype = \"relu\"\n\n[[layer]]\ntype = \"dropout\"\nrate = 0.4\n";

const Model models[] = {
    {"gru", "rnn/gru-1x320", {{"steps = 1000", "steps = 23"}, {"batch = 25", "batch = 11"}}},
    {"lstm", "rnn/lstm-1x320", {{"steps = 1000", "steps = 23"}, {"batch = 25", "batch = 11"}}},
    {"bilstm",
     "rnn/bilstm-4x320",
     {{"steps = 1000", "steps = 9"},
      {"batch = 25", "batch = 11"},
      {"layers = 4", "layers = 2"},
      {"units = 320", "units = 70"}}},
    {"dropout",
     "rnn/gru-1x320",
     {{"steps = 1000", "steps = 9"}, {"batch = 25", "batch = 11"}, {"type = \"last_step\"\n", dropout}}},
    {"ctc",
     "rnn/bilstm-4x320-ctc",
     {{"steps = 1000", "steps = 12"},
      {"batch = 25", "batch = 11"},
      {"layers = 4", "layers = 2"},
      {"units = 320", "units = 70"},
      {"labels = 100", "labels = 1"}}},
    {"imdb", "imdb", {{"batch = 64", "batch = 20"}}},
    {"imdb_padding_none", "imdb/padding-none", {{"batch = 64", "batch = 20"}}},
};

std::string recipe_of(const Model& model) {
  std::string text = lt_recipe_text(model.recipe);
  for (const auto& [from, to] : model.changes) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    if (at != std::string::npos) text.replace(at, from.size(), to);
  }
  return text;
}

struct Choice {
  const Model* model = nullptr;
  std::string precision = "fp32", optimizer;
  uint32_t threads = 1;
};

// 60 samples: six batches of 11, the last one short.
class Trained {
 public:
  Trained(const Choice& choice, const std::string& folder) {
    const std::string recipe = recipe_of(*choice.model);
    lt_config config;
    lt_config_init(&config);
    config.recipe = recipe.c_str();
    config.device = "cpu";
    config.kernels = "highway";
    config.precision = choice.precision.c_str();
    config.threads = choice.threads;
    config.seed = 3;
    if (!choice.optimizer.empty()) config.optimizer = choice.optimizer.c_str();
    status_ = lt_plan_create(&config, &plan_);
    if (status_ != LT_OK) return;
    const bool words = std::strncmp(choice.model->recipe, "imdb", 4) == 0;
    EXPECT_EQ(
        lt_dataset_open(words ? "synthetic-reviews" : "sequences", words ? nullptr : folder.c_str(), LT_TRAIN, 1, &data_),
        LT_OK)
        << lt_last_error();
    EXPECT_EQ(lt_session_create(plan_, nullptr, 0, &session_), LT_OK) << lt_last_error();
    EXPECT_EQ(lt_session_bind(session_, LT_TRAIN, data_), LT_OK) << lt_last_error();
  }
  ~Trained() {
    lt_session_free(session_);
    lt_dataset_free(data_);
    lt_plan_free(plan_);
  }
  Trained(const Trained&) = delete;
  Trained& operator=(const Trained&) = delete;
  lt_status status() const { return status_; }

  std::vector<double> steps(int count) {
    std::vector<double> losses;
    lt_report report{};
    report.size = sizeof report;
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ(lt_session_step(session_, &report), LT_OK) << lt_last_error();
      losses.push_back(report.loss);
    }
    return losses;
  }
  std::string saved(const std::string& path) {
    EXPECT_EQ(lt_session_save(session_, path.c_str()), LT_OK) << lt_last_error();
    return read_file(path);
  }
  void load(const std::string& path) { ASSERT_EQ(lt_session_load(session_, path.c_str()), LT_OK) << lt_last_error(); }

 private:
  lt_status status_ = LT_OK;
  lt_plan* plan_ = nullptr;
  lt_dataset* data_ = nullptr;
  lt_session* session_ = nullptr;
};

using Parameters = std::tuple<const Model*, const char*, const char*>;
std::string name_of(const testing::TestParamInfo<Parameters>& info) {
  const std::string optimizer = std::get<2>(info.param);
  return std::string(std::get<0>(info.param)->name) + "_" + std::get<1>(info.param) + (optimizer.empty() ? "" : "_") +
         optimizer;
}

class Sequences : public testing::TestWithParam<Parameters> {
 protected:
  Sequences() {
    choice_.model = std::get<0>(GetParam());
    choice_.precision = std::get<1>(GetParam());
    choice_.optimizer = std::get<2>(GetParam());
    const std::string recipe = recipe_of(*choice_.model);
    const size_t at = recipe.find("steps = ");
    const bool ctc = recipe.find("\"ctc\"") != std::string::npos;
    // With ctc, class 0 is the blank.
    tests::write_sequences(folder_.path(), "train", 60, static_cast<uint32_t>(std::stoul(recipe.substr(at + 8))), 123,
                           ctc ? 1 : 0, 25);
  }
  TemporaryFolder folder_;
  Choice choice_;
};

class SameBitsOfSequences : public Sequences {};
TEST_P(SameBitsOfSequences, WithAnyNumberOfThreads) {
  Trained alone(choice_, folder_.path());
  ASSERT_EQ(alone.status(), LT_OK) << lt_last_error();
  const std::vector<double> losses = alone.steps(4);
  const std::string weights = alone.saved(folder_ / "one");
  uint32_t compared = 0;
  for (const uint32_t threads : {2u, 3u}) {
    choice_.threads = threads;
    Trained other(choice_, folder_.path());
    if (other.status() == LT_ERR_ARG) continue;  // more than this process may use
    ASSERT_EQ(other.status(), LT_OK) << lt_last_error();
    ++compared;
    EXPECT_EQ(other.steps(4), losses) << threads << " threads";
    EXPECT_EQ(other.saved(folder_ / "more"), weights) << threads << " threads";
  }
  if (compared == 0) GTEST_SKIP() << lt_last_error();
}

class ResumeOfSequences : public Sequences {};
TEST_P(ResumeOfSequences, HasTheBitsOfATrainingThatWasNotBrokenOff) {
  // Of ten steps, six an epoch, the fifth is in its middle; reviews are at an epoch's beginning.
  Trained whole(choice_, folder_.path());
  ASSERT_EQ(whole.status(), LT_OK) << lt_last_error();
  whole.steps(5);
  const std::string middle = whole.saved(folder_ / "5");
  const std::vector<double> losses = whole.steps(5);
  const std::string end = whole.saved(folder_ / "10");
  Trained never(choice_, folder_.path());  // saved but once
  never.steps(10);
  EXPECT_EQ(never.saved(folder_ / "never"), end);
  for (const uint32_t threads : {1u, 2u}) {
    choice_.threads = threads;
    Trained second(choice_, folder_.path());
    if (second.status() == LT_ERR_ARG) continue;
    ASSERT_EQ(second.status(), LT_OK) << lt_last_error();
    second.load(folder_ / "5");
    EXPECT_EQ(second.saved(folder_ / "5 again"), middle);
    EXPECT_EQ(second.steps(5), losses) << threads << " threads";
    EXPECT_EQ(second.saved(folder_ / "10 again"), end) << threads << " threads";
  }
}

std::vector<const Model*> all_models() {
  std::vector<const Model*> list;
  for (const Model& model : models) list.push_back(&model);
  return list;
}

INSTANTIATE_TEST_SUITE_P(Models, SameBitsOfSequences,
                         testing::Combine(testing::ValuesIn(all_models()), testing::Values("fp32", "bf16"),
                                          testing::Values("")),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Models, ResumeOfSequences,
                         testing::Combine(testing::ValuesIn(all_models()), testing::Values("fp32", "bf16"),
                                          testing::Values("")),
                         name_of);
// Without Adam no update of a word's row is put off.
INSTANTIATE_TEST_SUITE_P(Optimizers, ResumeOfSequences,
                         testing::Combine(testing::Values(&models[3], &models[6]), testing::Values("fp32"),
                                          testing::Values("sgd", "momentum")),
                         name_of);

}  // namespace
}  // namespace lt::test
