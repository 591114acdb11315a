// The CUDA backend: NVIDIA GPUs of compute capability 8.0 and newer.
#pragma once

#include <memory>
#include <string>

#include "backends/cuda/libraries.h"
#include "src/backend.h"

namespace lt::cuda {

extern const Backend backend;
inline constexpr uint32_t precisions = precision_set(Precision::fp32, Precision::tf32, Precision::bf16, Precision::int8);

// What the backend's functions do, on libraries of the caller's: tests open devices on fakes.
uint32_t device_count_of(const LibrarySource& libraries);
void describe_with(const LibrarySource& libraries, uint32_t index, DeviceInfo* info);
Status open_with(const LibrarySource& libraries, const DeviceConfig& config, std::unique_ptr<Device>* device);

}  // namespace lt::cuda
