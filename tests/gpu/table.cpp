// The devices of the programs of this folder: the GPU behind the counting table, and those of every build. Also the list of
// devices for the tests of operations (tests/ops/devices.h), which opens none.
#include <iterator>

#include "backends/cpu/cpu.h"
#include "backends/cuda/cuda_backend.h"
#include "backends/reference/reference.h"
#include "tests/gpu/counted_libraries.h"
#include "tests/ops/devices.h"

namespace lt {
namespace {

const Backend counted_cuda = {
    "cuda",
    precision_set(Precision::fp32, Precision::tf32, Precision::bf16),
    [] { return cuda::device_count_of(cuda::counted::libraries); },
    [](uint32_t index, DeviceInfo* info) { cuda::describe_with(cuda::counted::libraries, index, info); },
    [](const DeviceConfig& config, std::unique_ptr<Device>* device) {
      return cuda::open_with(cuda::counted::libraries, config, device);
    },
};

}  // namespace

const Backend* const backend_table[] = {
    &counted_cuda,
    &cpu::backend,
    &reference::backend,
};
const size_t backend_table_size = std::size(backend_table);

namespace ops {

std::vector<DeviceSpec> device_specs() {
  std::vector<DeviceSpec> specs;
  for (const char* kernels : {"own", "cudnn"})
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
      const std::string name = std::string("gpu_") + kernels + "_" + precision_name(precision);
      specs.push_back({name,
                       [kernels, precision](std::unique_ptr<Device>* device) {
                         DeviceConfig config;
                         config.kernels = kernels;
                         config.precision = precision;
                         return counted_cuda.open(config, device);
                       },
                       name, precision});
    }
  return specs;
}

}  // namespace ops
}  // namespace lt
