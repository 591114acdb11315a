// The kernels that move a training on, and the list of all kernels.
#include <map>
#include <set>

#include "backends/cuda/own/own.h"
#include "tests/cuda/own_kernels.h"

namespace lt::cuda {
namespace {

TEST(CudaControl, EveryListedKernelIsThereWithItsArgument) {
  std::set<std::string> names;
#define LT_EXPECT_KERNEL(module, kernel, Arguments)                             \
  {                                                                             \
    const emulation::Kernel* found = emulation::find(#kernel);                  \
    ASSERT_NE(found, nullptr) << #kernel;                                       \
    EXPECT_EQ(found->argument_bytes, sizeof(Arguments)) << #kernel;             \
    EXPECT_TRUE(names.insert(#kernel).second) << #kernel << " is listed twice"; \
  }
  LT_CUDA_KERNELS(LT_EXPECT_KERNEL)
#undef LT_EXPECT_KERNEL
  for (const emulation::Kernel* kernel : emulation::kernels())
    EXPECT_EQ(names.count(kernel->name), 1u) << kernel->name << " is in no list";
}

// What the conditional nodes are told.
class Graph {
 public:
  Graph() { emulation::set_graph_condition_hook(set, this); }
  ~Graph() { emulation::set_graph_condition_hook(nullptr, nullptr); }
  std::map<uint64_t, uint32_t> conditions;

 private:
  static void set(void* self, uint64_t handle, uint32_t value) { static_cast<Graph*>(self)->conditions[handle] = value; }
};

TEST(CudaControl, StateIsSet) {
  StepState state, value;
  value.seed = 5;
  value.epsilon = 0.25f;
  ASSERT_EQ(emulated_launcher().launch<KernelId::state_set>({}, 1, {&state, value}), Status::ok);
  EXPECT_EQ(std::memcmp(&state, &value, sizeof state), 0);
}

TEST(CudaControl, LoopsAreEnteredThatHaveRounds) {
  Graph graph;
  StepState state;
  uint32_t remaining[graph_loops] = {9, 9, 9};
  LoopControl control;
  control.start.position = 7;
  control.rounds[0] = 2;
  control.rounds[1] = 0;
  control.rounds[2] = 1;
  ASSERT_EQ(emulated_launcher().launch<KernelId::state_begin>({}, 1, {&state, remaining, &control, {11, 12, 0}}),
            Status::ok);
  EXPECT_EQ(state.position, 7u);
  EXPECT_EQ(remaining[0], 2u);
  EXPECT_EQ(remaining[1], 0u);
  EXPECT_EQ(remaining[2], 1u);
  EXPECT_EQ(graph.conditions, (std::map<uint64_t, uint32_t>{{11, 1}, {12, 0}}));
}

TEST(CudaControl, StepsAreCountedAndLoopsEnd) {
  Graph graph;
  StepState state;
  state.step = 4;
  uint32_t remaining[graph_loops] = {2, 5, 5};
  const Statistics statistics{1.5, 3, 0};
  StateAdvanceArguments arguments{&state, &statistics, 10, graph_loops, remaining, 0};
  const auto advance = [&] {
    ASSERT_EQ(emulated_launcher().launch<KernelId::state_advance>({}, 1, arguments), Status::ok);
  };
  advance();  // inside a loop's body
  EXPECT_EQ(remaining[0], 2u);
  EXPECT_TRUE(graph.conditions.empty());
  arguments.last_of_loop = 0;
  arguments.loop_handle = 21;
  advance();
  EXPECT_EQ(graph.conditions[21], 1u);
  advance();
  EXPECT_EQ(graph.conditions[21], 0u);
  EXPECT_EQ(remaining[0], 0u);
  EXPECT_EQ(remaining[1], 5u);
  EXPECT_EQ(state.step, 7u);
  EXPECT_EQ(state.steps_done, 3u);
  EXPECT_EQ(state.position, 30u);
  EXPECT_EQ(state.sum.loss_sum, 4.5);
  EXPECT_EQ(state.sum.correct, 9u);
  EXPECT_EQ(state.last.loss_sum, 1.5);

  arguments.statistics = nullptr;  // evaluation
  advance();
  EXPECT_EQ(state.position, 40u);
  EXPECT_EQ(state.step, 7u);
  EXPECT_EQ(state.steps_done, 3u);
}

TEST(CudaControl, ALossThatIsNotFiniteHalts) {
  Graph graph;
  StepState state;
  state.step = 1;
  uint32_t remaining[graph_loops] = {8, 8, 8};
  const Statistics bad{2, 1, 1}, good{1, 1, 0};
  const auto advance = [&](const Statistics* statistics) {
    ASSERT_EQ(emulated_launcher().launch<KernelId::state_advance>({}, 1, {&state, statistics, 10, 1, remaining, 5}),
              Status::ok);
  };
  advance(&good);
  advance(&bad);
  EXPECT_EQ(state.halted, 1u);
  EXPECT_EQ(state.last.non_finite, 1u);
  EXPECT_EQ(remaining[1], 0u);
  EXPECT_EQ(graph.conditions[5], 0u);
  remaining[1] = 3;
  advance(&good);
  EXPECT_EQ(remaining[1], 0u);
  EXPECT_EQ(state.last.loss_sum, 2) << "the step that halted";
  EXPECT_EQ(state.sum.loss_sum, 1);
  EXPECT_EQ(state.steps_done, 1u);
  EXPECT_EQ(state.step, 2u);
  EXPECT_EQ(state.position, 10u);
}

TEST(CudaControl, TheEndHandsTheStateOver) {
  StepState state, result;
  state.steps_done = 6;
  state.sum = {1, 2, 3};
  ASSERT_EQ(emulated_launcher().launch<KernelId::state_end>({}, 1, {&state, nullptr, &result}), Status::ok);
  EXPECT_EQ(result.steps_done, 6u);
  EXPECT_EQ(result.sum.correct, 2u);
  const Statistics statistics{9, 8, 7};
  ASSERT_EQ(emulated_launcher().launch<KernelId::state_end>({}, 1, {&state, &statistics, &result}), Status::ok);
  EXPECT_EQ(result.sum.loss_sum, 9);
  EXPECT_EQ(state.sum.loss_sum, 1);
}

}  // namespace
}  // namespace lt::cuda
