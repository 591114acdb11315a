// Recurrent layers of the fake cuDNN: descriptors, the block of weights, and the passes by the reference device's
// functions. The reserve holds what these keep from forward to backward, then the gradients of the weights. The reference
// works out both kinds of gradients at once: each backward pass does so, and throws one away. The pass for the weights
// finds in the workspace what the pass for the data was given.
#include "tests/cuda/fake_cudnn_rnn.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "backends/reference/ops.h"
#include "tests/cuda/fake.h"
#include "tests/cuda/fake_cudnn.h"

namespace lt::cuda::fake {
namespace {

// Of any kind of descriptor; `kind` says which.
enum class Kind { tensor, dropout, rnn, data };
struct Object {
  Kind kind;
  bool is_set = false;
  std::vector<int> dims;                     // tensor
  Op op;                                     // rnn: cell, units, directions, has_bias, features of x
  bool small = false;                        // rnn: of the algorithm for few units
  int steps = 0, samples = 0, features = 0;  // data
};
std::map<const void*, Object> objects;

Object* find(const void* handle, Kind kind) {
  const auto found = objects.find(handle);
  return found == objects.end() || found->second.kind != kind ? nullptr : &found->second;
}
// Null, and a complaint, where the descriptor is none that was made and set.
const Object* use(const void* handle, Kind kind, const char* function) {
  const Object* const object = find(handle, kind);
  if (object != nullptr && object->is_set) return object;
  complain("%s: a descriptor is not alive, not set or of another kind", function);
  return nullptr;
}

template <class T>
cudnnStatus_t create(Kind kind, const char* function, T* handle) {
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
  auto* const address = new char;
  objects[address].kind = kind;
  count_object(1);
  *handle = reinterpret_cast<T>(address);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t destroy(Kind kind, const char* function, const void* handle) {
  if (find(handle, kind) == nullptr) return refuse(CUDNN_STATUS_BAD_PARAM, function, "the descriptor is not alive");
  objects.erase(handle);
  count_object(-1);
  delete static_cast<const char*>(handle);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t set_tensor(cudnnTensorDescriptor_t handle, cudnnDataType_t type, int count, const int* dims,
                         const int* strides) {
  const char* const function = "cudnnSetTensorNdDescriptor";
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR;
  Object* const object = find(handle, Kind::tensor);
  if (object == nullptr || type != CUDNN_DATA_FLOAT || count != 3)
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "not three dimensions of floats");
  if (strides[2] != 1 || strides[1] != dims[2] || strides[0] != dims[1] * dims[2])
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "a state has no gaps");
  object->dims.assign(dims, dims + count);
  object->is_set = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t set_dropout(cudnnDropoutDescriptor_t handle, cudnnHandle_t library, float dropout, void* states, size_t bytes,
                          unsigned long long) {
  const char* const function = "cudnnSetDropoutDescriptor";
  if (fails(function)) return CUDNN_STATUS_EXECUTION_FAILED;
  Object* const object = find(handle, Kind::dropout);
  if (object == nullptr || !is_handle(library)) return refuse(CUDNN_STATUS_BAD_PARAM, function, "something is not alive");
  if (dropout != 0 || states != nullptr || bytes != 0)
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "a dropout, which is not in use");
  object->is_set = true;
  return CUDNN_STATUS_SUCCESS;
}

constexpr int32_t most_small_units = 128;

cudnnStatus_t set_rnn(cudnnRNNDescriptor_t handle, cudnnRNNAlgo_t algorithm, cudnnRNNMode_t cell, cudnnRNNBiasMode_t bias,
                      cudnnDirectionMode_t direction, cudnnRNNInputMode_t input, cudnnDataType_t type,
                      cudnnDataType_t math_type, cudnnMathType_t math, int32_t features, int32_t units, int32_t projection,
                      int32_t layers, cudnnDropoutDescriptor_t dropout, uint32_t flags) {
  const char* const function = "cudnnSetRNNDescriptor_v8";
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR;
  Object* const object = find(handle, Kind::rnn);
  if (object == nullptr) return refuse(CUDNN_STATUS_BAD_PARAM, function, "the descriptor is not alive");
  if (use(dropout, Kind::dropout, function) == nullptr) return CUDNN_STATUS_BAD_PARAM;
  if (type != CUDNN_DATA_FLOAT || math_type != CUDNN_DATA_FLOAT || (math != CUDNN_FMA_MATH && math != CUDNN_DEFAULT_MATH))
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "types that are not in use");
  if ((cell != CUDNN_GRU && cell != CUDNN_LSTM) || input != CUDNN_LINEAR_INPUT || layers != 1 || projection != units ||
      features < 1 || units < 1 || (bias != CUDNN_RNN_DOUBLE_BIAS && bias != CUDNN_RNN_NO_BIAS))
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "a layer that is none of ours");
  if (flags != CUDNN_RNN_PADDED_IO_ENABLED)
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "sequences that are not packed want PADDED_IO_ENABLED");
  object->small = algorithm == CUDNN_RNN_ALGO_PERSIST_STATIC_SMALL_H;
  if (object->small ? units > most_small_units || !cudnn_options().small_recurrent : algorithm != CUDNN_RNN_ALGO_STANDARD)
    return unsupported("no such algorithm for so many units");
  if (!cudnn_options().any_engine) return unsupported("no recurrent layers");
  object->op.cell = cell == CUDNN_GRU ? Cell::gru : Cell::lstm;
  object->op.units = static_cast<uint32_t>(units);
  object->op.directions = direction == CUDNN_BIDIRECTIONAL ? 2 : 1;
  object->op.has_bias = bias == CUDNN_RNN_DOUBLE_BIAS;
  object->op.x_extent.channels = static_cast<uint32_t>(features);
  object->is_set = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t set_data(cudnnRNNDataDescriptor_t handle, cudnnDataType_t type, cudnnRNNDataLayout_t layout, int steps,
                       int samples, int features, const int* lengths, void* fill) {
  const char* const function = "cudnnSetRNNDataDescriptor";
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
  Object* const object = find(handle, Kind::data);
  if (object == nullptr || type != CUDNN_DATA_FLOAT || layout != CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED || steps < 1 ||
      samples < 1 || features < 1 || fill == nullptr)
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "no sequences of ours");
  for (int i = 0; i < samples; ++i)
    if (lengths[i] != steps) return refuse(CUDNN_STATUS_BAD_PARAM, function, "a length of its own, which is not in use");
  object->steps = steps;
  object->samples = samples;
  object->features = features;
  object->is_set = true;
  return CUDNN_STATUS_SUCCESS;
}

