// The same for models of sequences and of words on Highway's kernels: from the second step on nothing is allocated, mapped
// or started, over steps with lengths of their own and across an epoch's end, an evaluation and checkpoints.
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "src/lean_train.h"
#include "tests/data/temporary_folder.h"
#include "tests/no_allocation/allocation_counter.h"
#include "tests/unit/sequence_files.h"

namespace lt::test {
namespace {

class NoAllocationOfSequences : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

// The built-in model, of fewer steps and units, and one label a sample.
std::string short_recipe(const char* name) {
  std::string text = lt_recipe_text(name);
  for (const auto& [from, to] : {std::pair("steps = 1000", "steps = 20"), std::pair("labels = 100", "labels = 1"),
                                 std::pair("layers = 4", "layers = 2"), std::pair("units = 320", "units = 70")})
    if (const size_t at = text.find(from); at != std::string::npos) text.replace(at, std::string(from).size(), to);
  return text;
}

TEST_P(NoAllocationOfSequences, AfterTheSecondStep) {
  const auto [name, precision] = GetParam();
  const bool words = std::string(name).starts_with("imdb");
  const tests::TemporaryFolder folder;
  const std::string recipe = short_recipe(name), checkpoint = folder / "checkpoint";
  for (const char* split : {"train", "test"}) tests::write_sequences(folder.path(), split, 60, 20, 123, 1, 25);
  lt_config config;
  lt_config_init(&config);
  config.recipe = recipe.c_str();
  config.device = "cpu";
  config.kernels = "highway";
  config.precision = precision;
  lt_plan* plan = nullptr;
  ASSERT_EQ(lt_plan_create(&config, &plan), LT_OK) << lt_last_error();
  lt_dataset* data[2] = {};
  for (const lt_split split : {LT_TRAIN, LT_TEST})
    ASSERT_EQ(lt_dataset_open(words ? "synthetic-reviews" : "sequences", folder.path().c_str(), split, 1, &data[split]),
              LT_OK)
        << lt_last_error();
  lt_session* session = nullptr;
  ASSERT_EQ(lt_session_create(plan, nullptr, 0, &session), LT_OK) << lt_last_error();
  for (const lt_split split : {LT_TRAIN, LT_TEST})
    ASSERT_EQ(lt_session_bind(session, split, data[split]), LT_OK) << lt_last_error();
  ASSERT_EQ(lt_session_save_to(session, checkpoint.c_str(), 1), LT_OK) << lt_last_error();
  lt_report report{};
  report.size = sizeof report;
  for (int step = 0; step < 2; ++step) ASSERT_EQ(lt_session_step(session, &report), LT_OK) << lt_last_error();

  lt_status statuses[8] = {};
  arm_allocation_counter();
  for (int step = 0; step < 4; ++step) statuses[step] = lt_session_step(session, &report);
  statuses[4] = lt_session_eval(session, LT_TEST, &report);
  for (int save = 5; save < 7; ++save) statuses[save] = lt_session_checkpoint(session);
  statuses[7] = lt_session_checkpoint_finish(session);
  const AllocationCounts counts = disarm_allocation_counter();

  for (const lt_status status : statuses) EXPECT_EQ(status, LT_OK) << lt_last_error();
  EXPECT_EQ(counts.ours, 0u) << counts.first;
  EXPECT_EQ(counts.vendors, 0u);
  EXPECT_EQ(counts.maps, 0u);
  EXPECT_EQ(counts.threads, 0u);
  lt_session_free(session);
  for (lt_dataset* set : data) lt_dataset_free(set);
  lt_plan_free(plan);
}

INSTANTIATE_TEST_SUITE_P(Models, NoAllocationOfSequences,
                         testing::Combine(testing::Values("rnn/gru-1x320", "rnn/lstm-1x320", "rnn/bilstm-4x320",
                                                          "rnn/bilstm-4x320-ctc", "imdb", "imdb/padding-none"),
                                          testing::Values("fp32", "bf16")),
                         [](const auto& test) {
                           std::string name = std::string(std::get<0>(test.param)) + "_" + std::get<1>(test.param);
                           for (char& c : name)
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           return name;
                         });

}  // namespace
}  // namespace lt::test
