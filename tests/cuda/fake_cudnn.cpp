// Descriptors, attributes, engines and calls of the fake cuDNN. See fake_cudnn.h; the graphs' computation is in
// fake_cudnn_graph.cpp.
#include "tests/cuda/fake_cudnn.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <set>
#include <utility>

#include "tests/cuda/fake.h"
#include "tests/cuda/fake_cudnn_attributes.h"
#include "tests/cuda/fake_cudnn_graph.h"
#include "tests/cuda/fake_cudnn_rnn.h"

namespace lt::cuda::fake {
namespace {

CudnnOptions options;
std::vector<std::string> executed;
std::string last_message;

struct Handle {
  cudaStream_t stream = nullptr;
};
std::set<const void*> handles;

struct Value {
  cudnnBackendAttributeType_t type;
  int64_t count;
  std::vector<std::byte> bytes;
};

struct Descriptor {
  cudnnBackendDescriptorType_t type;
  bool finalized = false;
  std::map<int, Value> values;
  // What it comes to, by type.
  CudnnTensor tensor;
  CudnnOperation operation;
  CudnnGraph graph;
  CudnnEngine engine;
  std::vector<CudnnEngine> engines;
};
std::set<const void*> descriptors;

}  // namespace

cudnnStatus_t refuse(cudnnStatus_t status, const char* function, const std::string& why) {
  complain("%s: %s", function, why.c_str());
  last_message = why;
  return status;
}
cudnnStatus_t unsupported(const std::string& why) {
  last_message = why;
  return CUDNN_STATUS_NOT_SUPPORTED;
}
bool is_handle(cudnnHandle_t handle) { return handles.count(handle) != 0; }
cudaStream_t stream_of(cudnnHandle_t handle) {
  return is_handle(handle) ? reinterpret_cast<const Handle*>(handle)->stream : nullptr;
}
void note_executed(const std::string& engine) { executed.push_back(engine); }

namespace {

Descriptor* find(const void* descriptor) {
  return descriptors.count(descriptor) == 0 ? nullptr : static_cast<Descriptor*>(const_cast<void*>(descriptor));
}

template <class T>
T value_of(const Descriptor& descriptor, int name, size_t i = 0) {
  T value = {};
  const auto found = descriptor.values.find(name);
  if (found != descriptor.values.end()) std::memcpy(&value, found->second.bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}
Descriptor* descriptor_of(const Descriptor& descriptor, int name, size_t i = 0) {
  return find(value_of<const void*>(descriptor, name, i));
}

cudnnStatus_t create_descriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* descriptor) {
  const char* function = "cudnnBackendCreateDescriptor";
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
  if (std::none_of(std::begin(attributes), std::end(attributes), [&](const Attribute& a) { return a.descriptor == type; }))
    return refuse(CUDNN_STATUS_NOT_SUPPORTED, function, "a kind of descriptor that the fake does not know");
  auto* made = new Descriptor;
  made->type = type;
  descriptors.insert(made);
  count_object(1);
  *descriptor = made;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t destroy_descriptor(cudnnBackendDescriptor_t opaque) {
  Descriptor* descriptor = find(opaque);
  if (descriptor == nullptr)
    return refuse(CUDNN_STATUS_BAD_PARAM, "cudnnBackendDestroyDescriptor", "the descriptor is not alive");
  descriptors.erase(descriptor);
  count_object(-1);
  delete descriptor;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t set_attribute(cudnnBackendDescriptor_t opaque, cudnnBackendAttributeName_t name,
                            cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  const char* function = "cudnnBackendSetAttribute";
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR;
  Descriptor* descriptor = find(opaque);
  if (descriptor == nullptr) return refuse(CUDNN_STATUS_BAD_PARAM, function, "the descriptor is not alive");
  if (descriptor->finalized) return refuse(CUDNN_STATUS_BAD_PARAM, function, "the descriptor is finalised already");
  const Attribute* attribute = find_attribute(descriptor->type, name);
  if (attribute == nullptr || attribute->presence == given)
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "no attribute that this kind of descriptor can be given");
  if (attribute->type != type) return refuse(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, function, "an attribute's type");
  if (count < attribute->least || count > attribute->most)
    return refuse(CUDNN_STATUS_BAD_PARAM_OUT_OF_BOUND, function, "an attribute's count");
  if (values == nullptr) return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, function, "a null pointer");
  const auto* bytes = static_cast<const std::byte*>(values);
  Value value = {type, count, {bytes, bytes + static_cast<uint64_t>(count) * type_bytes(type)}};
  for (int64_t i = 0; i < count; ++i) {
    void* pointer = nullptr;
    if (type_bytes(type) == sizeof pointer)
      std::memcpy(&pointer, bytes + static_cast<size_t>(i) * sizeof pointer, sizeof pointer);
    if (type == CUDNN_TYPE_HANDLE && handles.count(pointer) == 0)
      return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, function, "the handle is not alive");
    if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) continue;
    const Descriptor* referred = find(pointer);
    if (referred == nullptr) return refuse(CUDNN_STATUS_BAD_PARAM, function, "an attribute's descriptor is not alive");
    if (!referred->finalized)
      return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, function, "an attribute's descriptor is not finalised");
  }
  descriptor->values[name] = std::move(value);
  return CUDNN_STATUS_SUCCESS;
}