// The block of weights: for each direction, matrix after matrix, those of x first; then the biases likewise. With gaps, in
// floats, where a test wants them.
struct Place {
  uint64_t first, elements;
};
class Block {
 public:
  explicit Block(const Op& op) {
    const uint32_t gates = gates_of(op.cell);
    for (const bool bias : {false, true})
      for (uint32_t direction = 0; direction < op.directions; ++direction)
        for (uint32_t layer = 0; layer < 2 * gates; ++layer) {
          const uint64_t columns = bias ? 1 : layer < gates ? op.x_extent.channels : op.units;
          if (bias && !op.has_bias) continue;
          (bias ? biases_ : matrices_).push_back({floats_, op.units * columns});
          floats_ += op.units * columns + cudnn_options().weight_gap;
        }
    layers_ = 2 * gates;
  }
  uint64_t bytes() const { return floats_ * sizeof(float); }
  uint32_t layers() const { return layers_; }
  const Place& matrix(uint32_t direction, uint32_t layer) const { return matrices_[direction * layers_ + layer]; }
  const Place* bias(uint32_t direction, uint32_t layer) const {
    return biases_.empty() ? nullptr : &biases_[direction * layers_ + layer];
  }

 private:
  std::vector<Place> matrices_, biases_;
  uint64_t floats_ = 0;
  uint32_t layers_ = 0;
};

// The op's parameters side by side, direction by direction: ih, hh, bias_ih, bias_hh.
std::vector<Place> parameters_in_block(const Op& op) {
  const Block block(op);
  const uint32_t gates = gates_of(op.cell);
  std::vector<Place> places;
  for (uint32_t direction = 0; direction < op.directions; ++direction) {
    for (uint32_t layer = 0; layer < 2 * gates; ++layer) places.push_back(block.matrix(direction, layer));
    for (uint32_t layer = 0; layer < 2 * gates && op.has_bias; ++layer) places.push_back(*block.bias(direction, layer));
  }
  return places;
}
uint64_t parameter_floats(const Op& op) {
  uint64_t floats = 0;
  for (const Place& place : parameters_in_block(op)) floats += place.elements;
  return floats;
}

