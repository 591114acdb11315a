// Set-up, single runs and transfers; whole steps on kept data are in executor_kept.cpp.
#include "backends/cuda/executor.h"

#include <algorithm>
#include <cstring>

#include "backends/cuda/own/own.h"
#include "src/base/checked.h"
#include "src/executor.h"

namespace lt::cuda {
namespace {

using Bytes = unsigned long long;

// The state and the loops' counters share one small block where the region is the caller's, and lie behind it else.
constexpr uint64_t state_bytes = align_up(sizeof(StepState), tensor_alignment) + tensor_alignment;
// Of what is copied to pinned memory at a time: the device fetches one piece while the next one is copied.
constexpr uint64_t staging_piece_bytes = uint64_t{4} << 20;

}  // namespace

CudaExecutor::CudaExecutor(const Context& context, const Program& program, const KernelRequest& request,
                           KernelChoice choice)
    : context_(context), program_(program), request_(request), choice_(choice) {}

CudaExecutor::~CudaExecutor() {
  context_.enter_quietly();
  const DriverTable& driver = context_.driver();
  if (stream_ != nullptr) (void)driver.cuStreamSynchronize(stream_);
  for (auto& kept : kept_) kept.reset();
  if (stream_ != nullptr) (void)driver.cuStreamDestroy(stream_);
  if (body_stream_ != nullptr) (void)driver.cuStreamDestroy(body_stream_);
}

Status CudaExecutor::set_up(std::byte* region) {
  const DriverTable& driver = context_.driver();
  LT_TRY(context_.enter());
  if (region == nullptr) {
    LT_TRY(own_region_.reserve(context_, program_.region_bytes + state_bytes, "the arena"));
    region_ = own_region_.bytes();
    state_ = reinterpret_cast<StepState*>(region_ + program_.region_bytes);
  } else {
    unsigned type = 0;
    const auto address = reinterpret_cast<CUdeviceptr>(region);
    if (driver.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address) != CUDA_SUCCESS ||
        type != CU_MEMORYTYPE_DEVICE)
      return fail(Status::argument, "the arena at %p is not memory of the GPU", static_cast<void*>(region));
    LT_TRY(own_state_.reserve(context_, state_bytes, "the steps' state"));
    region_ = region;
    state_ = reinterpret_cast<StepState*>(own_state_.bytes());
  }
  remaining_ =
      reinterpret_cast<uint32_t*>(reinterpret_cast<std::byte*>(state_) + align_up(sizeof(StepState), tensor_alignment));
  static_assert(graph_loops * sizeof(uint32_t) <= tensor_alignment);

  uint64_t staging_begin = program_.region_bytes, staging_end = 0;
  for (const Tensor& tensor : program_.tensors) {
    if (tensor.segment != Segment::staging) continue;
    staging_begin = std::min(staging_begin, tensor.offset);
    staging_end = std::max(staging_end, tensor.offset + tensor.bytes);
  }
  staging_offset_ = staging_begin;
  staging_bytes_ = staging_end > staging_begin ? staging_end - staging_begin : 0;
  LT_TRY(pinned_.reserve(context_, align_up(sizeof(Control), tensor_alignment) + staging_bytes_));

  LT_TRY(check(driver, driver.cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "cuStreamCreate"));
  LT_TRY(check(driver, driver.cuStreamCreate(&body_stream_, CU_STREAM_NON_BLOCKING), "cuStreamCreate"));
  LT_TRY(check(driver, driver.cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(region_), 0, program_.region_bytes, stream_),
               "clearing the arena"));
  kernels_.reserve(program_.ops.size());
  for (const Op& op : program_.ops) {
    KernelRequest request = request_;
    request.program = &program_;
    request.op = &op;
    request.micro_batch = program_.micro_batch;
    auto kernel = make_kernel(request, choice_);
    if (kernel == nullptr) return Status::unsupported;
    if (kernel->scratch_bytes() > program_.scratch_bytes)
      return fail(Status::internal, "%s: %s needs %llu bytes of scratch, the plan has %llu", op.layer.c_str(),
                  kernel->name(), Bytes{kernel->scratch_bytes()}, Bytes{program_.scratch_bytes});
    kernels_.push_back(std::move(kernel));
    copies_are_stale_ |= op.copies != no_tensor || op.scales != no_tensor;
  }
  return synchronize();
}

