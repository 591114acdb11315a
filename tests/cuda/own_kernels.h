// Own kernels run in the emulation through the makers and helpers of backends/cuda/own, with no driver in between: a launch
// is done when it is made. Tensors are vectors of the exact size, so that AddressSanitizer sees what is read past their
// ends.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backends/cuda/kernel.h"
#include "backends/cuda/kernels/bf16.h"
#include "tests/cuda/emulation/launch.h"

namespace lt::cuda {

// While it lives, grids have no more than so many blocks along y: what a kernel whose blocks go on to further rows is to
// bear.
inline unsigned most_blocks_along_y = 65535;
struct GridLimit {
  explicit GridLimit(unsigned most) { most_blocks_along_y = most; }
  ~GridLimit() { most_blocks_along_y = 65535; }
  GridLimit(const GridLimit&) = delete;
  GridLimit& operator=(const GridLimit&) = delete;
};

inline CUresult launch_in_emulation(CUfunction function, emulation::Grid grid, unsigned threads, unsigned cluster,
                                    unsigned shared_bytes, void** arguments) {
  grid.y = std::min(grid.y, most_blocks_along_y);
  const std::string error = emulation::launch(*reinterpret_cast<const emulation::Kernel*>(function), grid, threads,
                                              shared_bytes, arguments[0], cluster);
  EXPECT_EQ(error, "");
  return error.empty() ? CUDA_SUCCESS : CUDA_ERROR_LAUNCH_FAILED;
}

inline Launcher emulated_launcher() {
  static const DriverTable driver = [] {
    DriverTable table;
    table.cuLaunchKernel = [](CUfunction function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned,
                              unsigned shared_bytes, CUstream, void** arguments, void**) {
      return launch_in_emulation(function, {x, y, z}, threads, 1, shared_bytes, arguments);
    };
    table.cuFuncSetAttribute = [](CUfunction, CUfunction_attribute, int) { return CUDA_SUCCESS; };
    table.cuLaunchKernelEx = [](const CUlaunchConfig* config, CUfunction function, void** arguments, void**) {
      return launch_in_emulation(function, {config->gridDimX, config->gridDimY, config->gridDimZ}, config->blockDimX,
                                 config->attrs->value.clusterDim.x, config->sharedMemBytes, arguments);
    };
    return table;
  }();
  static const KernelTable kernels = [] {
    KernelTable table;
    for (uint32_t k = 0; k < static_cast<uint32_t>(KernelId::count); ++k)
      table.functions[k] =
          reinterpret_cast<CUfunction>(const_cast<emulation::Kernel*>(emulation::find(kernel_name(KernelId{k}))));
    return table;
  }();
  return {&driver, &kernels, nullptr};
}

// A program of one operation and its tensors.
class OwnKernel {
 public:
  // Bytes that start as 0xee: what a kernel should have written and has not is neither 0 nor NaN.
  TensorId add(DType type, uint64_t elements) {
    memory_.emplace_back(new (std::align_val_t{64}) std::byte[std::max<uint64_t>(elements * dtype_bytes(type), 1)]);
    std::memset(memory_.back().get(), 0xee, elements * dtype_bytes(type));
    Tensor tensor;
    tensor.dtype = type;
    tensor.bytes = elements * dtype_bytes(type);
    tensor.offset = reinterpret_cast<uintptr_t>(memory_.back().get()) - reinterpret_cast<uintptr_t>(base());
    program.tensors.push_back(tensor);
    return static_cast<TensorId>(program.tensors.size() - 1);
  }
  TensorId add_bytes(uint64_t bytes) { return add(DType::u8, bytes); }

  Site site() {
    Site s;
    s.launcher = emulated_launcher();
    s.program = &program;
    s.region = base();
    s.state = &state;
    s.samples = s.batch_samples = 1;
    s.training = true;
    return s;
  }
  template <class T>
  T* at(TensorId id) {
    return site().at<T>(id);
  }

  // Of f32 and bf16 tensors.
  std::vector<float> values(TensorId id) {
    const Tensor& t = program.tensors[id];
    std::vector<float> v(t.bytes / dtype_bytes(t.dtype));
    for (size_t i = 0; i < v.size(); ++i) v[i] = t.dtype == DType::bf16 ? to_float(at<Bf16>(id)[i]) : at<float>(id)[i];
    return v;
  }
  // What the tensor then holds: rounded to its type.
  std::vector<float> set(TensorId id, const std::vector<float>& v) {
    for (size_t i = 0; i < v.size(); ++i) {
      if (program.tensors[id].dtype == DType::bf16)
        at<Bf16>(id)[i] = to_bf16(v[i]);
      else
        at<float>(id)[i] = v[i];
    }
    return values(id);
  }
  std::vector<uint8_t> bytes(TensorId id) {
    const uint8_t* first = at<uint8_t>(id);
    return {first, first + program.tensors[id].bytes};
  }
  KernelRequest request(uint32_t micro_batch) {
    KernelRequest r{};
    r.program = &program;
    r.op = &op;
    r.micro_batch = micro_batch;
    r.multiprocessors = 2;
    r.compute_capability = 90;
    return r;
  }
  // Makes the scratch exactly so large.
  void reserve_scratch(uint64_t bytes) {
    program.scratch_offset = program.tensors[add_bytes(bytes)].offset;
    program.scratch_bytes = bytes;
  }

  Program program;
  Op op;
  StepState state;

 private:
  struct Free {
    void operator()(std::byte* memory) const { operator delete[](memory, std::align_val_t{64}); }
  };
  // Offsets are from here on; below all memory, so that they are not negative. The compiler is not to know that nothing is
  // there.
  static std::byte* base() {
    static volatile uintptr_t first = 64;
    return reinterpret_cast<std::byte*>(uintptr_t{first});
  }
  std::deque<std::unique_ptr<std::byte, Free>> memory_;
};

inline std::vector<float> random_values(size_t n, uint32_t seed, float low = -1, float high = 1) {
  std::minstd_rand generator(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> v(n);
  for (float& value : v) value = uniform(generator);
  return v;
}

// Each within `tolerance` of the other, relative where larger than one; NaN where NaN is.
inline void expect_near(const std::vector<float>& actual, const std::vector<float>& expected, double tolerance,
                        const char* what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double a = actual[i], e = expected[i];
    if (std::isnan(a) && std::isnan(e)) continue;
    ASSERT_LE(std::abs(a - e), tolerance * std::max(1.0, std::abs(e)))
        << what << ", element " << i << ": " << a << ", expected " << e;
  }
}

// One rounding apart: of a float, or of a bfloat16 (8 bits of fraction).
inline double rounding_of(DType type) { return type == DType::bf16 ? 0x1p-8 : 2e-7; }

}  // namespace lt::cuda