std::string finalize_tensor(Descriptor* descriptor) {
  CudnnTensor& tensor = descriptor->tensor;
  const auto type = value_of<cudnnDataType_t>(*descriptor, CUDNN_ATTR_TENSOR_DATA_TYPE);
  if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16) return "a type of numbers that is not served";
  tensor.number = type == CUDNN_DATA_BFLOAT16 ? Number::bf16 : Number::f32;
  tensor.id = value_of<int64_t>(*descriptor, CUDNN_ATTR_TENSOR_UNIQUE_ID);
  tensor.alignment = value_of<int64_t>(*descriptor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
  tensor.is_virtual = value_of<bool>(*descriptor, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
  for (size_t i = 0; i < 4; ++i) {
    tensor.dims[i] = value_of<int64_t>(*descriptor, CUDNN_ATTR_TENSOR_DIMENSIONS, i);
    tensor.strides[i] = value_of<int64_t>(*descriptor, CUDNN_ATTR_TENSOR_STRIDES, i);
    if (tensor.dims[i] < 1 || tensor.strides[i] < 1) return "a tensor without elements";
  }
  if (tensor.alignment < 1 || (tensor.alignment & (tensor.alignment - 1)) != 0) return "an alignment that is none";
  // Channels innermost, no gaps: what the backend means to use.
  const std::array<int64_t, 4>& d = tensor.dims;
  if (tensor.strides != std::array<int64_t, 4>{d[1] * d[2] * d[3], 1, d[1] * d[3], d[1]})
    return "strides of another layout";
  return "";
}

std::string finalize_convolution(Descriptor* descriptor) {
  if (value_of<int64_t>(*descriptor, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS) != 2) return "a convolution that is not flat";
  if (value_of<cudnnDataType_t>(*descriptor, CUDNN_ATTR_CONVOLUTION_COMP_TYPE) != CUDNN_DATA_FLOAT)
    return "sums that are not in float";
  if (value_of<cudnnConvolutionMode_t>(*descriptor, CUDNN_ATTR_CONVOLUTION_CONV_MODE) != CUDNN_CROSS_CORRELATION)
    return "a mirrored filter";
  CudnnOperation& operation = descriptor->operation;
  operation.padding = value_of<int64_t>(*descriptor, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
  operation.stride = value_of<int64_t>(*descriptor, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
  if (operation.padding < 0 || operation.stride < 1) return "a window that is none";
  for (const int name : {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS})
    for (size_t i = 0; i < 2; ++i)
      if (value_of<int64_t>(*descriptor, name, i) != operation.padding) return "different paddings";
  for (size_t i = 0; i < 2; ++i) {
    if (value_of<int64_t>(*descriptor, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, i) != operation.stride)
      return "different strides";
    if (value_of<int64_t>(*descriptor, CUDNN_ATTR_CONVOLUTION_DILATIONS, i) != 1) return "a dilated filter";
  }
  return "";
}

std::string finalize_operation(Descriptor* descriptor) {
  CudnnOperation& operation = descriptor->operation;
  const auto take = [&](int x, int weight, int y, int convolution, int beta, CudnnOperation::Kind kind) -> std::string {
    const Descriptor* description = descriptor_of(*descriptor, convolution);
    const Descriptor *x_of = descriptor_of(*descriptor, x), *weight_of = descriptor_of(*descriptor, weight),
                     *y_of = descriptor_of(*descriptor, y);
    if (description == nullptr || x_of == nullptr || weight_of == nullptr || y_of == nullptr)
      return "a descriptor that is referred to is not alive";
    operation = description->operation;
    operation.kind = kind;
    operation.x = x_of->tensor;
    operation.weight = weight_of->tensor;
    operation.y = y_of->tensor;
    if (value_of<float>(*descriptor, beta) != 0) return "what is there is to be added to, which is not in use";
    return check_operation(operation);
  };
  switch (descriptor->type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
      return take(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CudnnOperation::forward);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
      return take(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CudnnOperation::data_gradient);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
      return take(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, CudnnOperation::weight_gradient);
    default: break;
  }
  const Descriptor *pointwise = descriptor_of(*descriptor, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR),
                   *x = descriptor_of(*descriptor, CUDNN_ATTR_OPERATION_POINTWISE_XDESC),
                   *bias = descriptor_of(*descriptor, CUDNN_ATTR_OPERATION_POINTWISE_BDESC),
                   *y = descriptor_of(*descriptor, CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
  if (pointwise == nullptr || x == nullptr || y == nullptr) return "a descriptor that is referred to is not alive";
  const auto mode = value_of<cudnnPointwiseMode_t>(*pointwise, CUDNN_ATTR_POINTWISE_MODE);
  if (mode != CUDNN_POINTWISE_ADD && mode != CUDNN_POINTWISE_RELU_FWD) return "a mode that the fake does not know";
  operation.kind = mode == CUDNN_POINTWISE_ADD ? CudnnOperation::add : CudnnOperation::relu;
  if ((operation.kind == CudnnOperation::add) != (bias != nullptr)) return "a sum has two terms, ReLU has one";
  operation.x = x->tensor;
  operation.y = y->tensor;
  if (bias != nullptr) operation.bias = bias->tensor;
  operation.keeps_nan =
      value_of<cudnnNanPropagation_t>(*pointwise, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION) == CUDNN_PROPAGATE_NAN;
  return check_operation(operation);
}

// Ones that must not be taken stand before those that may be.
std::vector<CudnnEngine> engines_for(const CudnnGraph& graph, cudnnBackendHeurMode_t mode) {
  const CudnnOperation& convolution = graph.operations[0];
  const Number factors = convolution.sources()[0]->number;
  const bool fused = graph.operations.size() > 1, is_float = factors == Number::f32;
  if (!options.any_engine || (mode == CUDNN_HEUR_MODE_A && !options.heuristic_a)) return {};
  if (!is_float && convolution.kind == CudnnOperation::weight_gradient && convolution.weight.number == Number::f32 &&
      !options.float_weight_gradient)
    return {};
  // Tensor cores read channels by 16 bytes.
  const auto whole = [&](int64_t channels) { return channels * static_cast<int64_t>(number_bytes(factors)) % 16 == 0; };
  const bool aligned = whole(convolution.x.dims[1]) && whole(convolution.y.dims[1]);
  const CudnnEngine tensor_cores = {"tensor cores", {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}, 4096, is_float, false, aligned};
  if (mode == CUDNN_HEUR_MODE_FALLBACK) {
    if (fused) return {};
    if (!is_float) return {{"fallback", {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}, 0, false, false, true}};
    return {{"fallback", {}, 0, false, false, true}};
  }
  CudnnEngine any_order = tensor_cores, half_sums = tensor_cores, down = tensor_cores;
  any_order.name = "tensor cores, any order";
  any_order.notes.push_back(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
  half_sums.notes.push_back(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
  down.notes.push_back(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
  half_sums.name = down.name = "lossy";
  half_sums.loses_digits = down.loses_digits = true;
  std::vector<CudnnEngine> engines = {half_sums, down, any_order, tensor_cores};
  if (fused || !is_float) return engines;  // without tensor cores there are neither
  engines.push_back(
      {"lossy", {CUDNN_NUMERICAL_NOTE_WINOGRAD, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6}, 0, false, true, true});
  engines.push_back({"fma, any order", {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, 512, false, false, true});
  engines.push_back({"greedy", {}, int64_t{1} << 40, false, false, true});
  engines.push_back({"unbuilt", {}, 0, false, false, false});
  engines.push_back({"fma", {}, 1024, false, false, true});
  return engines;
}

cudnnStatus_t finalize(cudnnBackendDescriptor_t opaque) {
  const char* function = "cudnnBackendFinalize";
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR;
  Descriptor* descriptor = find(opaque);
  if (descriptor == nullptr) return refuse(CUDNN_STATUS_BAD_PARAM, function, "the descriptor is not alive");
  if (descriptor->finalized) return refuse(CUDNN_STATUS_BAD_PARAM, function, "the descriptor is finalised already");
  for (const Attribute& attribute : attributes)
    if (attribute.descriptor == static_cast<int>(descriptor->type) && attribute.presence == needed &&
        descriptor->values.count(attribute.name) == 0)
      return refuse(CUDNN_STATUS_BAD_PARAM, function, "attribute " + std::to_string(attribute.name) + " is not set");
  std::string wrong;
  switch (descriptor->type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR: wrong = finalize_tensor(descriptor); break;
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR: wrong = finalize_convolution(descriptor); break;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: wrong = finalize_operation(descriptor); break;
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
      for (int64_t i = 0; i < descriptor->values[CUDNN_ATTR_OPERATIONGRAPH_OPS].count; ++i)
        if (const Descriptor* op = descriptor_of(*descriptor, CUDNN_ATTR_OPERATIONGRAPH_OPS, static_cast<size_t>(i)))
          descriptor->graph.operations.push_back(op->operation);
      (void)descriptor->graph.tensors(&wrong);
      if (wrong.empty() && descriptor->graph.operations.size() > 1 && !options.fusion)
        return unsupported("no such pattern");
      break;
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR: {
      const Descriptor* graph = descriptor_of(*descriptor, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
      if (graph == nullptr) return refuse(CUDNN_STATUS_BAD_PARAM, function, "the graph is not alive");
      descriptor->graph = graph->graph;
      descriptor->engines =
          engines_for(graph->graph, value_of<cudnnBackendHeurMode_t>(*descriptor, CUDNN_ATTR_ENGINEHEUR_MODE));
      break;
    }
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: {
      const Descriptor* configuration = descriptor_of(*descriptor, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
      if (configuration == nullptr) return refuse(CUDNN_STATUS_BAD_PARAM, function, "the configuration is not alive");
      forbid_in_capture("cudnnBackendFinalize of a plan");  // it may compile, load and allocate
      if (!configuration->engine.builds) return unsupported("the engine does not do this");
      descriptor->graph = configuration->graph;
      descriptor->engine = configuration->engine;
      break;
    }
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
      if (descriptor->values[CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS].count !=
          descriptor->values[CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS].count)
        wrong = "as many ids as pointers are needed";
      break;
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR: break;
    default: wrong = "a kind of descriptor that the library finalises itself"; break;
  }
  if (!wrong.empty()) return refuse(CUDNN_STATUS_BAD_PARAM, function, wrong);
  descriptor->finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t get_attribute(cudnnBackendDescriptor_t opaque, cudnnBackendAttributeName_t name,
                            cudnnBackendAttributeType_t type, int64_t requested, int64_t* count, void* values) {
  const char* function = "cudnnBackendGetAttribute";
  if (fails(function)) return CUDNN_STATUS_INTERNAL_ERROR;
  const Descriptor* descriptor = find(opaque);
  if (descriptor == nullptr) return refuse(CUDNN_STATUS_BAD_PARAM, function, "the descriptor is not alive");
  if (!descriptor->finalized)
    return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, function, "the descriptor is not finalised");
  const Attribute* attribute = find_attribute(descriptor->type, name);
  if (attribute == nullptr || attribute->presence != given)
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "no attribute that the fake tells");
  if (attribute->type != type) return refuse(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, function, "an attribute's type");
  if (count == nullptr || (requested > 0 && values == nullptr))
    return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, function, "a null pointer");
  auto* const bytes = static_cast<std::byte*>(values);
  if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) {
    *count = 1;
    if (requested > 0) std::memcpy(bytes, &descriptor->engine.workspace_bytes, sizeof(int64_t));
    return CUDNN_STATUS_SUCCESS;
  }
  if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE) {
    const std::vector<int>& notes = descriptor->engine.notes;
    *count = static_cast<int64_t>(notes.size());
    if (!notes.empty() && requested > 0)
      std::memcpy(bytes, notes.data(), static_cast<size_t>(std::min(*count, requested)) * sizeof(int));
    return CUDNN_STATUS_SUCCESS;
  }
  // Descriptors that the caller made are filled in.
  const bool results = name == CUDNN_ATTR_ENGINEHEUR_RESULTS;
  *count = results ? static_cast<int64_t>(descriptor->engines.size()) : 1;
  for (int64_t i = 0; i < std::min(*count, requested); ++i) {
    void* pointer = nullptr;
    std::memcpy(&pointer, bytes + static_cast<size_t>(i) * sizeof pointer, sizeof pointer);
    Descriptor* to = find(pointer);
    if (to == nullptr || to->finalized ||
        to->type != (results ? CUDNN_BACKEND_ENGINECFG_DESCRIPTOR : CUDNN_BACKEND_ENGINE_DESCRIPTOR))
      return refuse(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, function, "no fresh descriptor of the result's kind");
    to->engine = results ? descriptor->engines[static_cast<size_t>(i)] : descriptor->engine;
    to->graph = descriptor->graph;
    to->finalized = true;
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t execute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan_, cudnnBackendDescriptor_t pack_) {
  const char* function = "cudnnBackendExecute";
  if (fails(function)) return CUDNN_STATUS_EXECUTION_FAILED;
  if (handles.count(handle) == 0) return refuse(CUDNN_STATUS_BAD_PARAM, function, "the handle is not alive");
  const Descriptor *plan = find(plan_), *pack = find(pack_);
  if (plan == nullptr || plan->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR || !plan->finalized)
    return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, function, "no finalised plan");
  if (pack == nullptr || pack->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR || !pack->finalized)
    return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, function, "no finalised pack");
  const auto* owner = reinterpret_cast<const Handle*>(handle);
  if (owner->stream == nullptr) return refuse(CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH, function, "the handle has no stream");
  std::string wrong;
  const std::vector<CudnnTensor> tensors = plan->graph.tensors(&wrong);
  std::map<int64_t, void*> memory;
  const auto count = static_cast<size_t>(pack->values.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).count);
  for (size_t i = 0; i < count; ++i)
    memory[value_of<int64_t>(*pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i)] =
        value_of<void*>(*pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);
  auto* workspace = value_of<std::byte*>(*pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  const auto workspace_bytes = static_cast<uint64_t>(plan->engine.workspace_bytes);
  if (workspace_bytes != 0 && (!is_device_range(workspace, workspace_bytes) || !is_aligned(workspace, 256)))
    return refuse(CUDNN_STATUS_BAD_PARAM, function, "the workspace is not the device's memory, or not aligned");
  const auto overlap = [](const void* a, uint64_t a_bytes, const void* b, uint64_t b_bytes) {
    const auto *first = static_cast<const std::byte*>(a), *second = static_cast<const std::byte*>(b);
    return first < second + b_bytes && second < first + a_bytes;
  };
  const CudnnTensor& result = plan->graph.operations.back().result();
  size_t used = 0;
  for (const CudnnTensor& tensor : tensors) {
    if (tensor.is_virtual) continue;
    const auto found = memory.find(tensor.id);
    const std::string name = "tensor " + std::to_string(tensor.id);
    if (found == memory.end()) return refuse(CUDNN_STATUS_BAD_PARAM, function, name + " has no memory");
    ++used;
    if (!is_device_range(found->second, tensor.bytes()))
      return refuse(CUDNN_STATUS_BAD_PARAM, function, name + " does not lie in the device's memory");
    if (!is_aligned(found->second, static_cast<uint64_t>(tensor.alignment)))
      return refuse(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, function, name + " is less aligned than was said");
    if (workspace_bytes != 0 && overlap(found->second, tensor.bytes(), workspace, workspace_bytes))
      return refuse(CUDNN_STATUS_BAD_PARAM, function, "the workspace lies in " + name);
    if (tensor.id != result.id && memory.count(result.id) != 0 &&
        overlap(found->second, tensor.bytes(), memory.at(result.id), result.bytes()))
      return refuse(CUDNN_STATUS_BAD_PARAM, function, "the result lies in " + name);
  }
  if (used != memory.size()) return refuse(CUDNN_STATUS_BAD_PARAM, function, "memory for a tensor that the graph has not");
  executed.emplace_back(plan->engine.name);
  const CudnnGraph graph = plan->graph;
  const CudnnEngine engine = plan->engine;
  enqueue(
      owner->stream,
      [graph, engine, memory, workspace, workspace_bytes] {
        if (workspace_bytes != 0) std::memset(workspace, 0xff, workspace_bytes);
        compute(graph, engine, memory);
      },
      function);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t create_handle(cudnnHandle_t* handle) {
  if (fails("cudnnCreate")) return CUDNN_STATUS_NOT_INITIALIZED;
  auto* made = new Handle;
  handles.insert(made);
  count_object(1);
  *handle = reinterpret_cast<cudnnHandle_t>(made);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t destroy_handle(cudnnHandle_t handle) {
  if (handles.erase(handle) == 0) return refuse(CUDNN_STATUS_BAD_PARAM, "cudnnDestroy", "the handle is not alive");
  count_object(-1);
  delete reinterpret_cast<Handle*>(handle);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t set_stream(cudnnHandle_t handle, cudaStream_t stream) {
  if (fails("cudnnSetStream")) return CUDNN_STATUS_INTERNAL_ERROR;
  if (handles.count(handle) == 0) return refuse(CUDNN_STATUS_BAD_PARAM, "cudnnSetStream", "the handle is not alive");
  reinterpret_cast<Handle*>(handle)->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
size_t get_version() { return options.version; }
const char* error_string(cudnnStatus_t status) {
  switch (CUDNN_STATUS_CATEGORY(static_cast<int>(status))) {
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_INTERNAL_ERROR: return "CUDNN_STATUS_INTERNAL_ERROR";
    case CUDNN_STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    default: return "CUDNN_STATUS_NOT_INITIALIZED";
  }
}
void last_error_string(char* message, size_t bytes) {
  const size_t length = std::min(bytes - 1, last_message.size());
  std::memcpy(message, last_message.data(), length);
  message[length] = '\0';
  last_message.clear();
}

}  // namespace

CudnnOptions& cudnn_options() { return options; }

std::vector<std::string> take_executed_engines() { return std::exchange(executed, {}); }

CudnnTable cudnn_table() {
  CudnnTable table;
  table.cudnnGetVersion = get_version;
  table.cudnnGetErrorString = error_string;
  table.cudnnGetLastErrorString = last_error_string;
  table.cudnnCreate = create_handle;
  table.cudnnDestroy = destroy_handle;
  table.cudnnSetStream = set_stream;
  table.cudnnBackendCreateDescriptor = create_descriptor;
  table.cudnnBackendDestroyDescriptor = destroy_descriptor;
  table.cudnnBackendSetAttribute = set_attribute;
  table.cudnnBackendGetAttribute = get_attribute;
  table.cudnnBackendFinalize = finalize;
  table.cudnnBackendExecute = execute;
  fill_rnn(&table);
  return table;
}

void* cudnn_function(const char* name) {
  const CudnnTable table = cudnn_table();
#define LT_FAKE_FIND(function) \
  if (std::strcmp(name, #function) == 0) return reinterpret_cast<void*>(table.function);
  LT_CUDNN_FUNCTIONS(LT_FAKE_FIND)
#undef LT_FAKE_FIND
  return nullptr;
}

}  // namespace lt::cuda::fake
