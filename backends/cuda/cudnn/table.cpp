// Fills the table and opens the library's handle. Handles belong to the caller; set-up's thread.
#include "backends/cuda/cudnn/table.h"

namespace lt::cuda {
namespace {

constexpr size_t version_of_major = 10000, version_of_minor = 100;  // 91900 is 9.19.0

template <class Function>
bool find(void* (*lookup)(void*, const char*), void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(lookup(library, name));
  return *function != nullptr;
}

}  // namespace

bool fill(CudnnTable* table, void* (*lookup)(void*, const char*), void* library, const char** missing) {
#define LT_CUDNN_FIND(name)                          \
  if (!find(lookup, library, #name, &table->name)) { \
    *missing = #name;                                \
    return false;                                    \
  }
  LT_CUDNN_FUNCTIONS(LT_CUDNN_FIND)
#undef LT_CUDNN_FIND
  return true;
}

Status open_cudnn(const CudnnTable& table, void** handle) {
  const size_t version = table.cudnnGetVersion();
  if (version / version_of_major != CUDNN_MAJOR)
    return fail(Status::device, "cuDNN: the library is version %zu.%zu, but this program was built for version %d",
                version / version_of_major, version % version_of_major / version_of_minor, CUDNN_MAJOR);
  cudnnHandle_t made = nullptr;
  LT_TRY(check(table, table.cudnnCreate(&made), "cudnnCreate"));
  *handle = made;
  return Status::ok;
}

void close_cudnn(const CudnnTable& table, void* handle) {
  if (handle != nullptr) (void)table.cudnnDestroy(static_cast<cudnnHandle_t>(handle));
}

Status check(const CudnnTable& table, cudnnStatus_t result, const char* what) {
  if (result == CUDNN_STATUS_SUCCESS) return Status::ok;
  const int category = CUDNN_STATUS_CATEGORY(static_cast<int>(result));
  const Status status = result == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
                                result == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
                            ? Status::memory
                        : category == CUDNN_STATUS_NOT_SUPPORTED ? Status::unsupported
                                                                 : Status::device;
  char detail[256] = "";
  table.cudnnGetLastErrorString(detail, sizeof detail);
  return fail(status, "cuDNN: %s: %s%s%s", what, table.cudnnGetErrorString(result), detail[0] == '\0' ? "" : ": ", detail);
}

}  // namespace lt::cuda
