#include "tests/gpu/counted_libraries.h"

#include <chrono>
#include <cstring>
#include <iterator>
#include <map>

#include "backends/cuda/driver.h"

namespace lt::cuda::counted {
namespace {

#define LT_NAME(name) #name,
constexpr const char* names[] = {LT_CUDA_DRIVER_FUNCTIONS(LT_NAME) "open libcuda", "open cuDNN", "open cuBLASLt"};
#undef LT_NAME
#define LT_PLACE(name) place_##name,
enum Place : size_t { LT_CUDA_DRIVER_FUNCTIONS(LT_PLACE) place_open_driver, place_open_cudnn, place_open_cublaslt, places };
#undef LT_PLACE
static_assert(std::size(names) == places);

Calls calls[places];
DriverTable counted_table, real_table;
std::map<CUdeviceptr, uint64_t> device_blocks;
std::map<void*, uint64_t> pinned_blocks;

class Timer {
 public:
  explicit Timer(size_t place) : place_(place) {
    if (at_call != nullptr) at_call(true);
  }
  ~Timer() {
    if (at_call != nullptr) at_call(false);
    ++calls[place_].count;
    calls[place_].seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 private:
  const size_t place_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

// A function of the driver's type that counts and hands the call on.
template <size_t place, auto entry, class Function>
struct Counter;
template <size_t place, auto entry, class... Arguments>
struct Counter<place, entry, CUresult (*)(Arguments...)> {
  static CUresult call(Arguments... arguments) {
    const Timer timer(place);
    return (real_table.*entry)(arguments...);
  }
};

CUresult mem_alloc(CUdeviceptr* address, size_t bytes) {
  const CUresult result =
      Counter<place_cuMemAlloc, &DriverTable::cuMemAlloc, decltype(real_table.cuMemAlloc)>::call(address, bytes);
  if (result == CUDA_SUCCESS) device_blocks[*address] = bytes;
  return result;
}
CUresult mem_free(CUdeviceptr address) {
  device_blocks.erase(address);
  return Counter<place_cuMemFree, &DriverTable::cuMemFree, decltype(real_table.cuMemFree)>::call(address);
}
CUresult mem_host_alloc(void** block, size_t bytes, unsigned flags) {
  const CUresult result =
      Counter<place_cuMemHostAlloc, &DriverTable::cuMemHostAlloc, decltype(real_table.cuMemHostAlloc)>::call(block, bytes,
                                                                                                             flags);
  if (result == CUDA_SUCCESS) pinned_blocks[*block] = bytes;
  return result;
}
CUresult mem_free_host(void* block) {
  pinned_blocks.erase(block);
  return Counter<place_cuMemFreeHost, &DriverTable::cuMemFreeHost, decltype(real_table.cuMemFreeHost)>::call(block);
}

Status open_driver(const DriverTable** table) {
  const DriverTable* real = nullptr;
  {
    const Timer timer(place_open_driver);
    LT_TRY(gpu_libraries().driver(&real));
  }
  real_table = *real;
#define LT_COUNT(name) counted_table.name = Counter<place_##name, &DriverTable::name, decltype(DriverTable::name)>::call;
  LT_CUDA_DRIVER_FUNCTIONS(LT_COUNT)
#undef LT_COUNT
  counted_table.cuMemAlloc = mem_alloc;
  counted_table.cuMemFree = mem_free;
  counted_table.cuMemHostAlloc = mem_host_alloc;
  counted_table.cuMemFreeHost = mem_free_host;
  *table = &counted_table;
  return Status::ok;
}

Status open_cudnn_library(const CudnnTable** table) {
  const Timer timer(place_open_cudnn);
  return gpu_libraries().cudnn(table);
}

Status open_cublaslt_library(const CublasLtTable** table) {
  const Timer timer(place_open_cublaslt);
  return gpu_libraries().cublaslt(table);
}

template <class Blocks>
uint64_t sum(const Blocks& blocks) {
  uint64_t bytes = 0;
  for (const auto& [address, size] : blocks) bytes += size;
  return bytes;
}

}  // namespace

void (*at_call)(bool begins) = nullptr;
const LibrarySource libraries = {open_driver, open_cudnn_library, open_cublaslt_library};

Calls calls_of(const char* function) {
  for (size_t i = 0; i < places; ++i)
    if (std::strcmp(names[i], function) == 0) return calls[i];
  return {UINT64_MAX, 0};  // a name that is none fails every comparison
}

Calls all_calls() {
  Calls result;
  for (const Calls& entry : calls) {
    result.count += entry.count;
    result.seconds += entry.seconds;
  }
  return result;
}

void for_each(void (*f)(void* user, const char* function, const Calls& calls), void* user) {
  for (size_t i = 0; i < places; ++i)
    if (calls[i].count > 0) f(user, names[i], calls[i]);
}

void reset_calls() {
  for (Calls& entry : calls) entry = {};
}

uint64_t device_bytes_held() { return sum(device_blocks); }
uint64_t pinned_bytes_held() { return sum(pinned_blocks); }

uint64_t device_bytes_free() {
  size_t free_bytes = 0, total_bytes = 0;
  return real_table.cuMemGetInfo(&free_bytes, &total_bytes) == CUDA_SUCCESS ? free_bytes : 0;
}

}  // namespace lt::cuda::counted
