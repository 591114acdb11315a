#include "backends/cuda/cudnn/recurrent_layer.h"

#include <algorithm>

#include "backends/cuda/kernels/pieces.h"

namespace lt::cuda {
namespace {

// Of the algorithm that keeps the weights in registers: the library takes it so far in both directions of a training.
constexpr uint32_t most_small_units = 128;

}  // namespace

Status CudnnRecurrentLayer::make(const CudnnCaller& caller, const KernelRequest& request) {
  caller_ = &caller;
  op_ = *request.op;
  const CudnnTable& table = *caller.table;
  LT_TRY(dropout_.make(caller, "cudnnCreateDropoutDescriptor"));
  LT_TRY(caller.checked(table.cudnnSetDropoutDescriptor(dropout_.get(), caller.handle, 0, nullptr, 0, 0),
                        "cudnnSetDropoutDescriptor"));
  LT_TRY(matrix_.make(caller, "cudnnCreateTensorDescriptor"));
  LT_TRY(bias_.make(caller, "cudnnCreateTensorDescriptor"));
  Status status = Status::unsupported;
  if (op_.units <= most_small_units) status = describe(CUDNN_RNN_ALGO_PERSIST_STATIC_SMALL_H, request);
  if (status == Status::unsupported) status = describe(CUDNN_RNN_ALGO_STANDARD, request);
  return status;
}

Status CudnnRecurrentLayer::describe(cudnnRNNAlgo_t algorithm, const KernelRequest& request) {
  const CudnnTable& table = *caller_->table;
  entries_.clear();
  rnn_ = {};
  LT_TRY(rnn_.make(*caller_, "cudnnCreateRNNDescriptor"));
  LT_TRY(caller_->checked(
      table.cudnnSetRNNDescriptor_v8(rnn_.get(), algorithm, op_.cell == Cell::gru ? CUDNN_GRU : CUDNN_LSTM,
                                     op_.has_bias ? CUDNN_RNN_DOUBLE_BIAS : CUDNN_RNN_NO_BIAS,
                                     op_.directions == 2 ? CUDNN_BIDIRECTIONAL : CUDNN_UNIDIRECTIONAL, CUDNN_LINEAR_INPUT,
                                     CUDNN_DATA_FLOAT, CUDNN_DATA_FLOAT,
                                     request.precision == Precision::tf32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH,
                                     static_cast<int32_t>(op_.x_extent.channels), static_cast<int32_t>(op_.units),
                                     static_cast<int32_t>(op_.units), 1, dropout_.get(), CUDNN_RNN_PADDED_IO_ENABLED),
      "cudnnSetRNNDescriptor_v8"));
  size_t bytes = 0;
  LT_TRY(caller_->checked(table.cudnnGetRNNWeightSpaceSize(caller_->handle, rnn_.get(), &bytes),
                          "cudnnGetRNNWeightSpaceSize"));
  weights_bytes_ = bytes;
  LT_TRY(add(request.micro_batch));
  const Entry& largest = entries_.front();
  workspace_bytes_ = std::max(largest.workspace_bytes, largest.inference_workspace_bytes);
  reserve_bytes_ = largest.reserve_bytes;
  return Status::ok;
}

Status CudnnRecurrentLayer::add(uint32_t samples) {
  const CudnnTable& table = *caller_->table;
  const auto steps = static_cast<int>(op_.x_extent.height), count = static_cast<int>(samples);
  const std::vector<int> lengths(samples, steps);
  Entry made;
  made.samples = samples;
  const auto describe_data = [&](CudnnRnnDataObject* data, uint32_t features) -> Status {
    LT_TRY(data->make(*caller_, "cudnnCreateRNNDataDescriptor"));
    float fill = 0;
    return caller_->checked(
        table.cudnnSetRNNDataDescriptor(data->get(), CUDNN_DATA_FLOAT, CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED, steps,
                                        count, static_cast<int>(features), lengths.data(), &fill),
        "cudnnSetRNNDataDescriptor");
  };
  LT_TRY(describe_data(&made.x, op_.x_extent.channels));
  LT_TRY(describe_data(&made.y, op_.directions * op_.units));
  const int units = static_cast<int>(op_.units);
  const int dims[] = {static_cast<int>(op_.directions), count, units}, strides[] = {count * units, units, 1};
  LT_TRY(made.state.make(*caller_, "cudnnCreateTensorDescriptor"));
  LT_TRY(caller_->checked(table.cudnnSetTensorNdDescriptor(made.state.get(), CUDNN_DATA_FLOAT, 3, dims, strides),
                          "cudnnSetTensorNdDescriptor"));
  size_t none = 0;
  LT_TRY(caller_->checked(table.cudnnGetRNNTempSpaceSizes(caller_->handle, rnn_.get(), CUDNN_FWD_MODE_TRAINING,
                                                          made.x.get(), &made.workspace_bytes, &made.reserve_bytes),
                          "cudnnGetRNNTempSpaceSizes"));
  LT_TRY(caller_->checked(table.cudnnGetRNNTempSpaceSizes(caller_->handle, rnn_.get(), CUDNN_FWD_MODE_INFERENCE,
                                                          made.x.get(), &made.inference_workspace_bytes, &none),
                          "cudnnGetRNNTempSpaceSizes"));
  if (!entries_.empty() && (std::max(made.workspace_bytes, made.inference_workspace_bytes) > workspace_bytes_ ||
                            made.reserve_bytes > reserve_bytes_))
    return fail(Status::internal, "cuDNN: %s: %u samples want more memory than the %u of the largest run", caller_->what,
                samples, entries_.front().samples);
  entries_.push_back(std::move(made));
  return Status::ok;
}

Status CudnnRecurrentLayer::entry(uint32_t samples, const Entry** found) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    for (const Entry& each : entries_)
      if (each.samples == samples) {
        *found = &each;
        return Status::ok;
      }
    LT_TRY(add(samples));
  }
  return Status::internal;
}

