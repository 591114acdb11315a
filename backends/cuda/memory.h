// Memory that set-up takes and that is given back by itself: of the device, and of the host, pinned, where the device
// reaches it. Used with the context entered; both keep it current where they free.
#pragma once

#include <cstddef>

#include "backends/cuda/context.h"

namespace lt::cuda {

class DeviceMemory {
 public:
  DeviceMemory() = default;
  ~DeviceMemory() { free(); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // Contents are undefined. `what` completes "the GPU refused N bytes for ...".
  Status reserve(const Context& context, uint64_t bytes, const char* what);
  void free();
  std::byte* bytes() const { return reinterpret_cast<std::byte*>(address_); }
  uint64_t size() const { return size_; }

 private:
  const Context* context_ = nullptr;
  CUdeviceptr address_ = 0;
  uint64_t size_ = 0;
};

class PinnedMemory {
 public:
  PinnedMemory() = default;
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  Status reserve(const Context& context, uint64_t bytes);
  std::byte* host() const { return host_; }
  std::byte* device() const { return device_; }  // the same memory, as the device addresses it
  bool holds(const void* address) const {
    const auto* byte = static_cast<const std::byte*>(address);
    return host_ != nullptr && byte >= host_ && byte < host_ + size_;
  }

 private:
  const Context* context_ = nullptr;
  std::byte *host_ = nullptr, *device_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace lt::cuda
