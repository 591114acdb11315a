// Recurrent layers of the fake cuDNN: descriptors and the block of weights.
#include <cstring>
#include <map>

#include "tests/cuda/fake.h"
#include "tests/cuda/fake_cudnn_rnn_parts.h"

namespace lt::cuda::fake {
namespace {

std::map<const void*, RnnObject> objects;

RnnObject* find(const void* handle, RnnKind kind) {
  const auto found = objects.find(handle);
  return found == objects.end() || found->second.kind != kind ? nullptr : &found->second;
}
template <class T>
cudnnStatus_t create(RnnKind kind, const char* function, T* handle) {
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
  auto* const address = new char;
  objects[address].kind = kind;
  count_object(1);
  *handle = reinterpret_cast<T>(address);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t destroy(RnnKind kind, const char* function, const void* handle) {
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
  RnnObject* const object = find(handle, RnnKind::tensor);
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
  RnnObject* const object = find(handle, RnnKind::dropout);
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
  RnnObject* const object = find(handle, RnnKind::rnn);
  if (object == nullptr) return refuse(CUDNN_STATUS_BAD_PARAM, function, "the descriptor is not alive");
  if (use_rnn_object(dropout, RnnKind::dropout, function) == nullptr) return CUDNN_STATUS_BAD_PARAM;
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
  RnnObject* const object = find(handle, RnnKind::data);
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

cudnnStatus_t weight_space_size(cudnnHandle_t library, cudnnRNNDescriptor_t handle, size_t* bytes) {
  const char* const function = "cudnnGetRNNWeightSpaceSize";
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR;
  const RnnObject* const rnn = use_rnn_object(handle, RnnKind::rnn, function);
  if (rnn == nullptr || !is_handle(library)) return CUDNN_STATUS_BAD_PARAM;
  *bytes = RnnBlock(rnn->op).bytes();
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t weight_params(cudnnHandle_t library, cudnnRNNDescriptor_t handle, int32_t direction, size_t bytes,
                            const void* weights, int32_t layer, cudnnTensorDescriptor_t matrix_handle, void** matrix,
                            cudnnTensorDescriptor_t bias_handle, void** bias) {
  const char* const function = "cudnnGetRNNWeightParams";
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR;
  const RnnObject* const rnn = use_rnn_object(handle, RnnKind::rnn, function);
  if (rnn == nullptr || !is_handle(library) || find(matrix_handle, RnnKind::tensor) == nullptr ||
      find(bias_handle, RnnKind::tensor) == nullptr)
    return CUDNN_STATUS_BAD_PARAM;
  const RnnBlock block(rnn->op);
  if (bytes != block.bytes() || weights == nullptr || direction < 0 ||
      direction >= static_cast<int32_t>(rnn->op.directions) || layer < 0 || layer >= static_cast<int32_t>(block.layers()))
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "no such weight");
  auto* const first = static_cast<float*>(const_cast<void*>(weights));
  *matrix = first + block.matrix(static_cast<uint32_t>(direction), static_cast<uint32_t>(layer)).first;
  const RnnPlace* const place = block.bias(static_cast<uint32_t>(direction), static_cast<uint32_t>(layer));
  *bias = place == nullptr ? nullptr : first + place->first;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t temp_space(cudnnHandle_t library, cudnnRNNDescriptor_t handle, cudnnForwardMode_t mode,
                         cudnnRNNDataDescriptor_t x_handle, size_t* workspace, size_t* reserve) {
  const char* const function = "cudnnGetRNNTempSpaceSizes";
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR;
  const RnnObject *const rnn = use_rnn_object(handle, RnnKind::rnn, function), *const x = use_rnn_object(
                                                                                   x_handle, RnnKind::data, function);
  if (rnn == nullptr || x == nullptr || !is_handle(library)) return CUDNN_STATUS_BAD_PARAM;
  if (x->features != static_cast<int>(rnn->op.x_extent.channels))
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "other features than the layer's");
  const bool training = mode == CUDNN_FWD_MODE_TRAINING;
  *workspace = training ? 2 * rnn_workspace_bytes : rnn_workspace_bytes;
  *reserve = training ? saved_bytes(op_of(*rnn, *x), static_cast<uint32_t>(x->samples)) + parameter_floats(rnn->op) * 4 : 0;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

const RnnObject* use_rnn_object(const void* handle, RnnKind kind, const char* function) {
  const RnnObject* const object = find(handle, kind);
  if (object != nullptr && object->is_set) return object;
  complain("%s: a descriptor is not alive, not set or of another kind", function);
  return nullptr;
}

void fill_rnn(CudnnTable* table) {
  table->cudnnCreateTensorDescriptor = [](cudnnTensorDescriptor_t* handle) {
    return create(RnnKind::tensor, "cudnnCreateTensorDescriptor", handle);
  };
  table->cudnnDestroyTensorDescriptor = [](cudnnTensorDescriptor_t handle) {
    return destroy(RnnKind::tensor, "cudnnDestroyTensorDescriptor", handle);
  };
  table->cudnnSetTensorNdDescriptor = set_tensor;
  table->cudnnCreateDropoutDescriptor = [](cudnnDropoutDescriptor_t* handle) {
    return create(RnnKind::dropout, "cudnnCreateDropoutDescriptor", handle);
  };
  table->cudnnDestroyDropoutDescriptor = [](cudnnDropoutDescriptor_t handle) {
    return destroy(RnnKind::dropout, "cudnnDestroyDropoutDescriptor", handle);
  };
  table->cudnnSetDropoutDescriptor = set_dropout;
  table->cudnnCreateRNNDescriptor = [](cudnnRNNDescriptor_t* handle) {
    return create(RnnKind::rnn, "cudnnCreateRNNDescriptor", handle);
  };
  table->cudnnDestroyRNNDescriptor = [](cudnnRNNDescriptor_t handle) {
    return destroy(RnnKind::rnn, "cudnnDestroyRNNDescriptor", handle);
  };
  table->cudnnSetRNNDescriptor_v8 = set_rnn;
  table->cudnnCreateRNNDataDescriptor = [](cudnnRNNDataDescriptor_t* handle) {
    return create(RnnKind::data, "cudnnCreateRNNDataDescriptor", handle);
  };
  table->cudnnDestroyRNNDataDescriptor = [](cudnnRNNDataDescriptor_t handle) {
    return destroy(RnnKind::data, "cudnnDestroyRNNDataDescriptor", handle);
  };
  table->cudnnSetRNNDataDescriptor = set_data;
  table->cudnnGetRNNWeightSpaceSize = weight_space_size;
  table->cudnnGetRNNWeightParams = weight_params;
  table->cudnnGetRNNTempSpaceSizes = temp_space;
  fill_rnn_passes(table);
}

}  // namespace lt::cuda::fake
