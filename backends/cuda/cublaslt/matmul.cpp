// Descriptors, heuristics and calls of cuBLASLt's matrix product. See matmul.h for memory and threads.
#include "backends/cuda/cublaslt/matmul.h"

#include <cstdio>

namespace lt::cuda {
namespace {

// What NVIDIA recommends for Hopper; algorithms that take more are rare and gain little.
constexpr uint64_t workspace_cap_bytes = uint64_t{32} << 20;

// For the heuristic, which reads the alignment of a vector's address alone.
alignas(tensor_alignment) constexpr float some_vector = 0;

cudaDataType data_type(DType type) { return type == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

}  // namespace

LtMatmul::LtMatmul(const KernelRequest& request, const LtProduct& product)
    : table_(*request.libraries.cublaslt),
      handle_(static_cast<cublasLtHandle_t>(request.libraries.cublaslt_handle)),
      product_(product) {}

LtMatmul::~LtMatmul() {
  if (preference_ != nullptr) (void)table_.cublasLtMatmulPreferenceDestroy(preference_);
  for (const cublasLtMatrixLayout_t layout : {a_, b_, d_})
    if (layout != nullptr) (void)table_.cublasLtMatrixLayoutDestroy(layout);
  if (desc_ != nullptr) (void)table_.cublasLtMatmulDescDestroy(desc_);
}

Status LtMatmul::checked(cublasStatus_t result, const char* function) const {
  if (result == CUBLAS_STATUS_SUCCESS) return Status::ok;
  char what[160];
  std::snprintf(what, sizeof what, "%s: %s", product_.what, function);
  return check(table_, result, what);
}

Status LtMatmul::make(const KernelRequest& request, const LtProduct& product, std::unique_ptr<LtMatmul>* matmul) {
  std::unique_ptr<LtMatmul> made(new LtMatmul(request, product));
  made->samples_ = request.micro_batch;
  LT_TRY(made->create(request.precision));
  Algorithm& algorithm = made->algorithms_[0];
  LT_TRY(made->ask(request.micro_batch, workspace_cap_bytes, &algorithm));
  made->workspace_bytes_ = algorithm.workspace_bytes;
  *matmul = std::move(made);
  return Status::ok;
}

Status LtMatmul::create_layout(const LtMatrix& matrix, uint32_t samples, cublasLtMatrixLayout_t* layout) {
  const uint64_t columns = matrix.per_sample ? samples : matrix.columns;
  return checked(table_.cublasLtMatrixLayoutCreate(layout, data_type(matrix.type), matrix.rows, columns,
                                                   static_cast<int64_t>(matrix.rows)),
                 "cublasLtMatrixLayoutCreate");
}

Status LtMatmul::create(Precision precision) {
  const cublasComputeType_t compute = precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  LT_TRY(checked(table_.cublasLtMatmulDescCreate(&desc_, compute, CUDA_R_32F), "cublasLtMatmulDescCreate"));
  const auto set = [this](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
    return checked(table_.cublasLtMatmulDescSetAttribute(desc_, attribute, &value, sizeof value),
                   "cublasLtMatmulDescSetAttribute");
  };
  const auto operation = [](bool transpose) { return int32_t{transpose ? CUBLAS_OP_T : CUBLAS_OP_N}; };
  LT_TRY(set(CUBLASLT_MATMUL_DESC_TRANSA, operation(product_.transpose_a)));
  LT_TRY(set(CUBLASLT_MATMUL_DESC_TRANSB, operation(product_.transpose_b)));
  if (product_.epilogue != LtEpilogue::none) {
    const uint32_t epilogue = product_.epilogue == LtEpilogue::bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_BGRADB;
    LT_TRY(set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue));
    LT_TRY(set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, int32_t{CUDA_R_32F}));
    LT_TRY(set_vector(&some_vector));
  }
  LT_TRY(create_layout(product_.a, samples_, &a_));
  LT_TRY(create_layout(product_.b, samples_, &b_));
  LT_TRY(create_layout(product_.d, samples_, &d_));

