// See tested_table.h. Opens no device.
#include "tests/cuda/tested_table.h"

#include <iterator>

#include "backends/cpu/cpu.h"
#include "backends/cuda/cuda_backend.h"
#include "backends/reference/reference.h"
#include "src/backend.h"
#include "tests/ops/devices.h"

namespace lt {
namespace {

const Backend tested_cuda = {
    "cuda",
    cuda::precisions,
    [] { return cuda::device_count_of(cuda::tested_libraries()); },
    [](uint32_t index, DeviceInfo* info) { cuda::describe_with(cuda::tested_libraries(), index, info); },
    [](const DeviceConfig& config, std::unique_ptr<Device>* device) {
      return cuda::open_with(cuda::tested_libraries(), config, device);
    },
};

}  // namespace

const Backend* const backend_table[] = {
    &tested_cuda,
    &cpu::backend,
    &reference::backend,
};
const size_t backend_table_size = std::size(backend_table);

namespace ops {
namespace {

DeviceSpec spec_of(const char* kernels, Precision precision) {
  const std::string name = std::string(cuda::tested_name) + "_" + kernels + "_" + precision_name(precision);
  return {name,
          [kernels, precision](std::unique_ptr<Device>* device) {
            DeviceConfig config;
            config.kernels = kernels;
            config.precision = precision;
            return tested_cuda.open(config, device);
          },
          name, precision};
}

}  // namespace

std::vector<DeviceSpec> device_specs() {
  std::vector<DeviceSpec> specs;
  for (const char* kernels : {"own", "cudnn"})
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16})
      specs.push_back(spec_of(kernels, precision));
  return specs;
}

std::vector<DeviceSpec> int8_device_specs() { return {spec_of("own", Precision::int8)}; }

}  // namespace ops
}  // namespace lt