cudnnStatus_t weight_space_size(cudnnHandle_t library, cudnnRNNDescriptor_t handle, size_t* bytes) {
  const char* const function = "cudnnGetRNNWeightSpaceSize";
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR;
  const Object* const rnn = use(handle, Kind::rnn, function);
  if (rnn == nullptr || !is_handle(library)) return CUDNN_STATUS_BAD_PARAM;
  *bytes = Block(rnn->op).bytes();
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t weight_params(cudnnHandle_t library, cudnnRNNDescriptor_t handle, int32_t direction, size_t bytes,
                            const void* weights, int32_t layer, cudnnTensorDescriptor_t matrix_handle, void** matrix,
                            cudnnTensorDescriptor_t bias_handle, void** bias) {
  const char* const function = "cudnnGetRNNWeightParams";
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR;
  const Object* const rnn = use(handle, Kind::rnn, function);
  if (rnn == nullptr || !is_handle(library) || find(matrix_handle, Kind::tensor) == nullptr ||
      find(bias_handle, Kind::tensor) == nullptr)
    return CUDNN_STATUS_BAD_PARAM;
  const Block block(rnn->op);
  if (bytes != block.bytes() || weights == nullptr || direction < 0 ||
      direction >= static_cast<int32_t>(rnn->op.directions) || layer < 0 || layer >= static_cast<int32_t>(block.layers()))
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "no such weight");
  auto* const first = static_cast<float*>(const_cast<void*>(weights));
  *matrix = first + block.matrix(static_cast<uint32_t>(direction), static_cast<uint32_t>(layer)).first;
  const Place* const place = block.bias(static_cast<uint32_t>(direction), static_cast<uint32_t>(layer));
  *bias = place == nullptr ? nullptr : first + place->first;
  return CUDNN_STATUS_SUCCESS;
}

// The op of a run, its extents filled in.
Op op_of(const Object& rnn, const Object& x) {
  Op op = rnn.op;
  op.layer = "rnn";
  op.x_extent.height = static_cast<uint32_t>(x.steps);
  op.y_extent = {op.x_extent.height, 1, op.directions * op.units};
  return op;
}
uint64_t saved_bytes(const Op& op, uint32_t samples) { return reference::recurrent_saved_bytes(op, samples); }

constexpr size_t workspace_bytes = 1024;

cudnnStatus_t temp_space(cudnnHandle_t library, cudnnRNNDescriptor_t handle, cudnnForwardMode_t mode,
                         cudnnRNNDataDescriptor_t x_handle, size_t* workspace, size_t* reserve) {
  const char* const function = "cudnnGetRNNTempSpaceSizes";
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR;
  const Object *const rnn = use(handle, Kind::rnn, function), *const x = use(x_handle, Kind::data, function);
  if (rnn == nullptr || x == nullptr || !is_handle(library)) return CUDNN_STATUS_BAD_PARAM;
  if (x->features != static_cast<int>(rnn->op.x_extent.channels))
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "other features than the layer's");
  const bool training = mode == CUDNN_FWD_MODE_TRAINING;
  *workspace = training ? 2 * workspace_bytes : workspace_bytes;
  *reserve = training ? saved_bytes(op_of(*rnn, *x), static_cast<uint32_t>(x->samples)) + parameter_floats(rnn->op) * 4 : 0;
  return CUDNN_STATUS_SUCCESS;
}

// What a call computes.
struct Call {
  Op op;
  uint32_t samples = 0;
  const void *x = nullptr, *y = nullptr, *dy = nullptr;
  void *dx = nullptr, *reserve = nullptr;
  const float* weights = nullptr;
};

// What all three calls are given.
struct Given {
  cudnnHandle_t library;
  cudnnRNNDescriptor_t rnn;
  const int32_t* lengths;
  cudnnRNNDataDescriptor_t x, y;
  cudnnTensorDescriptor_t h, c;
  bool has_states;
  size_t weights_bytes;
  const void* weights;
  size_t workspace_bytes;
  const void* workspace;
  size_t reserve_bytes;
  void* reserve;
  bool training;
};