  LT_TRY(checked(table_.cublasLtMatmulPreferenceCreate(&preference_), "cublasLtMatmulPreferenceCreate"));
  const auto prefer = [this](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    return checked(table_.cublasLtMatmulPreferenceSetAttribute(preference_, attribute, &value, sizeof value),
                   "cublasLtMatmulPreferenceSetAttribute");
  };
  // Parts of a sum come together in the workspace, in float and in a fixed order: not in D, nor rounded to its type.
  LT_TRY(prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE}));
  if (precision == Precision::fp32)  // whatever the environment says about emulating float on tensor cores
    LT_TRY(prefer(CUBLASLT_MATMUL_PREF_IMPL_MASK, uint64_t{~CUBLASLT_NUMERICAL_IMPL_FLAGS_TENSOR_OP_MASK}));
  for (const auto attribute : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    LT_TRY(prefer(attribute, static_cast<uint32_t>(tensor_alignment)));
  return Status::ok;
}

Status LtMatmul::set_vector(const void* vector) {
  return checked(table_.cublasLtMatmulDescSetAttribute(desc_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &vector, sizeof vector),
                 "cublasLtMatmulDescSetAttribute");
}

Status LtMatmul::set_samples(uint32_t samples) {
  if (samples == samples_) return Status::ok;
  const uint64_t columns = samples;
  samples_ = 0;  // until all layouts agree
  const LtMatrix* const matrices[] = {&product_.a, &product_.b, &product_.d};
  const cublasLtMatrixLayout_t layouts[] = {a_, b_, d_};
  for (uint32_t i = 0; i < 3; ++i)
    if (matrices[i]->per_sample)
      LT_TRY(checked(
          table_.cublasLtMatrixLayoutSetAttribute(layouts[i], CUBLASLT_MATRIX_LAYOUT_COLS, &columns, sizeof columns),
          "cublasLtMatrixLayoutSetAttribute"));
  samples_ = samples;
  return Status::ok;
}

Status LtMatmul::ask(uint32_t samples, uint64_t workspace_limit_bytes, Algorithm* algorithm) {
  LT_TRY(set_samples(samples));
  LT_TRY(checked(table_.cublasLtMatmulPreferenceSetAttribute(preference_, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                             &workspace_limit_bytes, sizeof workspace_limit_bytes),
                 "cublasLtMatmulPreferenceSetAttribute"));
  cublasLtMatmulHeuristicResult_t result = {};
  int count = 0;
  LT_TRY(checked(table_.cublasLtMatmulAlgoGetHeuristic(handle_, desc_, a_, b_, d_, d_, preference_, 1, &result, &count),
                 "cublasLtMatmulAlgoGetHeuristic"));
  if (count == 0)
    return fail(Status::unsupported, "cuBLASLt: %s: no algorithm for %u samples with a workspace of %llu bytes",
                product_.what, samples, static_cast<unsigned long long>(workspace_limit_bytes));
  LT_TRY(checked(result.state, "cublasLtMatmulAlgoGetHeuristic"));
  *algorithm = {samples, result.algo, result.workspaceSize};
  return Status::ok;
}

Status LtMatmul::find(uint32_t samples, const Algorithm** algorithm) {
  for (const Algorithm& known : algorithms_)
    if (known.samples == samples) {
      *algorithm = &known;
      return set_samples(samples);
    }
  Algorithm found;
  LT_TRY(ask(samples, workspace_bytes_, &found));
  Algorithm& place = algorithms_[next_];
  next_ = next_ + 1 == algorithms_.size() ? 1 : next_ + 1;
  place = found;
  *algorithm = &place;
  return Status::ok;
}

Status LtMatmul::ready(uint32_t samples) {
  const Algorithm* algorithm = nullptr;
  return find(samples, &algorithm);
}

Status LtMatmul::enqueue(uint32_t samples, const void* a, const void* b, void* d, void* vector, bool accumulate,
                         void* workspace, CUstream stream) {
  const Algorithm* algorithm = nullptr;
  LT_TRY(find(samples, &algorithm));
  if (product_.epilogue != LtEpilogue::none) {
    if (accumulate) return fail(Status::internal, "cuBLASLt: %s: an epilogue cannot be added to", product_.what);
    LT_TRY(set_vector(vector));
  }
  const float alpha = 1, beta = accumulate ? 1 : 0;
  return checked(table_.cublasLtMatmul(handle_, desc_, &alpha, a, a_, b, b_, &beta, d, d_, d, d_, &algorithm->algo,
                                       workspace, algorithm->workspace_bytes, stream),
                 "cublasLtMatmul");
}

}  // namespace lt::cuda
