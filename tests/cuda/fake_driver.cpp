// Memory, context, modules, and kernels of the fake driver; streams and graphs are in fake_streams.cpp.
#include "tests/cuda/fake_driver.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "tests/cuda/emulation/launch.h"
#include "tests/cuda/fake.h"
#include "tests/cuda/fake_cublaslt.h"
#include "tests/cuda/fake_cudnn.h"
#include "tests/cuda/fake_streams.h"

struct CUctx_st {
  int retained = 0;
};
struct CUmod_st {
  const void* image;
};
struct CUfunc_st {
  const emulation::Kernel* kernel;
  bool large_clusters = false;
};

namespace lt::cuda::fake {
namespace {

struct Range {
  uint64_t bytes;
  bool pinned;
};

Machine the_machine;
std::map<std::string, uint64_t> call_counts;
std::map<const std::byte*, Range> ranges;
CUctx_st context;
CUcontext current = nullptr;
std::map<std::string, CUfunc_st> functions;
bool started = false;

// What a kernel gets without cuFuncSetAttribute.
constexpr unsigned most_unasked_shared_bytes = 48 << 10;

CUresult allocate(uint64_t bytes, bool pinned, std::byte** memory) {
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (!pinned && device_bytes_held() + bytes > the_machine.memory_bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  // Exact in size, so that the address sanitizer guards its end; full of NaN.
  void* fresh = nullptr;
  if (posix_memalign(&fresh, 512, bytes) != 0) return CUDA_ERROR_OUT_OF_MEMORY;
  std::memset(fresh, 0xff, bytes);
  *memory = static_cast<std::byte*>(fresh);
  ranges[*memory] = {bytes, pinned};
  count_object(1);
  return CUDA_SUCCESS;
}

CUresult release(const void* memory, bool pinned) {
  const auto found = ranges.find(static_cast<const std::byte*>(memory));
  if (found == ranges.end() || found->second.pinned != pinned) {
    complain("memory at %p is freed that was not allocated so", memory);
    return CUDA_ERROR_INVALID_VALUE;
  }
  finish_all_streams();  // freeing waits for the device
  std::free(const_cast<std::byte*>(found->first));
  ranges.erase(found);
  count_object(-1);
  return CUDA_SUCCESS;
}

const Range* range_of(const void* first, size_t bytes) {
  const auto* const begin = static_cast<const std::byte*>(first);
  auto found = ranges.upper_bound(begin);
  if (found == ranges.begin()) return nullptr;
  --found;
  const auto offset = static_cast<uint64_t>(begin - found->first);
  return offset <= found->second.bytes && bytes <= found->second.bytes - offset ? &found->second : nullptr;
}

// What nearly every function asks first: counted, made to fail, and a context current.
// A release that is made to fail has done its work all the same: what is left behind is then the caller's fault alone.
#define LT_FAKE_RELEASE(name) \
  ++call_counts[#name];       \
  const bool failing = fails(#name)

#define LT_FAKE_ENTRY(name, needs_context)                                                            \
  ++call_counts[#name];                                                                               \
  if (fails(#name)) return CUDA_ERROR_UNKNOWN;                                                        \
  if ((needs_context) && current == nullptr) {                                                        \
    complain("%s is called without a current context", #name);                                        \
    return CUDA_ERROR_INVALID_CONTEXT;                                                                \
  }                                                                                                   \
  if (!started && std::strcmp(#name, "cuDriverGetVersion") != 0 && std::strcmp(#name, "cuInit") != 0) \
  return CUDA_ERROR_NOT_INITIALIZED

CUresult fake_init(unsigned flags) {
  LT_FAKE_ENTRY(cuInit, false);
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (the_machine.devices == 0) return CUDA_ERROR_NO_DEVICE;
  started = true;
  return CUDA_SUCCESS;
}
CUresult fake_driver_get_version(int* version) {
  LT_FAKE_ENTRY(cuDriverGetVersion, false);
  *version = the_machine.driver_version;
  return CUDA_SUCCESS;
}
CUresult fake_device_get_count(int* count) {
  LT_FAKE_ENTRY(cuDeviceGetCount, false);
  *count = the_machine.devices;
  return CUDA_SUCCESS;
}
CUresult fake_device_get(CUdevice* device, int ordinal) {
  LT_FAKE_ENTRY(cuDeviceGet, false);
  if (ordinal < 0 || ordinal >= the_machine.devices) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}
CUresult fake_device_get_name(char* name, int length, CUdevice) {
  LT_FAKE_ENTRY(cuDeviceGetName, false);
  std::snprintf(name, static_cast<size_t>(length), "Fake GPU");
  return CUDA_SUCCESS;
}
CUresult fake_device_get_attribute(int* value, CUdevice_attribute attribute, CUdevice) {
  LT_FAKE_ENTRY(cuDeviceGetAttribute, false);
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = the_machine.compute_capability / 10; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = the_machine.compute_capability % 10; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 132; break;
    default:
      complain("attribute %d is asked for, which the fake does not know", static_cast<int>(attribute));
      return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}
CUresult fake_device_total_mem(size_t* bytes, CUdevice) {
  LT_FAKE_ENTRY(cuDeviceTotalMem, false);
  *bytes = the_machine.memory_bytes;
  return CUDA_SUCCESS;
}
CUresult fake_primary_ctx_retain(CUcontext* result, CUdevice) {
  LT_FAKE_ENTRY(cuDevicePrimaryCtxRetain, false);
  if (the_machine.held_exclusively) return CUDA_ERROR_DEVICE_UNAVAILABLE;
  ++context.retained;
  count_object(1);
  *result = &context;
  return CUDA_SUCCESS;
}
CUresult fake_primary_ctx_release(CUdevice) {
  LT_FAKE_RELEASE(cuDevicePrimaryCtxRelease);
  if (context.retained == 0) {
    complain("the primary context is released more often than retained");
    return CUDA_ERROR_INVALID_CONTEXT;
  }
  count_object(-1);
  if (--context.retained == 0) current = nullptr;
  return failing ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}
CUresult fake_ctx_set_current(CUcontext wanted) {
  LT_FAKE_ENTRY(cuCtxSetCurrent, false);
  if (wanted != &context || context.retained == 0) return CUDA_ERROR_INVALID_CONTEXT;
  current = wanted;
  return CUDA_SUCCESS;
}
CUresult fake_mem_get_info(size_t* free_bytes, size_t* total_bytes) {
  LT_FAKE_ENTRY(cuMemGetInfo, true);
  *total_bytes = the_machine.memory_bytes;
  *free_bytes = the_machine.memory_bytes - device_bytes_held();
  return CUDA_SUCCESS;
}
CUresult fake_get_error_name(CUresult error, const char** name) {
  // Not one that fails: it is asked about failures.
  *name = error == CUDA_ERROR_UNKNOWN         ? "CUDA_ERROR_UNKNOWN"
          : error == CUDA_ERROR_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == CUDA_ERROR_LAUNCH_FAILED ? "CUDA_ERROR_LAUNCH_FAILED"
                                              : "CUDA_ERROR_OTHER";
  return CUDA_SUCCESS;
}
CUresult fake_get_error_string(CUresult, const char** text) {
  *text = "said by the fake driver";
  return CUDA_SUCCESS;
}
CUresult fake_mem_alloc(CUdeviceptr* address, size_t bytes) {
  LT_FAKE_ENTRY(cuMemAlloc, true);
  forbid_in_capture("cuMemAlloc");
  std::byte* memory = nullptr;
  const CUresult result = allocate(bytes, false, &memory);
  if (result == CUDA_SUCCESS) *address = reinterpret_cast<CUdeviceptr>(memory);
  return result;
}
CUresult fake_mem_free(CUdeviceptr address) {
  LT_FAKE_RELEASE(cuMemFree);
  const CUresult result = release(reinterpret_cast<const void*>(address), false);
  return failing ? CUDA_ERROR_UNKNOWN : result;
}
CUresult fake_mem_host_alloc(void** memory, size_t bytes, unsigned) {
  LT_FAKE_ENTRY(cuMemHostAlloc, true);
  forbid_in_capture("cuMemHostAlloc");
  std::byte* fresh = nullptr;
  const CUresult result = allocate(bytes, true, &fresh);
  if (result == CUDA_SUCCESS) *memory = fresh;
  return result;
}
CUresult fake_mem_free_host(void* memory) {
  LT_FAKE_RELEASE(cuMemFreeHost);
  const CUresult result = release(memory, true);
  return failing ? CUDA_ERROR_UNKNOWN : result;
}
CUresult fake_mem_host_get_device_pointer(CUdeviceptr* address, void* memory, unsigned) {
  LT_FAKE_ENTRY(cuMemHostGetDevicePointer, true);
  const Range* range = range_of(memory, 1);
  if (range == nullptr || !range->pinned) return CUDA_ERROR_INVALID_VALUE;
  *address = reinterpret_cast<CUdeviceptr>(memory);
  return CUDA_SUCCESS;
}
CUresult fake_pointer_get_attribute(void* value, CUpointer_attribute attribute, CUdeviceptr address) {
  LT_FAKE_ENTRY(cuPointerGetAttribute, true);
  const Range* range = range_of(reinterpret_cast<const void*>(address), 1);
  if (attribute != CU_POINTER_ATTRIBUTE_MEMORY_TYPE || range == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *static_cast<unsigned*>(value) = range->pinned ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
  return CUDA_SUCCESS;
}

CUresult fake_memcpy_h_to_d(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  LT_FAKE_ENTRY(cuMemcpyHtoDAsync, true);
  auto* const destination = reinterpret_cast<std::byte*>(to);
  if (!is_device_range(destination, bytes)) {
    complain("cuMemcpyHtoDAsync writes %zu bytes outside the device's memory", bytes);
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (range_of(from, bytes) != nullptr) {  // pinned: read when its turn comes
    enqueue(
        stream, [=] { std::memcpy(destination, from, bytes); }, "cuMemcpyHtoDAsync");
  } else {  // pageable: the driver takes a copy before it returns
    const auto copy = std::make_shared<std::string>(static_cast<const char*>(from), bytes);
    enqueue(
        stream, [=] { std::memcpy(destination, copy->data(), bytes); }, "cuMemcpyHtoDAsync");
  }
  return CUDA_SUCCESS;
}
CUresult fake_memcpy_d_to_h(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  LT_FAKE_ENTRY(cuMemcpyDtoHAsync, true);
  const auto* const source = reinterpret_cast<const std::byte*>(from);
  if (!is_device_range(source, bytes)) {
    complain("cuMemcpyDtoHAsync reads %zu bytes outside the device's memory", bytes);
    return CUDA_ERROR_INVALID_VALUE;
  }
  enqueue(
      stream, [=] { std::memcpy(to, source, bytes); }, "cuMemcpyDtoHAsync");
  return CUDA_SUCCESS;
}
CUresult fake_memset(CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream) {
  LT_FAKE_ENTRY(cuMemsetD8Async, true);
  auto* const destination = reinterpret_cast<std::byte*>(to);
  if (!is_device_range(destination, bytes)) {
    complain("cuMemsetD8Async writes %zu bytes outside the device's memory", bytes);
    return CUDA_ERROR_INVALID_VALUE;
  }
  enqueue(
      stream, [=] { std::memset(destination, value, bytes); }, "cuMemsetD8Async");
  return CUDA_SUCCESS;
}

CUresult fake_module_load_data(CUmodule* module, const void* image) {
  LT_FAKE_ENTRY(cuModuleLoadData, true);
  if (image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!the_machine.runs_images) return CUDA_ERROR_NO_BINARY_FOR_GPU;
  *module = new CUmod_st{image};
  count_object(1);
  return CUDA_SUCCESS;
}
CUresult fake_module_unload(CUmodule module) {
  LT_FAKE_RELEASE(cuModuleUnload);
  delete module;
  count_object(-1);
  return failing ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}
CUresult fake_module_get_function(CUfunction* function, CUmodule, const char* name) {
  LT_FAKE_ENTRY(cuModuleGetFunction, true);
  const emulation::Kernel* kernel = emulation::find(name);
  if (kernel == nullptr) {
    complain("kernel %s is in no file", name);
    return CUDA_ERROR_NOT_FOUND;
  }
  *function = &functions.try_emplace(name, CUfunc_st{kernel, false}).first->second;
  return CUDA_SUCCESS;
}
CUresult launch_own(CUfunction function, emulation::Grid grid, unsigned threads, unsigned cluster, unsigned shared_bytes,
                    CUstream stream, void** arguments) {
  const emulation::Kernel* const kernel = function->kernel;
  const auto& [x, y, z] = grid;
  if (x == 0 || y == 0 || z == 0 || y > 65535 || z > 65535 || threads == 0 || threads > kernel->max_threads) {
    complain("%s is launched with %u x %u x %u blocks of %u threads", kernel->name, x, y, z, threads);
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (shared_bytes > most_unasked_shared_bytes) {
    complain("%s is launched with %u bytes of shared memory, and has not asked for as many", kernel->name, shared_bytes);
    return CUDA_ERROR_INVALID_VALUE;
  }
  const auto copy = std::make_shared<std::string>(static_cast<const char*>(arguments[0]), kernel->argument_bytes);
  enqueue(
      stream,
      [=] {
        const std::string wrong = emulation::launch(*kernel, grid, threads, shared_bytes, copy->data(), cluster);
        if (!wrong.empty()) {
          complain("%s: %s", kernel->name, wrong.c_str());
          lose_device(true);
        }
      },
      kernel->name);
  return CUDA_SUCCESS;
}
CUresult fake_launch_kernel(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned threads_y,
                            unsigned threads_z, unsigned shared_bytes, CUstream stream, void** arguments, void** extra) {
  LT_FAKE_ENTRY(cuLaunchKernel, true);
  if (function == nullptr || threads_y != 1 || threads_z != 1 || extra != nullptr) return CUDA_ERROR_INVALID_VALUE;
  return launch_own(function, {x, y, z}, threads, 1, shared_bytes, stream, arguments);
}
// With the one attribute that the backend knows: clusters of blocks along x.
CUresult fake_launch_kernel_ex(const CUlaunchConfig* config, CUfunction function, void** arguments, void** extra) {
  LT_FAKE_ENTRY(cuLaunchKernelEx, true);
  if (function == nullptr || config->blockDimY != 1 || config->blockDimZ != 1 || extra != nullptr ||
      config->numAttrs != 1 || config->attrs->id != CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
    return CUDA_ERROR_INVALID_VALUE;
  const auto& cluster = config->attrs->value.clusterDim;
  if (the_machine.compute_capability < 90) {
    complain("%s is launched in clusters, which the device has not", function->kernel->name);
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (cluster.x == 0 || cluster.y != 1 || cluster.z != 1 || config->gridDimX % cluster.x != 0 ||
      cluster.x > (function->large_clusters ? 16 : 8)) {
    complain("%s is launched in clusters of %u blocks", function->kernel->name, cluster.x);
    return CUDA_ERROR_INVALID_CLUSTER_SIZE;
  }
  return launch_own(function, {config->gridDimX, config->gridDimY, config->gridDimZ}, config->blockDimX, cluster.x,
                    config->sharedMemBytes, config->hStream, arguments);
}
CUresult fake_func_set_attribute(CUfunction function, CUfunction_attribute attribute, int value) {
  LT_FAKE_ENTRY(cuFuncSetAttribute, true);
  if (function == nullptr || attribute != CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED)
    return CUDA_ERROR_INVALID_VALUE;
  function->large_clusters = value != 0;
  return CUDA_SUCCESS;
}

DriverTable make_table() {
  DriverTable table;
  table.cuInit = fake_init;
  table.cuDriverGetVersion = fake_driver_get_version;
  table.cuDeviceGetCount = fake_device_get_count;
  table.cuDeviceGet = fake_device_get;
  table.cuDeviceGetName = fake_device_get_name;
  table.cuDeviceGetAttribute = fake_device_get_attribute;
  table.cuDeviceTotalMem = fake_device_total_mem;
  table.cuDevicePrimaryCtxRetain = fake_primary_ctx_retain;
  table.cuDevicePrimaryCtxRelease = fake_primary_ctx_release;
  table.cuCtxSetCurrent = fake_ctx_set_current;
  table.cuMemGetInfo = fake_mem_get_info;
  table.cuGetErrorName = fake_get_error_name;
  table.cuGetErrorString = fake_get_error_string;
  table.cuMemAlloc = fake_mem_alloc;
  table.cuMemFree = fake_mem_free;
  table.cuMemHostAlloc = fake_mem_host_alloc;
  table.cuMemFreeHost = fake_mem_free_host;
  table.cuMemHostGetDevicePointer = fake_mem_host_get_device_pointer;
  table.cuPointerGetAttribute = fake_pointer_get_attribute;
  table.cuMemcpyHtoDAsync = fake_memcpy_h_to_d;
  table.cuMemcpyDtoHAsync = fake_memcpy_d_to_h;
  table.cuMemsetD8Async = fake_memset;
  table.cuModuleLoadData = fake_module_load_data;
  table.cuModuleUnload = fake_module_unload;
  table.cuModuleGetFunction = fake_module_get_function;
  table.cuFuncSetAttribute = fake_func_set_attribute;
  table.cuLaunchKernel = fake_launch_kernel;
  table.cuLaunchKernelEx = fake_launch_kernel_ex;
  fill_streams(&table);
  return table;
}

Status source_of(const char* missing) { return missing == nullptr ? Status::ok : fail(Status::device, "%s", missing); }

}  // namespace

Machine& machine() { return the_machine; }

uint64_t calls_of(const char* driver_function) {
  const auto found = call_counts.find(driver_function);
  return found == call_counts.end() ? 0 : found->second;
}
void reset_calls() { call_counts.clear(); }
void count_call(const char* driver_function) { ++call_counts[driver_function]; }
bool has_context() { return current != nullptr; }

uint64_t device_bytes_held() {
  uint64_t bytes = 0;
  for (const auto& [address, range] : ranges) bytes += range.pinned ? 0 : range.bytes;
  return bytes;
}
uint64_t pinned_bytes_held() {
  uint64_t bytes = 0;
  for (const auto& [address, range] : ranges) bytes += range.pinned ? range.bytes : 0;
  return bytes;
}

bool is_device_range(const void* first, size_t bytes) { return range_of(first, bytes) != nullptr; }

void reset() {
  fail_call(0);
  lose_device(false);
  the_machine = {};
  reset_calls();
  if (!ranges.empty()) complain("%zu allocations are still held", ranges.size());
  if (context.retained != 0) complain("the primary context is still retained");
}

const DriverTable& driver_table() {
  static const DriverTable table = make_table();
  return table;
}

const LibrarySource libraries = {
    [](const DriverTable** table) {
      *table = &driver_table();
      return source_of(the_machine.no_driver);
    },
    [](const CudnnTable** table) {
      static const auto filled = cudnn_table();
      *table = &filled;
      return source_of(the_machine.no_cudnn);
    },
    [](const CublasLtTable** table) {
      static const auto filled = cublaslt_table();
      *table = &filled;
      return source_of(the_machine.no_cublaslt);
    },
};

}  // namespace lt::cuda::fake
