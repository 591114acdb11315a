// Descriptors of tensors, operations and graph, the choice of an engine, and the call. See graph.h for memory and threads.
#include "backends/cuda/cudnn/graph.h"

#include <algorithm>
#include <cstdio>

namespace lt::cuda {
namespace {

// Names of tensors within a graph; from id_between on, of those that never lie in memory.
enum Id : int64_t { id_x = 1, id_weight, id_z, id_residual, id_bias, id_between };

// What the library's documentation asks of every tensor.
constexpr int64_t tensor_alignment_bytes = 16;
constexpr int64_t most_configurations = 64;

cudnnDataType_t data_type(DType type) { return type == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT; }

int64_t whole(uint32_t number) { return int64_t{number}; }

}  // namespace

// `dims` are batch, channels, height, width (a filter's outputs, inputs, height, width), the order that the library counts
// in; in memory channels are innermost.
Status CudnnPlan::make_tensor(CudnnDescriptor* tensor, int64_t id, DType type, const std::array<int64_t, 4>& dims,
                              bool is_virtual) {
  const std::array<int64_t, 4> strides = {dims[1] * dims[2] * dims[3], 1, dims[1] * dims[3], dims[1]};
  const cudnnDataType_t cudnn_type = data_type(type);
  LT_TRY(tensor->create(*caller_, CUDNN_BACKEND_TENSOR_DESCRIPTOR));
  LT_TRY(tensor->set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &cudnn_type));
  LT_TRY(tensor->set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims.data()));
  LT_TRY(tensor->set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides.data()));
  LT_TRY(tensor->set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id));
  LT_TRY(tensor->set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &tensor_alignment_bytes));
  if (is_virtual) LT_TRY(tensor->set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual));
  return tensor->finalize();
}

Status CudnnPlan::make_convolution(const CudnnConvolution& convolution, const CudnnDescriptor& x,
                                   const CudnnDescriptor& weight, const CudnnDescriptor& z) {
  const Window& window = convolution.window;
  const int64_t dimensions = 2, dilations[] = {1, 1}, strides[] = {whole(window.stride), whole(window.stride)},
                padding[] = {whole(window.padding), whole(window.padding)};
  const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  CudnnDescriptor description;
  LT_TRY(description.create(*caller_, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR));
  LT_TRY(description.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dimensions));
  LT_TRY(description.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums));
  LT_TRY(description.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode));
  LT_TRY(description.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, dimensions, padding));
  LT_TRY(description.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, dimensions, padding));
  LT_TRY(description.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, dimensions, dilations));
  LT_TRY(description.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, dimensions, strides));
  LT_TRY(description.finalize());

  struct Names {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t x, weight, z, description, alpha, beta;
  };
  static constexpr Names all_names[] = {
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};
  const Names& names = all_names[static_cast<size_t>(convolution.pass)];
  const float alpha = 1, beta = 0;
  CudnnDescriptor operation;
  LT_TRY(operation.create(*caller_, names.type));
  LT_TRY(operation.set(names.x, x));
  LT_TRY(operation.set(names.weight, weight));
  LT_TRY(operation.set(names.z, z));
  LT_TRY(operation.set(names.description, description));
  LT_TRY(operation.set(names.alpha, CUDNN_TYPE_FLOAT, 1, &alpha));
  LT_TRY(operation.set(names.beta, CUDNN_TYPE_FLOAT, 1, &beta));
  LT_TRY(operation.finalize());
  operations_.push_back(operation.get());
  parts_.push_back(std::move(description));
  parts_.push_back(std::move(operation));
  return Status::ok;
}

// y = x + summand, or y = relu(x) where there is none.
Status CudnnPlan::make_pointwise(cudnnPointwiseMode_t mode, const CudnnDescriptor& x, const CudnnDescriptor* summand,
                                 const CudnnDescriptor& y) {
  const cudnnDataType_t precision = CUDNN_DATA_FLOAT;
  CudnnDescriptor description, operation;
  LT_TRY(description.create(*caller_, CUDNN_BACKEND_POINTWISE_DESCRIPTOR));
  LT_TRY(description.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode));
  LT_TRY(description.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &precision));
  if (summand == nullptr) {  // a NaN goes through: the loss is to see it
    const cudnnNanPropagation_t propagates = CUDNN_PROPAGATE_NAN;
    LT_TRY(description.set(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &propagates));
  }
  LT_TRY(description.finalize());
  LT_TRY(operation.create(*caller_, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR));
  LT_TRY(operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, description));
  LT_TRY(operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x));
  if (summand != nullptr) LT_TRY(operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *summand));
  LT_TRY(operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y));
  LT_TRY(operation.finalize());
  operations_.push_back(operation.get());
  parts_.push_back(std::move(description));
  parts_.push_back(std::move(operation));
  return Status::ok;
}