Status CudaExecutor::upload(TensorId destination, uint64_t offset_bytes, const void* source, uint64_t bytes) {
  LT_TRY(check_piece(program_, destination, offset_bytes, bytes));
  LT_TRY(context_.enter());
  const Tensor& tensor = program_.tensors[destination];
  copies_are_stale_ |= tensor.segment == Segment::parameters;
  const auto address = reinterpret_cast<CUdeviceptr>(region_ + tensor.offset + offset_bytes);
  LT_TRY(
      check(context_.driver(), context_.driver().cuMemcpyHtoDAsync(address, source, bytes, stream_), "cuMemcpyHtoDAsync"));
  return synchronize();  // the source is the caller's again
}

Status CudaExecutor::download(TensorId source, uint64_t offset_bytes, void* destination, uint64_t bytes) {
  LT_TRY(check_piece(program_, source, offset_bytes, bytes));
  LT_TRY(context_.enter());
  const auto address = reinterpret_cast<CUdeviceptr>(region_ + program_.tensors[source].offset + offset_bytes);
  return check(context_.driver(), context_.driver().cuMemcpyDtoHAsync(destination, address, bytes, stream_),
               "cuMemcpyDtoHAsync");
}

Status CudaExecutor::synchronize() {
  LT_TRY(context_.enter());
  return check(context_.driver(), context_.driver().cuStreamSynchronize(stream_), "cuStreamSynchronize");
}

std::byte* CudaExecutor::staging(TensorId tensor) {
  return pinned_.host() + align_up(sizeof(Control), tensor_alignment) + (program_.tensors[tensor].offset - staging_offset_);
}

Site CudaExecutor::site(CUstream stream, const RunArguments& arguments, const KeptSet* kept) const {
  Site result;
  result.launcher = launcher(stream);
  result.program = &program_;
  result.region = region_;
  result.state = state_;
  result.samples = arguments.samples;
  result.sample_offset = arguments.sample_offset;
  result.batch_samples = arguments.batch_samples;
  result.training = arguments.training;
  result.accumulate = arguments.accumulate;
  result.dropout = arguments.dropout;
  result.has_labels = arguments.labels != nullptr || kept != nullptr;
  result.has_lengths = kept != nullptr ? kept->lengths != nullptr : arguments.lengths != nullptr;
  result.kept = kept;
  return result;
}

StepState CudaExecutor::state_of(const RunArguments& arguments, const KeptBatches* kept) const {
  StepState state;
  state.seed = arguments.seed;
  state.step = arguments.step;
  state.learning_rate = arguments.learning_rate;
  state.momentum = arguments.momentum;
  state.beta1 = arguments.beta1;
  state.beta2 = arguments.beta2;
  state.epsilon = arguments.epsilon;
  if (kept != nullptr) {
    state.epoch = kept->epoch;
    state.position = kept->position;
    state.shuffle = kept->shuffle ? 1 : 0;
    state.count = kept_[static_cast<int>(kept->split)]->set.count;
  }
  return state;
}

