// Whole steps on data that lies in the GPU's memory: captured once as a graph with loops, launched once an interval.
#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <numeric>
#include <vector>

#include "backends/cuda/executor.h"
#include "src/base/checked.h"

namespace lt::cuda {
namespace {

// Steps in one body of the first loop, so that what a loop's turn costs is shared; fewer where a step is made of many
// micro-batches, which keeps the graph small.
constexpr uint32_t most_unrolled = 8;

uint32_t unrolled_steps(uint32_t batch, uint32_t micro_batch) {
  return std::max<uint32_t>(1, most_unrolled / static_cast<uint32_t>(divide_up(batch, micro_batch)));
}

// Which loop a step stands in: `unrolled` steps a turn, one a turn, and the short one at the end of a pass.
enum LoopIndex : uint32_t { loop_unrolled, loop_single, loop_short, no_loop = graph_loops };

}  // namespace

Status CudaExecutor::keep(Split split, const Dataset& dataset, bool* kept) {
  *kept = false;
  LT_TRY(synchronize());
  kept_[static_cast<int>(split)].reset();
  const DatasetInfo& info = dataset.info();
  const Op& input = program_.ops.front();
  const Op& loss = program_.ops[program_.forward_end - 1];
  if (input.kind != OpKind::input || input.staging_x == no_tensor || loss.staging_labels == no_tensor) return Status::ok;
  const DriverTable& driver = context_.driver();
  auto made = std::make_unique<Kept>();
  const uint64_t x_bytes = align_up(info.count * info.sample_bytes(), tensor_alignment);
  const uint64_t sample_labels_bytes = info.label_count * sizeof(int32_t);
  const uint64_t labels_bytes = align_up(info.count * sample_labels_bytes, tensor_alignment);
  const bool has_lengths = info.has_lengths && input.staging_lengths != no_tensor;  // and the model goes by them
  const uint64_t lengths_bytes = has_lengths ? info.count * sizeof(uint32_t) : 0;
  LT_TRY(made->memory.reserve(context_, x_bytes + labels_bytes + lengths_bytes, "the data set"));
  made->set.x = made->memory.bytes();
  made->set.labels = reinterpret_cast<const int32_t*>(made->memory.bytes() + x_bytes);
  made->set.label_count = info.label_count;
  if (has_lengths) made->set.lengths = reinterpret_cast<const uint32_t*>(made->memory.bytes() + x_bytes + labels_bytes);
  made->set.count = static_cast<uint32_t>(info.count);

  std::byte* const x = staging(input.staging_x);
  auto* const labels = reinterpret_cast<int32_t*>(staging(loss.staging_labels));
  std::vector<uint32_t> indices(program_.micro_batch);
  for (uint64_t first = 0; first < info.count;) {
    const auto n = static_cast<uint32_t>(std::min<uint64_t>(indices.size(), info.count - first));
    std::iota(indices.begin(), indices.begin() + n, static_cast<uint32_t>(first));
    LT_TRY(dataset.read(indices.data(), n, x, labels));
    const auto x_at = reinterpret_cast<CUdeviceptr>(made->memory.bytes() + first * info.sample_bytes());
    const auto labels_at = reinterpret_cast<CUdeviceptr>(made->set.labels + first * info.label_count);
    LT_TRY(check(driver, driver.cuMemcpyHtoDAsync(x_at, x, n * info.sample_bytes(), stream_), "cuMemcpyHtoDAsync"));
    LT_TRY(
        check(driver, driver.cuMemcpyHtoDAsync(labels_at, labels, n * sample_labels_bytes, stream_), "cuMemcpyHtoDAsync"));
    if (has_lengths) {
      auto* const lengths = reinterpret_cast<uint32_t*>(staging(input.staging_lengths));
      LT_TRY(dataset.lengths(indices.data(), n, lengths));
      const auto lengths_at = reinterpret_cast<CUdeviceptr>(made->set.lengths + first);
      LT_TRY(
          check(driver, driver.cuMemcpyHtoDAsync(lengths_at, lengths, n * sizeof(uint32_t), stream_), "cuMemcpyHtoDAsync"));
    }
    LT_TRY(synchronize());
    first += n;
  }
  kept_[static_cast<int>(split)] = std::move(made);
  *kept = true;
  return Status::ok;
}

Status CudaExecutor::enqueue_advance(CUstream stream, const Statistics* statistics, uint32_t samples, uint32_t loop,
                                     uint64_t handle) {
  return launcher(stream).launch<KernelId::state_advance>({}, 1, {state_, statistics, samples, loop, remaining_, handle});
}

// A training step of `samples` samples from the state's position on.
Status CudaExecutor::enqueue_step(CUstream stream, const KeptSet& set, uint32_t samples, bool dropout, uint32_t loop,
                                  uint64_t handle) {
  RunArguments run;
  run.training = true;
  run.dropout = dropout;
  run.batch_samples = samples;
  for (uint32_t first = 0; first < samples; first += run.samples) {
    run.samples = std::min(program_.micro_batch, samples - first);
    run.sample_offset = first;
    run.accumulate = first > 0;
    const Site where = site(stream, run, &set);
    const bool last = first + run.samples == samples;
    LT_TRY(enqueue_ops(where, 0, last ? program_.step_end : program_.backward_end));
  }
  return enqueue_advance(stream,
                         reinterpret_cast<const Statistics*>(region_ + program_.tensors[statistics_tensor()].offset),
                         samples, loop, handle);
}

// The forward pass of one micro-batch, its statistics added.
Status CudaExecutor::enqueue_evaluation(CUstream stream, const KeptSet& set, uint32_t samples, uint32_t batch_samples,
                                        uint32_t loop, uint64_t handle) {
  RunArguments run;
  run.samples = samples;
  run.batch_samples = batch_samples;
  run.accumulate = true;
  const Site where = site(stream, run, &set);
  LT_TRY(enqueue_ops(where, 0, program_.forward_end));
  return enqueue_advance(stream, nullptr, samples, loop, handle);
}

// Has the kernels ready for every micro-batch of a step (or an evaluation) of `samples` samples, and runs each once outside
// of any graph: what a library loads at its first launch must not be loaded while a stream is captured. The first samples
// of the set serve; weights and state stay as they are, everything else is overwritten by what follows.
Status CudaExecutor::ready_kernels(const KeptSet& set, uint32_t samples, bool evaluation) {
  const uint32_t end = evaluation ? program_.forward_end : program_.backward_end;
  StepState start;
  start.step = 1;
  start.count = set.count;
  start.halted = 1;  // for updates that backward ops do
  const uint32_t whole = std::min(samples, program_.micro_batch), rest = samples > whole ? samples % whole : 0;
  for (const uint32_t count : {whole, rest}) {
    if (count == 0) continue;
    for (uint32_t i = 0; i < end; ++i) LT_TRY(kernels_[i]->ready(count));
    RunArguments run;
    run.samples = run.batch_samples = count;
    run.training = !evaluation;
    const Site where = site(stream_, run, &set);
    LT_TRY(where.launcher.launch<KernelId::state_set>({}, 1, {state_, start}));
    LT_TRY(enqueue_ops(where, 0, end));
  }
  return synchronize();
}

Status CudaExecutor::capture(const KeptSet& set, const Body& body, bool evaluation, Walk* walk) {
  const DriverTable& driver = context_.driver();
  const uint32_t short_samples = set.count % walk->batch;
  LT_TRY(ready_kernels(set, walk->batch, evaluation));
  LT_TRY(ready_kernels(set, short_samples, evaluation));
  auto* const statistics = reinterpret_cast<Statistics*>(region_ + program_.tensors[statistics_tensor()].offset);
  LoopGraph::Parts parts;
  parts.begin = [&](CUstream stream, const LoopGraph::Handles& handles) -> Status {
    if (evaluation)
      LT_TRY(check(driver, driver.cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(statistics), 0, sizeof *statistics, stream),
                   "cuMemsetD8Async"));
    StateBeginArguments arguments{state_, remaining_, &control_on_device()->loops, {}};
    std::copy(std::begin(handles), std::end(handles), std::begin(arguments.loop_handles));
    return launcher(stream).launch<KernelId::state_begin>({}, 1, arguments);
  };
  if (walk->unrolled > 1)
    parts.bodies[loop_unrolled] = [&](CUstream stream, uint64_t handle) -> Status {
      for (uint32_t i = 1; i < walk->unrolled; ++i) LT_TRY(body(stream, walk->batch, no_loop, 0));
      return body(stream, walk->batch, loop_unrolled, handle);
    };
  parts.bodies[loop_single] = [&](CUstream stream, uint64_t handle) {
    return body(stream, walk->batch, loop_single, handle);
  };
  if (short_samples > 0)
    parts.bodies[loop_short] = [&](CUstream stream, uint64_t handle) {
      return body(stream, short_samples, loop_short, handle);
    };
  parts.end = [&](CUstream stream) {
    return launcher(stream).launch<KernelId::state_end>(
        {}, 1, {state_, evaluation ? statistics : nullptr, &control_on_device()->result});
  };
  return walk->graph.build(context_, stream_, body_stream_, parts);
}

