// The own kernels as nvcc made them, embedded in the program: one image a file of kernels/, with code for each architecture
// that the build names and PTX for newer ones.
#pragma once

#include <cstddef>

#include "backends/cuda/driver.h"

namespace lt::cuda {

struct ModuleImage {
  const char* name;  // "control"
  const void* image;
};

// Made by the build.
extern const ModuleImage module_images[];
extern const size_t module_image_count;
extern const char module_architectures[];  // "sm_80, sm_90a and PTX of compute_90"

const char* kernel_module(KernelId id);

// The modules of one context, with the functions found in them. Loading needs that context to be current; `unload` too.
class Modules {
 public:
  Status load(const DriverTable& driver);
  void unload(const DriverTable& driver);
  const KernelTable& kernels() const { return kernels_; }

 private:
  static constexpr size_t most_modules = 32;
  CUmodule modules_[most_modules] = {};
  KernelTable kernels_;
};

}  // namespace lt::cuda
