// Recurrent layers of the own kernels as operations, forward and backward, against the reference device's: in clusters of
// several sizes and step by step, with samples of all lengths, in every order of threads; the layers of the built-in models
// at their full width.
#include <cmath>

#include "backends/cuda/own/own.h"
#include "backends/cuda/own/recurrent.h"
#include "backends/reference/ops.h"
#include "tests/cuda/own_kernels.h"

namespace lt::cuda {
namespace {

struct Case {
  const char* name;
  Cell cell;
  uint32_t steps, features, units, directions, samples;
  std::vector<uint32_t> lengths = {};  // empty: all have all steps
  bool only_last = false, bias = true, accumulate = false;
  uint32_t multiprocessors = 132;
  int compute_capability = 90;
  double tolerance = 1e-5;
};

void build(OwnKernel& k, const Case& c, bool backward) {
  Op& op = k.op;
  op.kind = backward ? OpKind::recurrent_backward : OpKind::recurrent;
  op.layer = "layer";
  op.cell = c.cell;
  op.units = c.units;
  op.directions = c.directions;
  op.has_bias = c.bias;
  op.only_last_step = c.only_last;
  op.has_lengths = !c.lengths.empty();
  op.x_extent = {c.steps, 1, c.features};
  op.y_extent = {c.only_last ? 1 : c.steps, 1, c.directions * c.units};
  k.program.weight_layout = WeightLayout::out_in;
  k.program.micro_batch = c.samples;
  const uint64_t rows = uint64_t{c.steps} * c.samples, outputs = uint64_t{gates_of(c.cell)} * c.units;
  const uint64_t y_elements = c.samples * op.y_extent.elements();
  const float scale = 1.5f / std::sqrt(static_cast<float>(c.units));
  uint32_t seed = 0;
  const auto add = [&](uint64_t elements, float most) {
    const TensorId id = k.add(DType::f32, elements);
    k.set(id, random_values(elements, ++seed, -most, most));
    return id;
  };
  op.x = add(rows * c.features, 1);
  for (uint32_t direction = 0; direction < c.directions; ++direction) {
    for (RecurrentWeights* weights : {&op.weights[direction], &op.dweights[direction]}) {
      weights->ih = add(outputs * c.features, scale);
      weights->hh = add(outputs * c.units, scale);
      if (c.bias) weights->bias_ih = add(outputs, scale);
      if (c.bias) weights->bias_hh = add(outputs, scale);
    }
  }
  op.dy = add(y_elements, 1);
  op.y = k.add(DType::f32, y_elements);
  op.dx = k.add(DType::f32, rows * c.features);
  op.staging_lengths = k.add(DType::i32, c.samples);
  std::copy(c.lengths.begin(), c.lengths.end(), k.at<uint32_t>(op.staging_lengths));
}

void compare(OwnKernel& own, OwnKernel& reference, TensorId id, double tolerance, const char* what) {
  if (id != no_tensor) expect_near(own.values(id), reference.values(id), tolerance, what);
}

void check(const Case& c) {
  SCOPED_TRACE(testing::Message() << c.name << ", " << emulation::describe_options());
  OwnKernel own, reference;
  build(own, c, false);
  build(reference, c, false);

  RunArguments arguments;
  arguments.samples = arguments.batch_samples = c.samples;
  arguments.training = true;
  arguments.accumulate = c.accumulate;
  arguments.lengths = c.lengths.empty() ? nullptr : c.lengths.data();
  reference.op.saved = reference.add_bytes(reference::recurrent_saved_bytes(reference.op, c.samples));
  reference.reserve_scratch(std::max(reference::recurrent_scratch_bytes(reference.op),
                                     reference::recurrent_backward_scratch_bytes(reference.op)));
  const reference::Context context{&reference.program, &arguments, reference.site().region};
  reference::recurrent(reference.op, context);
  reference::recurrent_backward(reference.op, context);

  KernelRequest request = own.request(c.samples);
  request.multiprocessors = c.multiprocessors;
  request.compute_capability = c.compute_capability;
  const auto run = [&](const std::unique_ptr<Kernel>& kernel) {
    ASSERT_NE(kernel, nullptr) << last_error();
    own.reserve_scratch(kernel->scratch_bytes());
    Site site = own.site();
    site.samples = site.batch_samples = c.samples;
    site.accumulate = c.accumulate;
    site.has_lengths = !c.lengths.empty();
    ASSERT_EQ(kernel->enqueue(site), Status::ok);
  };
  const auto forward = make_own_recurrent(request);
  ASSERT_NE(forward, nullptr) << last_error();
  own.op.saved = own.add_bytes(forward->saved_bytes());
  run(make_own_recurrent(request));
  compare(own, reference, own.op.y, c.tolerance, "y");
  if (testing::Test::HasFailure()) return;
  own.op.kind = OpKind::recurrent_backward;
  run(make_own_recurrent_backward(request));
  compare(own, reference, own.op.dx, c.tolerance, "dx");
  for (uint32_t direction = 0; direction < c.directions; ++direction) {
    const RecurrentWeights& weights = own.op.dweights[direction];
    compare(own, reference, weights.ih, c.tolerance, "dweight_ih");
    compare(own, reference, weights.hh, c.tolerance, "dweight_hh");
    compare(own, reference, weights.bias_ih, c.tolerance, "dbias_ih");
    compare(own, reference, weights.bias_hh, c.tolerance, "dbias_hh");
  }
}

std::vector<Case> small_cases() {
  std::vector<Case> cases;
  for (const Cell cell : {Cell::gru, Cell::lstm}) {
    cases.push_back({"one block, slices of one", cell, 4, 3, 5, 1, 3, {4, 1, 3}});
    cases.push_back({"one block, a slice of all", cell, 3, 7, 6, 2, 7, {1, 3, 2, 3, 1, 2, 3}, false, true, true, 1});
    cases.push_back({"the last step alone", cell, 4, 3, 5, 2, 3, {2, 4, 3}, true, false});
    cases.push_back({"clusters", cell, 3, 4, 110, 2, 3, {3, 1, 2}, false, true, false, 8});
    cases.push_back({"steps, for want of clusters", cell, 3, 4, 110, 2, 6, {1, 3, 2, 3, 2, 1}, false, true, false, 8, 80});
  }
  return cases;
}

TEST(CudaRecurrent, EqualsTheReference) {
  for (const Case& c : small_cases()) {
    check(c);
    if (HasFailure()) return;
  }
}

TEST(CudaRecurrent, EveryOrderOfThreads) {
  emulation::for_each_order(
      [] {
        for (const Case& c : small_cases()) {
          check(c);
          if (HasFailure()) return;
        }
      },
      1);
}

// The layers of the rnn models: gru-1x320, lstm-1x320, the first and the others of bilstm-4x320.
TEST(CudaRecurrent, LayersOfTheModels) {
  for (const Case& c :
       {Case{"gru", Cell::gru, 16, 123, 320, 1, 5}, Case{"lstm", Cell::lstm, 16, 123, 320, 1, 5},
        Case{"first bilstm", Cell::lstm, 16, 123, 320, 2, 3, {16, 9, 12}},
        Case{"other bilstm", Cell::lstm, 16, 640, 320, 2, 2}, Case{"imdb", Cell::gru, 16, 128, 100, 1, 4}}) {
    check(c);
    if (HasFailure()) return;
  }
}

// What the models' layers run as on the GPUs that they are for, and that what fits no registers runs all the same.
TEST(CudaRecurrent, Plans) {
  constexpr uint32_t h200 = 132;
  for (const bool backward : {false, true}) {
    EXPECT_EQ(plan_recurrent(backward, Cell::gru, 100, 1, 90, h200).cluster, 1u) << backward;
    EXPECT_EQ(plan_recurrent(backward, Cell::gru, 320, 1, 90, h200).cluster, 8u) << backward;
    EXPECT_EQ(plan_recurrent(backward, Cell::lstm, 320, 1, 90, h200).cluster, 16u) << backward;
    EXPECT_EQ(plan_recurrent(backward, Cell::lstm, 320, 1, 90, h200).slice(25), 4u) << backward;
    EXPECT_EQ(plan_recurrent(backward, Cell::lstm, 320, 2, 90, h200).slice(25), 7u) << backward;
    EXPECT_EQ(plan_recurrent(backward, Cell::gru, 100, 1, 80, 108).cluster, 1u) << backward;
    EXPECT_EQ(plan_recurrent(backward, Cell::lstm, 320, 1, 80, 108).threads, 0u) << backward;
    EXPECT_EQ(plan_recurrent(backward, Cell::lstm, 4000, 1, 90, h200).threads, 0u) << backward;
    for (const Cell cell : {Cell::gru, Cell::lstm})
      for (uint32_t units = 1; units < 700; ++units) {
        const RecurrentPlan plan = plan_recurrent(backward, cell, units, 1, 90, h200);
        if (plan.threads == 0) continue;
        EXPECT_LE(plan.threads, recurrent_threads) << units;
        EXPECT_LE(plan.most_slice * recurrent_own(units, plan.cluster), plan.threads) << units;
        EXPECT_LE(recurrent_shared_bytes_of(backward, cell, units, plan, plan.most_slice), recurrent_shared_bytes) << units;
      }
  }
}

TEST(CudaRecurrent, TensorsOfAnotherTypeAreRefused) {
  OwnKernel own;
  build(own, small_cases().front(), false);
  KernelRequest request = own.request(3);
  request.precision = Precision::bf16;
  EXPECT_EQ(make_own_recurrent(request), nullptr);
  EXPECT_EQ(std::string(last_error()).substr(0, 6), "layer:");
}

}  // namespace
}  // namespace lt::cuda