Status CudaExecutor::launch(const Walk& walk, const StepState& start, uint32_t full, uint32_t short_steps) {
  LoopControl& loops = control()->loops;
  loops.start = start;
  loops.rounds[loop_unrolled] = walk.unrolled > 1 ? full / walk.unrolled : 0;
  loops.rounds[loop_single] = walk.unrolled > 1 ? full % walk.unrolled : full;
  loops.rounds[loop_short] = short_steps;
  LT_TRY(walk.graph.launch(stream_));
  return synchronize();
}

Status CudaExecutor::train_kept(const KeptBatches& batches, const RunArguments& first, KeptResult* result) {
  Kept* const kept = kept_[static_cast<int>(batches.split)].get();
  if (kept == nullptr) return fail(Status::state, "train_kept: no such data set is kept");
  const uint32_t count = kept->set.count, left = count - std::min(batches.position, count), batch = batches.batch;
  if (batch == 0 || batch > count || batches.steps == 0 || batches.steps > divide_up(left, batch))
    return fail(Status::argument, "train_kept: %u steps of %u samples from sample %u of %u on", batches.steps, batch,
                batches.position, count);
  LT_TRY(context_.enter());
  LT_TRY(refresh_copies());
  Walk& walk = kept->training;
  if (!walk.graph.built()) {
    walk.batch = batch;
    walk.unrolled = unrolled_steps(batch, program_.micro_batch);
    walk.dropout = first.dropout;
    LT_TRY(capture(
        kept->set,
        [&](CUstream stream, uint32_t samples, uint32_t loop, uint64_t handle) {
          return enqueue_step(stream, kept->set, samples, first.dropout, loop, handle);
        },
        false, &walk));
  }
  if (walk.batch != batch || walk.dropout != first.dropout)
    return fail(Status::argument, "train_kept: steps of %u samples, the first call had %u", batch, walk.batch);
  const uint32_t full = std::min(batches.steps, left / batch);
  LT_TRY(launch(walk, state_of(first, &batches), full, batches.steps - full));
  const StepState& state = control()->result;
  *result = {state.steps_done, state.last, state.sum};
  return Status::ok;
}

Status CudaExecutor::evaluate_kept(Split split, const RunArguments& arguments, Statistics* statistics) {
  Kept* const kept = kept_[static_cast<int>(split)].get();
  if (kept == nullptr) return fail(Status::state, "evaluate_kept: no such data set is kept");
  LT_TRY(context_.enter());
  LT_TRY(refresh_copies());
  const uint32_t count = kept->set.count;
  Walk& walk = kept->evaluation;
  if (!walk.graph.built()) {
    walk.batch = std::min(program_.micro_batch, count);
    walk.unrolled = most_unrolled;
    LT_TRY(capture(
        kept->set,
        [&](CUstream stream, uint32_t samples, uint32_t loop, uint64_t handle) {
          return enqueue_evaluation(stream, kept->set, samples, count, loop, handle);
        },
        true, &walk));
  }
  StepState start = state_of(arguments, nullptr);
  start.count = count;
  LT_TRY(launch(walk, start, count / walk.batch, count % walk.batch > 0 ? 1 : 0));
  *statistics = control()->result.sum;
  return Status::ok;
}

}  // namespace lt::cuda