// Which rule is broken, or nothing.
std::string prepare(const Given& given, const char* function, Call* call) {
  const Object *const rnn = use(given.rnn, Kind::rnn, function), *const x = use(given.x, Kind::data, function),
                      *const y = use(given.y, Kind::data, function), *const h = use(given.h, Kind::tensor, function);
  if (rnn == nullptr || x == nullptr || y == nullptr || h == nullptr || use(given.c, Kind::tensor, function) == nullptr)
    return "a descriptor is missing";
  if (!is_handle(given.library) || stream_of(given.library) == nullptr) return "the handle is not alive or has no stream";
  if (given.lengths != nullptr || given.has_states) return "lengths or states on the device, which are not in use";
  call->op = op_of(*rnn, *x);
  call->samples = static_cast<uint32_t>(x->samples);
  const auto directions = static_cast<int>(call->op.directions), units = static_cast<int>(call->op.units);
  if (x->features != static_cast<int>(call->op.x_extent.channels) || y->steps != x->steps || y->samples != x->samples ||
      y->features != directions * units || h->dims != std::vector<int>{directions, x->samples, units})
    return "the extents do not fit the layer";
  if (given.weights_bytes != Block(call->op).bytes() || !is_device_range(given.weights, given.weights_bytes))
    return "the block of weights";
  const uint64_t reserve =
      given.training ? saved_bytes(call->op, call->samples) + parameter_floats(call->op) * sizeof(float) : 0;
  if (given.workspace_bytes < (given.training ? 2 : 1) * workspace_bytes ||
      !is_device_range(given.workspace, given.workspace_bytes))
    return "the workspace";
  if (given.reserve_bytes != reserve ||
      (given.training ? !is_device_range(given.reserve, reserve) : given.reserve != nullptr))
    return "the reserve";
  call->weights = static_cast<const float*>(given.weights);
  call->reserve = given.reserve;
  return "";
}
uint64_t x_bytes(const Call& call) { return call.op.x_extent.elements() * call.samples * sizeof(float); }
uint64_t y_bytes(const Call& call) { return call.op.y_extent.elements() * call.samples * sizeof(float); }

// What the pass for the data leaves in the workspace.
struct FromData {
  const void* dy;
  const float* weights;
};

// One run of the reference's functions on memory that lies anywhere.
class Reference {
 public:
  Reference(const Call& call, std::byte* saved) : op_(call.op) {
    program_.weight_layout = WeightLayout::out_in;
    program_.micro_batch = call.samples;
    arguments_.samples = arguments_.batch_samples = call.samples;
    arguments_.training = true;
    for (const Place& place : parameters_in_block(op_))
      weights_.insert(weights_.end(), call.weights + place.first, call.weights + place.first + place.elements);
    scratch_.resize(std::max(reference::recurrent_scratch_bytes(op_), reference::recurrent_backward_scratch_bytes(op_)) +
                    tensor_alignment);
    program_.scratch_offset = (offset(scratch_.data()) + tensor_alignment - 1) / tensor_alignment * tensor_alignment;
    op_.x = add(call.x);
    op_.y = add(call.y);
    op_.dy = add(call.dy);
    if (call.dx != nullptr) op_.dx = add(call.dx);
    op_.saved = add(saved);
    add_parameters(weights_.data(), op_.weights);
    add_parameters(reinterpret_cast<float*>(saved + saved_bytes(op_, call.samples)), op_.dweights);
  }
  void forward() { reference::recurrent(op_, context()); }
  void backward() { reference::recurrent_backward(op_, context()); }

 private:
  // Below all memory, so that no offset is negative; the compiler is not to know that nothing is there.
  static std::byte* base() {
    static volatile uintptr_t first = 64;
    return reinterpret_cast<std::byte*>(uintptr_t{first});
  }
  static uint64_t offset(const void* address) {
    return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(base());
  }
  reference::Context context() const { return {&program_, &arguments_, base()}; }
  TensorId add(const void* address) {
    Tensor tensor;
    tensor.offset = offset(address);
    program_.tensors.push_back(tensor);
    return static_cast<TensorId>(program_.tensors.size() - 1);
  }
  void add_parameters(const float* first, RecurrentWeights* weights) {
    const uint64_t outputs = gates_of(op_.cell) * uint64_t{op_.units};
    const auto take = [&](uint64_t elements) {
      const float* const at = first;
      first += elements;
      return add(at);
    };
    for (uint32_t direction = 0; direction < op_.directions; ++direction) {
      weights[direction].ih = take(outputs * op_.x_extent.channels);
      weights[direction].hh = take(outputs * op_.units);
      if (!op_.has_bias) continue;
      weights[direction].bias_ih = take(outputs);
      weights[direction].bias_hh = take(outputs);
    }
  }

