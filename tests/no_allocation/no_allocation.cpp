// From a session's second step on nothing is allocated, mapped or started: counted over two epochs, an evaluation, a
// prediction, single examples, a batch of the caller's and checkpoints, for every built-in model and kernel choice. What oneDNN takes
// inside its own functions is counted apart and printed; Highway's kernels alone take nothing at all.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "src/lean_train.h"
#include "tests/no_allocation/allocation_counter.h"

namespace lt::test {
namespace {

constexpr uint32_t sample_count = 600;

struct Samples {
  std::vector<uint8_t> x, labels;
  lt_dataset* dataset = nullptr;
  explicit Samples(const lt_plan_info& info) : x(sample_count * info.sample_bytes), labels(sample_count) {
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint8_t>(i * 2654435761u >> 24);
    for (uint32_t i = 0; i < sample_count; ++i) labels[i] = static_cast<uint8_t>(i % 10);
    EXPECT_EQ(lt_dataset_wrap(x.data(), labels.data(), sample_count, info.channels, info.height, info.width, info.classes,
                              &dataset),
              LT_OK)
        << lt_last_error();
  }
  ~Samples() { lt_dataset_free(dataset); }
};

class NoAllocation : public testing::TestWithParam<std::tuple<const char*, const char*, const char*>> {};

TEST_P(NoAllocation, AfterTheSecondStep) {
  const auto [recipe, kernels, precision] = GetParam();
  lt_config config;
  lt_config_init(&config);
  config.recipe = recipe;
  config.device = "cpu";
  config.kernels = kernels;
  config.precision = precision;
  lt_plan* plan = nullptr;
  const lt_status planned = lt_plan_create(&config, &plan);
  if (planned == LT_ERR_DEVICE && std::string(kernels) == "onednn") GTEST_SKIP() << lt_last_error();
  ASSERT_EQ(planned, LT_OK) << lt_last_error();
  lt_plan_info info{};
  info.size = sizeof info;
  ASSERT_EQ(lt_plan_get(plan, &info), LT_OK);
  const uint64_t sample_bytes = info.sample_bytes;
  const Samples samples(info);
  lt_session* session = nullptr;
  ASSERT_EQ(lt_session_create(plan, nullptr, 0, &session), LT_OK) << lt_last_error();
  ASSERT_EQ(lt_session_bind(session, LT_TRAIN, samples.dataset), LT_OK) << lt_last_error();
  ASSERT_EQ(lt_session_bind(session, LT_TEST, samples.dataset), LT_OK) << lt_last_error();
  const std::string checkpoint = testing::TempDir() + "lean-train-no-allocation-" + std::to_string(getpid());
  ASSERT_EQ(lt_session_save_to(session, checkpoint.c_str(), 2), LT_OK) << lt_last_error();
  lt_report report{};
  report.size = sizeof report;
  for (int step = 0; step < 2; ++step) ASSERT_EQ(lt_session_step(session, &report), LT_OK) << lt_last_error();

  // A model that takes the whole training set in one step does not collect examples.
  const bool full_batch = info.batch == 0;
  static float probabilities[64 * 10];
  lt_status statuses[9] = {};
  arm_allocation_counter();
  for (int epoch = 0; epoch < 2; ++epoch) statuses[epoch] = lt_session_epoch(session, &report);
  statuses[2] = lt_session_eval(session, LT_TEST, &report);
  statuses[3] = lt_session_predict(session, samples.x.data(), 64, probabilities, 640);
  for (uint32_t i = 0; i < (full_batch ? 0 : 70) && statuses[4] == LT_OK; ++i)
    statuses[4] = lt_session_push(session, &samples.x[size_t{i} * sample_bytes], samples.labels[i], &report);
  if (!full_batch && statuses[4] == LT_OK) statuses[4] = lt_session_flush(session, &report);
  statuses[5] = lt_session_step_on(session, samples.x.data(), samples.labels.data(), 33, &report);
  for (int save = 6; save < 8; ++save) statuses[save] = lt_session_checkpoint(session);
  statuses[8] = lt_session_checkpoint_finish(session);
  const AllocationCounts counts = disarm_allocation_counter();

  for (const char* suffix : {"", ".1"}) EXPECT_EQ(std::remove((checkpoint + suffix).c_str()), 0) << suffix;
  for (const lt_status status : statuses) EXPECT_EQ(status, LT_OK) << lt_last_error();
  std::printf("%s, %s, %s: ours %llu, inside libdnnl and libgomp %llu, maps %llu, threads %llu\n", recipe, kernels,
              precision, static_cast<unsigned long long>(counts.ours), static_cast<unsigned long long>(counts.vendors),
              static_cast<unsigned long long>(counts.maps), static_cast<unsigned long long>(counts.threads));
  EXPECT_EQ(counts.ours, 0u) << counts.first;
  EXPECT_EQ(counts.maps, 0u);
  EXPECT_EQ(counts.threads, 0u);
  if (std::string(kernels) == "highway") {
    EXPECT_EQ(counts.vendors, 0u);
  }
  lt_session_free(session);
  lt_plan_free(plan);
}

std::string name_of(const testing::TestParamInfo<NoAllocation::ParamType>& info) {
  std::string name = std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param) + "_" + std::get<2>(info.param);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, NoAllocation,
                         testing::Combine(testing::Values("mnist/cnn-same", "mnist/cnn-valid", "mnist/linear", "mnist/nn",
                                                          "cifar10"),
                                          testing::Values("highway", "auto", "onednn"), testing::Values("fp32")),
                         name_of);
INSTANTIATE_TEST_SUITE_P(ModelsInBf16, NoAllocation,
                         testing::Combine(testing::Values("mnist/cnn-same", "mnist/nn", "cifar10"),
                                          testing::Values("highway", "auto"), testing::Values("bf16")),
                         name_of);

// The counter sees what it is there to see; a blind one would pass every test above.
TEST(AllocationCounter, SeesEveryKind) {
  void* volatile block = nullptr;
  arm_allocation_counter();
  block = std::malloc(10);
  block = std::realloc(block, 5000);
  std::free(block);
  delete new std::string(100, 'x');
  AllocationCounts counts = disarm_allocation_counter();
  EXPECT_EQ(counts.ours, 3u + 4u);
  EXPECT_EQ(counts.vendors, 0u);
  EXPECT_NE(std::string(counts.first).find("malloc from"), std::string::npos) << counts.first;

  arm_allocation_counter();
  void* const map = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  counts = disarm_allocation_counter();
  munmap(map, 4096);
  EXPECT_EQ(counts.maps, 1u);

  arm_allocation_counter();
  std::thread([] {}).join();
  counts = disarm_allocation_counter();
  EXPECT_EQ(counts.threads, 1u);

  block = std::malloc(10);
  std::free(block);
  EXPECT_EQ(disarm_allocation_counter().ours, counts.ours) << "counted while disarmed";
}

}  // namespace
}  // namespace lt::test
