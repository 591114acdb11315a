// See fake_cublaslt.h. Descriptors are kept in sets, so that a foreign or destroyed one is known.
#include "tests/cuda/fake_cublaslt.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string>

#include "tests/cuda/fake.h"
#include "tests/cuda/fake_numbers.h"

namespace lt::cuda::fake {
namespace {

LtOptions options;

struct Handle {};
struct Desc {
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  int32_t bias_type = -1;
  const void* bias = nullptr;
};
struct Layout {
  cudaDataType type;
  uint64_t rows, columns;
  int64_t ld;
};
struct Preference {
  uint64_t workspace_bytes = 0, implementations = ~uint64_t{0};
  uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
  uint32_t alignment[4] = {256, 256, 256, 256};  // a, b, c, d
};

template <class T>
std::set<const void*>& living() {
  static std::set<const void*> set;
  return set;
}
template <class T, class Opaque>
Opaque born(T* object) {
  living<T>().insert(object);
  count_object(1);
  return reinterpret_cast<Opaque>(object);
}
// The object, or null and a complaint.
template <class T>
T* find(const void* opaque, const char* function, const char* kind) {
  if (living<T>().count(opaque) != 0) return static_cast<T*>(const_cast<void*>(opaque));
  complain("%s: %s is not alive", function, kind);
  return nullptr;
}
template <class T>
cublasStatus_t destroy(const void* opaque, const char* function) {
  T* object = find<T>(opaque, function, "what is destroyed");
  if (object == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  living<T>().erase(object);
  count_object(-1);
  delete object;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t refuse(const char* function, const char* why) {
  complain("%s: %s", function, why);
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t create_handle(cublasLtHandle_t* handle) {
  if (fails("cublasLtCreate")) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = born<Handle, cublasLtHandle_t>(new Handle);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t destroy_handle(cublasLtHandle_t handle) { return destroy<Handle>(handle, "cublasLtDestroy"); }

size_t get_version() { return options.version; }
const char* status_name(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    default: return "CUBLAS_STATUS_EXECUTION_FAILED";
  }
}
const char* status_string(cublasStatus_t) { return "so says the fake"; }

cublasStatus_t create_desc(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute, cudaDataType_t scale) {
  const char* function = "cublasLtMatmulDescCreate";
  if (fails(function)) return CUBLAS_STATUS_ALLOC_FAILED;
  if (scale != CUDA_R_32F) return refuse(function, "only float scales");
  if (compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_PEDANTIC && compute != CUBLAS_COMPUTE_32F_FAST_TF32)
    return refuse(function, "a type of sums that is not float");
  *desc = born<Desc, cublasLtMatmulDesc_t>(new Desc{.compute = compute});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy_desc(cublasLtMatmulDesc_t desc) { return destroy<Desc>(desc, "cublasLtMatmulDescDestroy"); }

template <class T>
cublasStatus_t take(const char* function, const void* value, size_t bytes, T* to) {
  if (value == nullptr || bytes != sizeof(T)) return refuse(function, "the attribute has another size");
  std::memcpy(to, value, sizeof(T));
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t set_desc(cublasLtMatmulDesc_t opaque, cublasLtMatmulDescAttributes_t attribute, const void* value,
                        size_t bytes) {
  const char* function = "cublasLtMatmulDescSetAttribute";
  if (fails(function)) return CUBLAS_STATUS_EXECUTION_FAILED;
  Desc* desc = find<Desc>(opaque, function, "the descriptor");
  if (desc == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return take(function, value, bytes, &desc->transpose_a);
    case CUBLASLT_MATMUL_DESC_TRANSB: return take(function, value, bytes, &desc->transpose_b);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return take(function, value, bytes, &desc->epilogue);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return take(function, value, bytes, &desc->bias_type);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return take(function, value, bytes, &desc->bias);
    default: return refuse(function, "an attribute that the fake does not know");
  }
}

cublasStatus_t create_layout(cublasLtMatrixLayout_t* layout, cudaDataType type, uint64_t rows, uint64_t columns,
                             int64_t ld) {
  const char* function = "cublasLtMatrixLayoutCreate";
  if (fails(function)) return CUBLAS_STATUS_ALLOC_FAILED;
  *layout = born<Layout, cublasLtMatrixLayout_t>(new Layout{type, rows, columns, ld});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy_layout(cublasLtMatrixLayout_t layout) {
  return destroy<Layout>(layout, "cublasLtMatrixLayoutDestroy");
}
cublasStatus_t set_layout(cublasLtMatrixLayout_t opaque, cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                          size_t bytes) {
  const char* function = "cublasLtMatrixLayoutSetAttribute";
  if (fails(function)) return CUBLAS_STATUS_EXECUTION_FAILED;
  Layout* layout = find<Layout>(opaque, function, "the layout");
  if (layout == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_ROWS: return take(function, value, bytes, &layout->rows);
    case CUBLASLT_MATRIX_LAYOUT_COLS: return take(function, value, bytes, &layout->columns);
    case CUBLASLT_MATRIX_LAYOUT_LD: return take(function, value, bytes, &layout->ld);
    default: return refuse(function, "an attribute that the fake does not know");
  }
}

cublasStatus_t create_preference(cublasLtMatmulPreference_t* preference) {
  if (fails("cublasLtMatmulPreferenceCreate")) return CUBLAS_STATUS_ALLOC_FAILED;
  *preference = born<Preference, cublasLtMatmulPreference_t>(new Preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy_preference(cublasLtMatmulPreference_t preference) {
  return destroy<Preference>(preference, "cublasLtMatmulPreferenceDestroy");
}
cublasStatus_t set_preference(cublasLtMatmulPreference_t opaque, cublasLtMatmulPreferenceAttributes_t attribute,
                              const void* value, size_t bytes) {
  const char* function = "cublasLtMatmulPreferenceSetAttribute";
  if (fails(function)) return CUBLAS_STATUS_EXECUTION_FAILED;
  Preference* preference = find<Preference>(opaque, function, "the preference");
  if (preference == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return take(function, value, bytes, &preference->workspace_bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return take(function, value, bytes, &preference->reductions);
    case CUBLASLT_MATMUL_PREF_IMPL_MASK: return take(function, value, bytes, &preference->implementations);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return take(function, value, bytes, &preference->alignment[0]);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return take(function, value, bytes, &preference->alignment[1]);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return take(function, value, bytes, &preference->alignment[2]);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return take(function, value, bytes, &preference->alignment[3]);
    default: return refuse(function, "an attribute that the fake does not know");
  }
}

enum class Factors : uint32_t { as_they_are, tf32 };

// What a product is; kept in the algorithm that the heuristic gives for it.
struct Algorithm {
  uint32_t magic;
  uint32_t alignment;  // of all matrices
  uint32_t workspace_bytes;
  Factors factors;
  uint32_t m, n, k;
  uint32_t kind;  // types, transposes, epilogue
};
constexpr uint32_t algorithm_magic = 0x17a16017;
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

Number number_of(cudaDataType type) { return type == CUDA_R_16BF ? Number::bf16 : Number::f32; }

// Holds descriptors and layouts against each other.
cublasStatus_t pose(const char* function, const Desc& desc, const Layout& a, const Layout& b, const Layout& c,
                    const Layout& d, Algorithm* problem) {
  for (const Layout* layout : {&a, &b, &c, &d}) {
    if (layout->type != CUDA_R_32F && layout->type != CUDA_R_16BF) return refuse(function, "a type that is not served");
    if (layout->rows == 0 || layout->columns == 0) return refuse(function, "a matrix without elements");
    if (layout->ld < 0 || static_cast<uint64_t>(layout->ld) < layout->rows)
      return refuse(function, "a leading dimension below the rows");
  }
  if (c.type != d.type || c.rows != d.rows || c.columns != d.columns || c.ld != d.ld)
    return refuse(function, "C and D are different");
  if (a.type != b.type) return refuse(function, "A and B are of different types");
  if (a.type == CUDA_R_32F && d.type != CUDA_R_32F) return refuse(function, "float factors with another type of D");
  if (a.type == CUDA_R_16BF && desc.compute == CUBLAS_COMPUTE_32F_FAST_TF32)
    return refuse(function, "TF32 with factors in bfloat16");
  const bool ta = desc.transpose_a == CUBLAS_OP_T, tb = desc.transpose_b == CUBLAS_OP_T;
  const uint64_t m = ta ? a.columns : a.rows, k = ta ? a.rows : a.columns;
  const uint64_t k_of_b = tb ? b.columns : b.rows, n = tb ? b.rows : b.columns;
  if (k != k_of_b) return refuse(function, "A and B have different inner dimensions");
  if (m != d.rows || n != d.columns) return refuse(function, "D has another shape than the product");
  const bool bias = desc.epilogue == CUBLASLT_EPILOGUE_BIAS, gradient = desc.epilogue == CUBLASLT_EPILOGUE_BGRADB;
  if (!bias && !gradient && desc.epilogue != CUBLASLT_EPILOGUE_DEFAULT) return refuse(function, "an unknown epilogue");
  if (bias || gradient) {
    if (desc.bias == nullptr) return refuse(function, "an epilogue without its vector");
    if (!is_aligned(desc.bias, 16)) return refuse(function, "a vector that is not aligned to 16 bytes");
    if (!(bias ? options.bias : options.bias_gradient)) return CUBLAS_STATUS_NOT_SUPPORTED;
    // The library's table has no float bias with results in bfloat16.
    const int32_t type = desc.bias_type == -1 ? int32_t{d.type} : desc.bias_type;
    if (type != CUDA_R_32F || d.type != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  *problem = {};
  problem->magic = algorithm_magic;
  problem->m = static_cast<uint32_t>(m);
  problem->n = static_cast<uint32_t>(n);
  problem->k = static_cast<uint32_t>(k);
  problem->kind = (a.type == CUDA_R_16BF ? 1u : 0u) | (d.type == CUDA_R_16BF ? 2u : 0u) | (ta ? 4u : 0u) | (tb ? 8u : 0u) |
                  desc.epilogue << 4;
  return CUBLAS_STATUS_SUCCESS;
}

// Wants parts of long sums in the workspace where it is allowed to, so that callers meet algorithms with and without one.
cublasStatus_t heuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc_, cublasLtMatrixLayout_t a_,
                         cublasLtMatrixLayout_t b_, cublasLtMatrixLayout_t c_, cublasLtMatrixLayout_t d_,
                         cublasLtMatmulPreference_t preference_, int requested, cublasLtMatmulHeuristicResult_t* results,
                         int* count) {
  const char* function = "cublasLtMatmulAlgoGetHeuristic";
  if (fails(function)) return CUBLAS_STATUS_EXECUTION_FAILED;
  const Desc* desc = find<Desc>(desc_, function, "the descriptor");
  const Layout *a = find<Layout>(a_, function, "layout A"), *b = find<Layout>(b_, function, "layout B"),
               *c = find<Layout>(c_, function, "layout C"), *d = find<Layout>(d_, function, "layout D");
  const Preference* preference = find<Preference>(preference_, function, "the preference");
  if (find<Handle>(handle, function, "the handle") == nullptr || desc == nullptr || a == nullptr || b == nullptr ||
      c == nullptr || d == nullptr || preference == nullptr)
    return CUBLAS_STATUS_INVALID_VALUE;
  forbid_in_capture(function);  // it may load
  if (requested < 1 || results == nullptr || count == nullptr) return refuse(function, "no place for a result");
  Algorithm found;
  const cublasStatus_t posed = pose(function, *desc, *a, *b, *c, *d, &found);
  if (posed != CUBLAS_STATUS_SUCCESS) return posed;
  if (!options.any_product) return CUBLAS_STATUS_NOT_SUPPORTED;
  if ((preference->reductions & (CUBLASLT_REDUCTION_SCHEME_INPLACE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE)) != 0)
    complain("%s: parts of sums may come together in D", function);
  // More parts for odd shapes: fewer samples may ask for more than the planned ones.
  const uint64_t parts = uint64_t{found.m} * found.n * sizeof(float) * (found.n % 2 == 0 ? 2 : 6);
  const bool splits = options.workspace && found.k > 64 && parts <= preference->workspace_bytes &&
                      (preference->reductions & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) != 0;
  found.workspace_bytes = splits ? static_cast<uint32_t>(parts) : 0;
  found.alignment = *std::min_element(std::begin(preference->alignment), std::end(preference->alignment));
  // Nothing that keeps it from it: tensor cores.
  const bool tensor_cores = (preference->implementations & CUBLASLT_NUMERICAL_IMPL_FLAGS_TENSOR_OP_MASK) != 0;
  if (a->type == CUDA_R_32F && tensor_cores && desc->compute != CUBLAS_COMPUTE_32F_PEDANTIC) found.factors = Factors::tf32;
  if (a->type == CUDA_R_32F && !tensor_cores && desc->compute == CUBLAS_COMPUTE_32F_FAST_TF32)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  *results = {};
  std::memcpy(&results->algo, &found, sizeof found);
  results->workspaceSize = found.workspace_bytes;
  results->state = CUBLAS_STATUS_SUCCESS;
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}

uint64_t bytes_of(const Layout& layout) {
  return ((layout.columns - 1) * static_cast<uint64_t>(layout.ld) + layout.rows) * number_bytes(number_of(layout.type));
}

// A matrix as the product reads it.
struct Operand {
  const void* data;
  Number number;
  uint64_t ld;
  bool transposed;
  // [outer][k], so that products run along rows. `k_is_column`: k counts the product's columns of this operand.
  std::vector<double> along_k(uint64_t outer, uint64_t k, bool k_is_column, Factors factors) const {
    std::vector<double> values(outer * k);
    for (uint64_t o = 0; o < outer; ++o)
      for (uint64_t i = 0; i < k; ++i) {
        const uint64_t row = k_is_column ? o : i, column = k_is_column ? i : o;
        const float value = load(data, transposed ? row * ld + column : column * ld + row, number);
        values[o * k + i] = static_cast<double>(factors == Factors::tf32 ? round_to_tf32(value) : value);
      }
    return values;
  }
};

// In four sums, of every fourth element each.
double dot(const double* a, const double* b, uint64_t n) {
  double sums[4] = {};
  uint64_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (uint64_t j = 0; j < 4; ++j) sums[j] += a[i + j] * b[i + j];
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  return sums[0] + sums[1] + (sums[2] + sums[3]);
}

struct Work {
  Algorithm algorithm;
  uint32_t epilogue;
  float alpha, beta;
  Operand a, b;
  void* d;
  Number d_number;
  uint64_t d_ld;
  void* vector;
  void* workspace;

  void operator()() const {
    const Algorithm& p = algorithm;
    if (p.workspace_bytes != 0) std::memset(workspace, 0xff, p.workspace_bytes);
    const std::vector<double> a_rows = a.along_k(p.m, p.k, true, p.factors), b_rows = b.along_k(p.n, p.k, false, p.factors);
    for (uint64_t column = 0; column < p.n; ++column)
      for (uint64_t row = 0; row < p.m; ++row) {
        const uint64_t at = column * d_ld + row;
        double value = static_cast<double>(alpha) * dot(a_rows.data() + row * p.k, b_rows.data() + column * p.k, p.k);
        if (beta != 0) value += static_cast<double>(beta) * static_cast<double>(load(d, at, d_number));
        if (epilogue == CUBLASLT_EPILOGUE_BIAS) value += static_cast<double>(static_cast<const float*>(vector)[row]);
        store(d, at, d_number, value);
      }
    if (epilogue != CUBLASLT_EPILOGUE_BGRADB) return;
    const std::vector<double> terms = b.along_k(p.n, p.k, false, Factors::as_they_are);
    for (uint64_t column = 0; column < p.n; ++column) {
      double sum = 0;
      for (uint64_t k = 0; k < p.k; ++k) sum += terms[column * p.k + k];
      static_cast<float*>(vector)[column] = static_cast<float>(sum);
    }
  }
};

cublasStatus_t matmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc_, const void* alpha, const void* a,
                      cublasLtMatrixLayout_t a_, const void* b, cublasLtMatrixLayout_t b_, const void* beta, const void* c,
                      cublasLtMatrixLayout_t c_, void* d, cublasLtMatrixLayout_t d_, const cublasLtMatmulAlgo_t* algo,
                      void* workspace, size_t workspace_bytes, cudaStream_t stream) {
  const char* function = "cublasLtMatmul";
  if (fails(function)) return CUBLAS_STATUS_EXECUTION_FAILED;
  const Desc* desc = find<Desc>(desc_, function, "the descriptor");
  const Layout *a_layout = find<Layout>(a_, function, "layout A"), *b_layout = find<Layout>(b_, function, "layout B"),
               *c_layout = find<Layout>(c_, function, "layout C"), *d_layout = find<Layout>(d_, function, "layout D");
  if (find<Handle>(handle, function, "the handle") == nullptr || desc == nullptr || a_layout == nullptr ||
      b_layout == nullptr || c_layout == nullptr || d_layout == nullptr)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (alpha == nullptr || beta == nullptr || algo == nullptr) return refuse(function, "a null pointer");
  if (stream == nullptr) return refuse(function, "no stream");
  if (c != d) return refuse(function, "C and D are different memory");
  Algorithm posed, chosen;
  std::memcpy(&chosen, algo, sizeof chosen);
  const cublasStatus_t status = pose(function, *desc, *a_layout, *b_layout, *c_layout, *d_layout, &posed);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  if (chosen.magic != algorithm_magic) return refuse(function, "an algorithm that no heuristic gave");
  if (chosen.m != posed.m || chosen.n != posed.n || chosen.k != posed.k || chosen.kind != posed.kind)
    return refuse(function, "an algorithm for another product");
  const struct {
    const char* what;
    const void* data;
    const Layout* layout;
  } matrices[] = {{"A", a, a_layout}, {"B", b, b_layout}, {"D", d, d_layout}};
  for (const auto& matrix : matrices) {
    if (!is_device_range(matrix.data, bytes_of(*matrix.layout)))
      return refuse(function, (std::string(matrix.what) + " does not lie in the device's memory").c_str());
    if (!is_aligned(matrix.data, chosen.alignment))
      return refuse(function, (std::string(matrix.what) + " is less aligned than the heuristic was told").c_str());
  }
  if (workspace_bytes < chosen.workspace_bytes)
    return refuse(function, "the workspace is smaller than the algorithm needs");
  if (chosen.workspace_bytes != 0) {
    if (!is_aligned(workspace, 256)) return refuse(function, "the workspace is not aligned to 256 bytes");
    if (!is_device_range(workspace, workspace_bytes)) return refuse(function, "the workspace is not the device's memory");
    const auto* first = static_cast<const std::byte*>(workspace);
    for (const auto& matrix : matrices) {
      const auto* begin = static_cast<const std::byte*>(matrix.data);
      if (begin < first + workspace_bytes && first < begin + bytes_of(*matrix.layout))
        return refuse(function, "the workspace lies in a matrix");
    }
  }
  float scale[2];
  std::memcpy(&scale[0], alpha, sizeof scale[0]);
  std::memcpy(&scale[1], beta, sizeof scale[1]);
  const bool gradient = desc->epilogue == CUBLASLT_EPILOGUE_BGRADB;
  if (desc->epilogue != CUBLASLT_EPILOGUE_DEFAULT) {
    if (!is_device_range(desc->bias, (gradient ? posed.n : posed.m) * sizeof(float)))
      return refuse(function, "the epilogue's vector is not the device's memory");
    if (gradient && scale[1] != 0) return refuse(function, "a bias gradient beside a product that is added to");
  }
  Work work = {chosen,
               desc->epilogue,
               scale[0],
               scale[1],
               {a, number_of(a_layout->type), static_cast<uint64_t>(a_layout->ld), desc->transpose_a == CUBLAS_OP_T},
               {b, number_of(b_layout->type), static_cast<uint64_t>(b_layout->ld), desc->transpose_b == CUBLAS_OP_T},
               d,
               number_of(d_layout->type),
               static_cast<uint64_t>(d_layout->ld),
               const_cast<void*>(desc->bias),
               workspace};
  enqueue(stream, work, "cublasLtMatmul");
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

LtOptions& lt_options() { return options; }

CublasLtTable cublaslt_table() {
  CublasLtTable table;
  table.cublasLtCreate = create_handle;
  table.cublasLtDestroy = destroy_handle;
  table.cublasLtGetVersion = get_version;
  table.cublasLtGetStatusName = status_name;
  table.cublasLtGetStatusString = status_string;
  table.cublasLtMatmulDescCreate = create_desc;
  table.cublasLtMatmulDescDestroy = destroy_desc;
  table.cublasLtMatmulDescSetAttribute = set_desc;
  table.cublasLtMatrixLayoutCreate = create_layout;
  table.cublasLtMatrixLayoutDestroy = destroy_layout;
  table.cublasLtMatrixLayoutSetAttribute = set_layout;
  table.cublasLtMatmulPreferenceCreate = create_preference;
  table.cublasLtMatmulPreferenceDestroy = destroy_preference;
  table.cublasLtMatmulPreferenceSetAttribute = set_preference;
  table.cublasLtMatmulAlgoGetHeuristic = heuristic;
  table.cublasLtMatmul = matmul;
  return table;
}

void* cublaslt_function(const char* name) {
  const CublasLtTable table = cublaslt_table();
#define LT_FAKE_FIND(function) \
  if (std::strcmp(name, #function) == 0) return reinterpret_cast<void*>(table.function);
  LT_CUBLASLT_FUNCTIONS(LT_FAKE_FIND)
#undef LT_FAKE_FIND
  return nullptr;
}

}  // namespace lt::cuda::fake