// Brings the micro-batch's samples and labels to the staging tensors, through pinned memory.
Status CudaExecutor::stage(const RunArguments& arguments) {
  const DriverTable& driver = context_.driver();
  const auto copy = [&](TensorId tensor, const void* source, uint64_t bytes) -> Status {
    if (source == nullptr || tensor == no_tensor) return Status::ok;
    LT_TRY(check_piece(program_, tensor, 0, bytes));
    const bool pinned = pinned_.holds(source);
    const auto address = reinterpret_cast<CUdeviceptr>(region_ + program_.tensors[tensor].offset);
    for (uint64_t first = 0, count = 0; first < bytes; first += count) {
      count = pinned ? bytes : std::min(staging_piece_bytes, bytes - first);
      const std::byte* piece = static_cast<const std::byte*>(source) + first;
      if (!pinned) piece = static_cast<std::byte*>(std::memcpy(staging(tensor) + first, piece, count));
      LT_TRY(check(driver, driver.cuMemcpyHtoDAsync(address + first, piece, count, stream_), "cuMemcpyHtoDAsync"));
    }
    return Status::ok;
  };
  TensorId lengths = no_tensor;
  for (const Op& op : program_.ops) {
    if (op.has_lengths && op.staging_lengths != lengths) {
      lengths = op.staging_lengths;
      LT_TRY(copy(lengths, arguments.lengths, arguments.samples * sizeof(uint32_t)));
    }
    if (op.kind == OpKind::input)
      LT_TRY(copy(op.staging_x, arguments.x, arguments.samples * op.x_extent.elements() * dtype_bytes(op.x_dtype)));
    if (op.kind == OpKind::softmax_cross_entropy || op.kind == OpKind::ctc)
      LT_TRY(copy(op.staging_labels, arguments.labels, arguments.samples * uint64_t{op.label_count} * sizeof(int32_t)));
  }
  return Status::ok;
}

Status CudaExecutor::refresh_copies() {
  if (!copies_are_stale_) return Status::ok;
  RunArguments none;
  for (const Op& op : program_.ops)
    if (op.copies != no_tensor) LT_TRY(enqueue_parameter_copies(site(stream_, none, nullptr), op));
  if (program_.inference)
    for (const auto& kernel : kernels_) LT_TRY(kernel->take_weights(site(stream_, none, nullptr)));
  copies_are_stale_ = false;
  return Status::ok;
}

Status CudaExecutor::enqueue_ops(const Site& site, uint32_t first, uint32_t last) {
  for (uint32_t i = first; i < last; ++i) LT_TRY(kernels_[i]->enqueue(site));
  return Status::ok;
}

// The forward pass of an inference program on what is staged: of a whole micro-batch as a graph, captured behind the first
// run, in which the libraries load what they must not load while a stream is captured.
Status CudaExecutor::infer(const RunArguments& arguments) {
  if (inference_.built() && arguments.samples == program_.micro_batch) return inference_.launch(stream_);
  const Site where = site(stream_, arguments, nullptr);
  LT_TRY(enqueue_ops(where, 0, program_.forward_end));
  if (arguments.samples != program_.micro_batch) return Status::ok;
  LT_TRY(synchronize());
  LoopGraph::Parts parts;
  parts.begin = [&](CUstream, const LoopGraph::Handles&) { return enqueue_ops(where, 0, program_.forward_end); };
  parts.end = [](CUstream) { return Status::ok; };
  return inference_.build(context_, stream_, body_stream_, parts);
}

Status CudaExecutor::run(uint32_t first, uint32_t last, const RunArguments& arguments) {
  LT_TRY(check_run(program_, first, last, arguments));
  const KeptSet* set = nullptr;
  if (arguments.kept != nullptr) {
    const auto& kept = kept_[static_cast<int>(arguments.kept->split)];
    if (kept == nullptr) return fail(Status::state, "run: no such data set is kept");
    set = &kept->set;
  }
  LT_TRY(context_.enter());
  LT_TRY(refresh_copies());
  if (set == nullptr) LT_TRY(stage(arguments));
  if (program_.inference && set == nullptr && first == 0 && last == program_.forward_end) {
    LT_TRY(infer(arguments));
    return synchronize();
  }
  const Site where = site(stream_, arguments, set);
  LT_TRY(where.launcher.launch<KernelId::state_set>({}, 1, {state_, state_of(arguments, arguments.kept)}));
  LT_TRY(enqueue_ops(where, first, last));
  // Pinned memory is written again for the next micro-batch: this one must have been read.
  return set == nullptr ? synchronize() : Status::ok;
}

}  // namespace lt::cuda