  Op op_;
  Program program_;
  RunArguments arguments_;
  std::vector<float> weights_;
  std::vector<std::byte> scratch_;
};

cudnnStatus_t forward(cudnnHandle_t library, cudnnRNNDescriptor_t rnn, cudnnForwardMode_t mode, const int32_t* lengths,
                      cudnnRNNDataDescriptor_t x_handle, const void* x, cudnnRNNDataDescriptor_t y_handle, void* y,
                      cudnnTensorDescriptor_t h, const void* hx, void* hy, cudnnTensorDescriptor_t c, const void* cx,
                      void* cy, size_t weights_bytes, const void* weights, size_t work_bytes, void* work,
                      size_t reserve_bytes, void* reserve) {
  const char* const function = "cudnnRNNForward";
  if (fails(function)) return CUDNN_STATUS_EXECUTION_FAILED;
  Call call;
  const bool training = mode == CUDNN_FWD_MODE_TRAINING;
  const Given given{library,       rnn,     lengths,    x_handle,
                    y_handle,      h,       c,          hx != nullptr || hy != nullptr || cx != nullptr || cy != nullptr,
                    weights_bytes, weights, work_bytes, work,
                    reserve_bytes, reserve, training};
  std::string why = prepare(given, function, &call);
  if (why.empty() && (!is_device_range(x, x_bytes(call)) || !is_device_range(y, y_bytes(call)))) why = "x or y";
  if (!why.empty()) return refuse(CUDNN_STATUS_BAD_PARAM, function, why);
  call.x = x;
  call.y = y;
  note_executed(find(rnn, Kind::rnn)->small ? "rnn of few units" : "rnn");
  enqueue(
      stream_of(library),
      [call, work, work_bytes, reserve_bytes] {
        std::memset(work, 0xff, work_bytes);
        std::vector<std::byte> saved;
        if (call.reserve == nullptr)
          saved.resize(saved_bytes(call.op, call.samples) + parameter_floats(call.op) * sizeof(float));
        else
          std::memset(call.reserve, 0xff, reserve_bytes);
        Reference(call, call.reserve == nullptr ? saved.data() : static_cast<std::byte*>(call.reserve)).forward();
      },
      function);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t backward_data(cudnnHandle_t library, cudnnRNNDescriptor_t rnn, const int32_t* lengths,
                            cudnnRNNDataDescriptor_t y_handle, const void* y, const void* dy,
                            cudnnRNNDataDescriptor_t x_handle, void* dx, cudnnTensorDescriptor_t h, const void* hx,
                            const void* dhy, void* dhx, cudnnTensorDescriptor_t c, const void* cx, const void* dcy,
                            void* dcx, size_t weights_bytes, const void* weights, size_t work_bytes, void* work,
                            size_t reserve_bytes, void* reserve) {
  const char* const function = "cudnnRNNBackwardData_v8";
  if (fails(function)) return CUDNN_STATUS_EXECUTION_FAILED;
  Call call;
  const Given given{library,
                    rnn,
                    lengths,
                    x_handle,
                    y_handle,
                    h,
                    c,
                    hx != nullptr || dhy != nullptr || dhx != nullptr || cx != nullptr || dcy != nullptr || dcx != nullptr,
                    weights_bytes,
                    weights,
                    work_bytes,
                    work,
                    reserve_bytes,
                    reserve,
                    true};
  std::string why = prepare(given, function, &call);
  if (why.empty() &&
      (!is_device_range(y, y_bytes(call)) || !is_device_range(dy, y_bytes(call)) || !is_device_range(dx, x_bytes(call))))
    why = "y, dy or dx";
  if (!why.empty()) return refuse(CUDNN_STATUS_BAD_PARAM, function, why);
  call.y = y;
  call.dy = dy;
  call.dx = dx;
  enqueue(
      stream_of(library),
      [call, work, work_bytes]() mutable {
        std::memset(work, 0xff, work_bytes);
        const std::vector<float> zeros(call.op.x_extent.elements() * call.samples);
        call.x = zeros.data();
        Reference(call, static_cast<std::byte*>(call.reserve)).backward();
        const FromData from{call.dy, call.weights};
        std::memcpy(work, &from, sizeof from);
      },
      function);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t backward_weights(cudnnHandle_t library, cudnnRNNDescriptor_t rnn, cudnnWgradMode_t mode,
                               const int32_t* lengths, cudnnRNNDataDescriptor_t x_handle, const void* x,
                               cudnnTensorDescriptor_t h, const void* hx, cudnnRNNDataDescriptor_t y_handle, const void* y,
                               size_t weights_bytes, void* dweights, size_t work_bytes, void* work, size_t reserve_bytes,
                               void* reserve) {
  const char* const function = "cudnnRNNBackwardWeights_v8";
  if (fails(function)) return CUDNN_STATUS_EXECUTION_FAILED;
  Call call;
  const Given given{library,       rnn,      lengths,    x_handle, y_handle,      h,       h,   hx != nullptr,
                    weights_bytes, dweights, work_bytes, work,     reserve_bytes, reserve, true};
  std::string why = prepare(given, function, &call);
  if (why.empty() && mode != CUDNN_WGRAD_MODE_ADD) why = "the library adds gradients, and does nothing else";
  if (why.empty() && (!is_device_range(x, x_bytes(call)) || !is_device_range(y, y_bytes(call)))) why = "x or y";
  if (!why.empty()) return refuse(CUDNN_STATUS_BAD_PARAM, function, why);
  call.x = x;
  call.y = y;
  enqueue(
      stream_of(library),
      [call, dweights, work]() mutable {
        FromData given_before;
        std::memcpy(&given_before, work, sizeof given_before);
        call.dy = given_before.dy;
        call.weights = given_before.weights;
        auto* const kept = static_cast<std::byte*>(call.reserve);
        Reference(call, kept).backward();
        const auto* from = reinterpret_cast<const float*>(kept + saved_bytes(call.op, call.samples));
        auto* const to = static_cast<float*>(dweights);
        for (const Place& place : parameters_in_block(call.op))
          for (uint64_t i = 0; i < place.elements; ++i) to[place.first + i] += *from++;
      },
      function);
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

void fill_rnn(CudnnTable* table) {
  table->cudnnCreateTensorDescriptor = [](cudnnTensorDescriptor_t* handle) {
    return create(Kind::tensor, "cudnnCreateTensorDescriptor", handle);
  };
  table->cudnnDestroyTensorDescriptor = [](cudnnTensorDescriptor_t handle) {
    return destroy(Kind::tensor, "cudnnDestroyTensorDescriptor", handle);
  };
  table->cudnnSetTensorNdDescriptor = set_tensor;
  table->cudnnCreateDropoutDescriptor = [](cudnnDropoutDescriptor_t* handle) {
    return create(Kind::dropout, "cudnnCreateDropoutDescriptor", handle);
  };
  table->cudnnDestroyDropoutDescriptor = [](cudnnDropoutDescriptor_t handle) {
    return destroy(Kind::dropout, "cudnnDestroyDropoutDescriptor", handle);
  };
  table->cudnnSetDropoutDescriptor = set_dropout;
  table->cudnnCreateRNNDescriptor = [](cudnnRNNDescriptor_t* handle) {
    return create(Kind::rnn, "cudnnCreateRNNDescriptor", handle);
  };
  table->cudnnDestroyRNNDescriptor = [](cudnnRNNDescriptor_t handle) {
    return destroy(Kind::rnn, "cudnnDestroyRNNDescriptor", handle);
  };
  table->cudnnSetRNNDescriptor_v8 = set_rnn;
  table->cudnnCreateRNNDataDescriptor = [](cudnnRNNDataDescriptor_t* handle) {
    return create(Kind::data, "cudnnCreateRNNDataDescriptor", handle);
  };
  table->cudnnDestroyRNNDataDescriptor = [](cudnnRNNDataDescriptor_t handle) {
    return destroy(Kind::data, "cudnnDestroyRNNDataDescriptor", handle);
  };
  table->cudnnSetRNNDataDescriptor = set_data;
  table->cudnnGetRNNWeightSpaceSize = weight_space_size;
  table->cudnnGetRNNWeightParams = weight_params;
  table->cudnnGetRNNTempSpaceSizes = temp_space;
  table->cudnnRNNForward = forward;
  table->cudnnRNNBackwardData_v8 = backward_data;
  table->cudnnRNNBackwardWeights_v8 = backward_weights;
}

}  // namespace lt::cuda::fake