Status CudnnPlan::make_graph(const CudnnConvolution& convolution, uint32_t samples) {
  const Extent &x_extent = convolution.x, &z_extent = convolution.z;
  const int64_t kernel = convolution.window.kernel, outputs = z_extent.channels, inputs = x_extent.channels;
  const std::array<int64_t, 4> x_dims = {samples, inputs, x_extent.height, x_extent.width},
                               z_dims = {samples, outputs, z_extent.height, z_extent.width},
                               weight_dims = {outputs, inputs, kernel, kernel}, bias_dims = {1, outputs, 1, 1};
  const auto type_in = [&convolution](CudnnPass pass) {
    return convolution.pass == pass ? convolution.result : convolution.type;
  };
  has_residual_ = convolution.has_residual;
  has_bias_ = convolution.has_bias;
  CudnnDescriptor x, weight, z, residual, bias;
  LT_TRY(make_tensor(&x, id_x, type_in(CudnnPass::data_gradient), x_dims, false));
  LT_TRY(make_tensor(&weight, id_weight, type_in(CudnnPass::weight_gradient), weight_dims, false));
  LT_TRY(make_tensor(&z, id_z, type_in(CudnnPass::forward), z_dims, false));
  // What follows the product, each operation on what the one in front of it gives.
  struct Step {
    cudnnPointwiseMode_t mode;
    const CudnnDescriptor* summand;
    CudnnDescriptor before;
  };
  std::vector<Step> steps;
  if (convolution.has_residual) {
    LT_TRY(make_tensor(&residual, id_residual, convolution.type, z_dims, false));
    steps.push_back({CUDNN_POINTWISE_ADD, &residual, {}});
  }
  if (convolution.has_bias) {
    LT_TRY(make_tensor(&bias, id_bias, DType::f32, bias_dims, false));
    steps.push_back({CUDNN_POINTWISE_ADD, &bias, {}});
  }
  if (convolution.has_relu) steps.push_back({CUDNN_POINTWISE_RELU_FWD, nullptr, {}});
  for (size_t i = 0; i < steps.size(); ++i)
    LT_TRY(make_tensor(&steps[i].before, id_between + static_cast<int64_t>(i), DType::f32, z_dims, true));
  LT_TRY(make_convolution(convolution, x, weight, steps.empty() ? z : steps.front().before));
  for (size_t i = 0; i < steps.size(); ++i)
    LT_TRY(
        make_pointwise(steps[i].mode, steps[i].before, steps[i].summand, i + 1 < steps.size() ? steps[i + 1].before : z));
  for (Step& step : steps) parts_.push_back(std::move(step.before));
  for (CudnnDescriptor* tensor : {&x, &weight, &z, &residual, &bias})
    if (tensor->get() != nullptr) parts_.push_back(std::move(*tensor));

  LT_TRY(graph_.create(*caller_, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR));
  LT_TRY(graph_.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &caller_->handle));
  LT_TRY(graph_.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<int64_t>(operations_.size()),
                    operations_.data()));
  return graph_.finalize();
}

Status CudnnPlan::is_allowed(const CudnnDescriptor& configuration, const CudnnRules& rules, bool* allowed) {
  CudnnDescriptor engine;
  LT_TRY(engine.create(*caller_, CUDNN_BACKEND_ENGINE_DESCRIPTOR));
  cudnnBackendDescriptor_t descriptor = engine.get();
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  int64_t count = 0;
  LT_TRY(configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &descriptor, &count));
  LT_TRY(engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, notes,
                    &count));
  *allowed = std::none_of(notes, notes + std::clamp<int64_t>(count, 0, CUDNN_NUMERICAL_NOTE_TYPE_COUNT), [&](auto note) {
    switch (note) {
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE: return rules.precision == Precision::fp32;  // it would be TF32
      case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC: return rules.deterministic;
      case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
      case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
      // Winograd's larger tiles lose digits that a sum of products keeps; 4 x 4 loses about two bits.
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13: return true;
      default: return false;
    }
  });
  return Status::ok;
}