Status CudnnRecurrentLayer::ready(uint32_t samples) {
  const Entry* found = nullptr;
  return entry(samples, &found);
}

Status CudnnRecurrentLayer::add_piece(uint32_t direction, TensorId RecurrentWeights::*parameter, uint64_t first,
                                      const void* address, const void* weights, uint64_t elements) {
  const auto from = reinterpret_cast<uintptr_t>(weights), at = reinterpret_cast<uintptr_t>(address);
  if (address == nullptr || at < from || at - from + elements * sizeof(float) > weights_bytes_ ||
      (at - from) % sizeof(float) != 0)
    return fail(Status::device, "cuDNN: %s: a weight does not lie in the block of weights", caller_->what);
  const uint64_t block_first = (at - from) / sizeof(float);
  if (!pieces_.empty()) {
    CudnnWeightPiece& last = pieces_.back();
    if (last.direction == direction && last.parameter == parameter && last.first + last.elements == first &&
        last.block_first + last.elements == block_first) {
      last.elements += elements;
      return Status::ok;
    }
  }
  pieces_.push_back({direction, parameter, first, block_first, elements});
  return Status::ok;
}

// The library's linear layers of a cell are first those of x, then those of h, each in the order of the op's gates.
Status CudnnRecurrentLayer::find_pieces(const void* weights, const std::vector<CudnnWeightPiece>** pieces) {
  *pieces = &pieces_;
  if (!pieces_.empty()) return Status::ok;
  const uint32_t gates = gates_of(op_.cell);
  struct Kind {
    TensorId RecurrentWeights::*parameter;
    bool is_bias;
    uint32_t first_layer;
    uint64_t columns;
  };
  const Kind kinds[] = {{&RecurrentWeights::ih, false, 0, op_.x_extent.channels},
                        {&RecurrentWeights::hh, false, gates, op_.units},
                        {&RecurrentWeights::bias_ih, true, 0, 1},
                        {&RecurrentWeights::bias_hh, true, gates, 1}};
  static_assert(most_pieces >= 2 * 4 * 4);
  for (uint32_t direction = 0; direction < op_.directions; ++direction)
    for (const Kind& kind : kinds) {
      if (kind.is_bias && !op_.has_bias) continue;
      for (uint32_t gate = 0; gate < gates; ++gate) {
        void *matrix = nullptr, *bias = nullptr;
        Status status =
            caller_->checked(caller_->table->cudnnGetRNNWeightParams(
                                 caller_->handle, rnn_.get(), static_cast<int32_t>(direction), weights_bytes_, weights,
                                 static_cast<int32_t>(kind.first_layer + gate), matrix_.get(), &matrix, bias_.get(), &bias),
                             "cudnnGetRNNWeightParams");
        const uint64_t elements = op_.units * kind.columns;
        if (ok(status))
          status = add_piece(direction, kind.parameter, gate * elements, kind.is_bias ? bias : matrix, weights, elements);
        if (!ok(status)) {
          pieces_.clear();
          return status;
        }
      }
    }
  return Status::ok;
}

Status CudnnRecurrentLayer::enqueue_forward(const Memory& memory, uint32_t samples, bool training, CUstream stream) {
  const Entry* e = nullptr;
  LT_TRY(entry(samples, &e));
  const CudnnTable& table = *caller_->table;
  LT_TRY(caller_->checked(table.cudnnSetStream(caller_->handle, stream), "cudnnSetStream"));
  return caller_->checked(
      table.cudnnRNNForward(caller_->handle, rnn_.get(), training ? CUDNN_FWD_MODE_TRAINING : CUDNN_FWD_MODE_INFERENCE,
                            nullptr, e->x.get(), memory.x, e->y.get(), memory.y, e->state.get(), nullptr, nullptr,
                            e->state.get(), nullptr, nullptr, weights_bytes_, memory.weights,
                            training ? e->workspace_bytes : e->inference_workspace_bytes, memory.workspace,
                            training ? e->reserve_bytes : 0, training ? memory.reserve : nullptr),
      "cudnnRNNForward");
}

Status CudnnRecurrentLayer::enqueue_backward(const Memory& memory, uint32_t samples, CUstream stream) {
  const Entry* e = nullptr;
  LT_TRY(entry(samples, &e));
  const CudnnTable& table = *caller_->table;
  LT_TRY(caller_->checked(table.cudnnSetStream(caller_->handle, stream), "cudnnSetStream"));
  LT_TRY(caller_->checked(
      table.cudnnRNNBackwardData_v8(caller_->handle, rnn_.get(), nullptr, e->y.get(), memory.y, memory.dy, e->x.get(),
                                    memory.dx, e->state.get(), nullptr, nullptr, nullptr, e->state.get(), nullptr, nullptr,
                                    nullptr, weights_bytes_, memory.weights, e->workspace_bytes, memory.workspace,
                                    e->reserve_bytes, memory.reserve),
      "cudnnRNNBackwardData_v8"));
  return caller_->checked(
      table.cudnnRNNBackwardWeights_v8(caller_->handle, rnn_.get(), CUDNN_WGRAD_MODE_ADD, nullptr, e->x.get(), memory.x,
                                       e->state.get(), nullptr, e->y.get(), memory.y, weights_bytes_, memory.dweights,
                                       e->workspace_bytes, memory.workspace, e->reserve_bytes, memory.reserve),
      "cudnnRNNBackwardWeights_v8");
}

}  // namespace lt::cuda
