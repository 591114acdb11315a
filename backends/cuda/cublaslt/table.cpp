// Fills the table and opens the library's handle. Handles belong to the caller; set-up's thread.
#include "backends/cuda/cublaslt/table.h"

namespace lt::cuda {
namespace {

constexpr size_t version_of_major = 10000;  // 130000 is 13.0.0

template <class Function>
bool find(void* (*lookup)(void*, const char*), void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(lookup(library, name));
  return *function != nullptr;
}

}  // namespace

bool fill(CublasLtTable* table, void* (*lookup)(void*, const char*), void* library, const char** missing) {
#define LT_CUBLASLT_FIND(name)                       \
  if (!find(lookup, library, #name, &table->name)) { \
    *missing = #name;                                \
    return false;                                    \
  }
  LT_CUBLASLT_FUNCTIONS(LT_CUBLASLT_FIND)
#undef LT_CUBLASLT_FIND
  return true;
}

Status open_cublaslt(const CublasLtTable& table, void** handle) {
  const size_t version = table.cublasLtGetVersion();
  if (version / version_of_major != CUBLAS_VER_MAJOR)
    return fail(Status::device, "cuBLASLt: the library is version %zu.%zu, but this program was built for version %d",
                version / version_of_major, version % version_of_major / 100, CUBLAS_VER_MAJOR);
  cublasLtHandle_t made = nullptr;
  const cublasStatus_t result = table.cublasLtCreate(&made);
  if (result != CUBLAS_STATUS_SUCCESS) return check(table, result, "cublasLtCreate");
  *handle = made;
  return Status::ok;
}

void close_cublaslt(const CublasLtTable& table, void* handle) {
  if (handle != nullptr) (void)table.cublasLtDestroy(static_cast<cublasLtHandle_t>(handle));
}

Status check(const CublasLtTable& table, cublasStatus_t result, const char* what) {
  if (result == CUBLAS_STATUS_SUCCESS) return Status::ok;
  const Status status = result == CUBLAS_STATUS_ALLOC_FAILED    ? Status::memory
                        : result == CUBLAS_STATUS_NOT_SUPPORTED ? Status::unsupported
                                                                : Status::device;
  return fail(status, "cuBLASLt: %s: %s, %s", what, table.cublasLtGetStatusName(result),
              table.cublasLtGetStatusString(result));
}

}  // namespace lt::cuda
