// Memory on the GPU: what is held is what the plan said, and from then on nothing is taken: not from the driver, not from
// the host's heap by our code, and the device's free memory stays as it is. Steps, epochs, evaluations, predictions, pushed
// examples and batches of the caller's are counted. A set's first evaluation captures its graph and is set-up.
#include <gtest/gtest.h>

#include <cstdio>
#include <tuple>

#include "backends/cuda/kernels/step_state.h"
#include "src/base/checked.h"
#include "src/op.h"
#include "tests/gpu/counted_libraries.h"
#include "tests/gpu/models.h"
#include "tests/no_allocation/allocation_counter.h"

namespace lt::cuda {
namespace {

using test::AllocationCounts;

class GpuMemory : public ::testing::TestWithParam<std::tuple<Model, const char*, const char*>> {
 protected:
  void TearDown() override { EXPECT_EQ(counted::device_bytes_held() + counted::pinned_bytes_held(), 0u); }
};

std::string name_of(const ::testing::TestParamInfo<GpuMemory::ParamType>& info) {
  const auto& [model, kernels, precision] = info.param;
  return word(std::string(model.recipe) + "_" + kernels + "_" + precision);
}

// A data set in the device's memory: its samples, then its labels as int32.
uint64_t kept_bytes(const Samples& samples) {
  return align_up(samples.count() * samples.sample_bytes(), tensor_alignment) + samples.count() * sizeof(int32_t);
}
// Of the steps, behind the arena: the state, and the counters of a graph's loops.
constexpr uint64_t state_bytes = align_up(sizeof(StepState), tensor_alignment) + tensor_alignment;

TEST_P(GpuMemory, IsWhatThePlanSaysAndStaysSo) {
  const auto& [model, kernels, precision] = GetParam();
  const Samples& samples = samples_of(model);
  {
    const Training training = start({.recipe = model.recipe, .kernels = kernels, .precision = precision}, samples, samples);
    ASSERT_EQ(training.status, LT_OK) << training.error;
    lt_session* const session = training.session.get();
    lt_memory memory{};
    memory.size = sizeof memory;
    ASSERT_EQ(lt_plan_memory(training.plan.get(), &memory), LT_OK);
    lt_plan_info info{};
    info.size = sizeof info;
    ASSERT_EQ(lt_plan_get(training.plan.get(), &info), LT_OK);
    const bool full_batch = info.batch == 0;  // such a model does not collect examples

    lt_report report{};
    report.size = sizeof report;
    for (int step = 0; step < 2; ++step) ASSERT_EQ(lt_session_step(session, &report), LT_OK) << lt_last_error();
    ASSERT_EQ(lt_session_eval(session, LT_TEST, &report), LT_OK) << lt_last_error();
    ASSERT_EQ(counted::device_bytes_held(), memory.arena_bytes + state_bytes + 2 * kept_bytes(samples));
    EXPECT_LE(counted::pinned_bytes_held(), memory.staging_bytes + 4096);

    static float probabilities[64 * 10];
    lt_status statuses[6] = {};
    const uint64_t free_before = counted::device_bytes_free(), held_before = counted::device_bytes_held();
    counted::reset_calls();
    // A fake is in this program: what it does would be taken for ours.
    counted::at_call = gpu_is_fake ? test::pause_allocation_counter : nullptr;
    test::arm_allocation_counter();
    for (int epoch = 0; epoch < 2; ++epoch) statuses[epoch] = lt_session_epoch(session, &report);
    statuses[2] = lt_session_eval(session, LT_TEST, &report);
    statuses[3] = lt_session_predict(session, samples.sample(0), 64, probabilities, 640);
    for (uint32_t i = 0; i < (full_batch ? 0 : 70) && statuses[4] == LT_OK; ++i)
      statuses[4] = lt_session_push(session, samples.sample(i), samples.labels()[i], &report);
    if (!full_batch && statuses[4] == LT_OK) statuses[4] = lt_session_flush(session, &report);
    statuses[5] = lt_session_step_on(session, samples.sample(0), samples.labels(), 33, &report);
    const AllocationCounts counts = test::disarm_allocation_counter();

    for (const lt_status status : statuses) EXPECT_EQ(status, LT_OK) << lt_last_error();
    std::printf("calls to the driver %llu; heap: ours %llu, inside the vendor's libraries %llu, maps %llu, threads %llu\n",
                static_cast<unsigned long long>(counted::all_calls().count), static_cast<unsigned long long>(counts.ours),
                static_cast<unsigned long long>(counts.vendors), static_cast<unsigned long long>(counts.maps),
                static_cast<unsigned long long>(counts.threads));
    for (const char* taking : {"cuMemAlloc", "cuMemFree", "cuMemHostAlloc", "cuMemFreeHost", "cuStreamCreate",
                               "cuStreamBeginCaptureToGraph", "cuGraphCreate", "cuGraphAddNode",
                               "cuGraphInstantiateWithFlags", "cuModuleLoadData", "open cuDNN", "open cuBLASLt"})
      EXPECT_EQ(counted::calls_of(taking).count, 0u) << taking;
    EXPECT_GT(counted::calls_of("cuGraphLaunch").count, 0u);
    EXPECT_EQ(counted::device_bytes_held(), held_before);
    // Of the whole device: another process that takes memory meanwhile fails this too.
    EXPECT_EQ(counted::device_bytes_free(), free_before);
    EXPECT_EQ(counts.ours, 0u) << counts.first;
    EXPECT_EQ(counts.maps, 0u);
    EXPECT_EQ(counts.threads, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GpuMemory,
                         ::testing::Combine(::testing::ValuesIn(models), ::testing::Values("own", "auto"),
                                            ::testing::Values("fp32", "bf16")),
                         name_of);

}  // namespace
}  // namespace lt::cuda