Status CudnnPlan::take_engine(cudnnBackendHeurMode_t mode, const CudnnRules& rules, bool* taken) {
  CudnnDescriptor heuristic;
  LT_TRY(heuristic.create(*caller_, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR));
  LT_TRY(heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph_));
  LT_TRY(heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode));
  LT_TRY(heuristic.finalize());
  int64_t count = 0;
  LT_TRY(heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr, &count));
  count = std::min(count, most_configurations);
  if (count <= 0) return Status::ok;
  std::vector<CudnnDescriptor> configurations(static_cast<size_t>(count));
  std::vector<cudnnBackendDescriptor_t> descriptors;
  for (CudnnDescriptor& configuration : configurations) {
    LT_TRY(configuration.create(*caller_, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
    descriptors.push_back(configuration.get());
  }
  int64_t found = 0;
  LT_TRY(heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, descriptors.data(), &found));
  for (int64_t i = 0; i < std::min(found, count); ++i) {
    CudnnDescriptor& configuration = configurations[static_cast<size_t>(i)];
    bool allowed = false;
    LT_TRY(is_allowed(configuration, rules, &allowed));
    if (!allowed) continue;
    CudnnDescriptor plan;
    LT_TRY(plan.create(*caller_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR));
    LT_TRY(plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &caller_->handle));
    LT_TRY(plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration));
    const Status status = plan.finalize();
    if (status == Status::unsupported) continue;  // a proposal may turn out not to do
    LT_TRY(status);
    int64_t workspace = 0, one = 0;
    LT_TRY(plan.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &workspace, &one));
    if (workspace < 0 || static_cast<uint64_t>(workspace) > rules.workspace_limit_bytes) continue;
    workspace_bytes_ = static_cast<uint64_t>(workspace);
    configuration_ = std::move(configuration);
    plan_ = std::move(plan);
    *taken = true;
    return Status::ok;
  }
  return Status::ok;
}

Status CudnnPlan::make(const CudnnCaller& caller, const CudnnConvolution& convolution, uint32_t samples,
                       const CudnnRules& rules) {
  caller_ = &caller;
  LT_TRY(make_graph(convolution, samples));
  bool taken = false;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    const Status status = take_engine(mode, rules, &taken);
    if (taken) return status;
    if (status != Status::unsupported) LT_TRY(status);
  }
  return fail(Status::unsupported, "cuDNN: %s: no engine for %u samples keeps the precision within %llu bytes of workspace",
              caller.what, samples, static_cast<unsigned long long>(rules.workspace_limit_bytes));
}

Status CudnnPlan::bind(const Memory& memory) {
  if (pack_.get() != nullptr && memory == bound_) return Status::ok;
  int64_t ids[5] = {id_x, id_weight, id_z}, count = 3;
  void* pointers[5] = {memory.x, memory.weight, memory.z};
  const auto add = [&](int64_t id, void* pointer) {
    ids[count] = id;
    pointers[count++] = pointer;
  };
  if (has_residual_) add(id_residual, memory.residual);
  if (has_bias_) add(id_bias, memory.bias);
  CudnnDescriptor pack;
  LT_TRY(pack.create(*caller_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR));
  LT_TRY(pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids));
  LT_TRY(pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers));
  LT_TRY(pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &memory.workspace));
  LT_TRY(pack.finalize());
  pack_ = std::move(pack);
  bound_ = memory;
  return Status::ok;
}

Status CudnnPlan::enqueue(const Memory& memory, CUstream stream) {
  LT_TRY(bind(memory));
  LT_TRY(caller_->checked(caller_->table->cudnnSetStream(caller_->handle, stream), "cudnnSetStream"));
  return caller_->checked(caller_->table->cudnnBackendExecute(caller_->handle, plan_.get(), pack_.get()),
                          "cudnnBackendExecute");
}

}  // namespace lt::cuda
