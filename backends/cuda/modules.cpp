#include "backends/cuda/modules.h"

#include <cstdio>
#include <cstring>

namespace lt::cuda {

Status Modules::load(const DriverTable& driver) {
  if (module_image_count > most_modules)
    return fail(Status::internal, "%zu kernel modules are embedded, room for %zu", module_image_count, most_modules);
  for (size_t m = 0; m < module_image_count; ++m) {
    const CUresult result = driver.cuModuleLoadData(&modules_[m], module_images[m].image);
    if (result == CUDA_ERROR_NO_BINARY_FOR_GPU)
      return fail(Status::device, "this build has kernels for %s: none that this GPU runs", module_architectures);
    LT_TRY(check(driver, result, "loading the own kernels"));
  }
  for (uint32_t k = 0; k < static_cast<uint32_t>(KernelId::count); ++k) {
    const KernelId id{k};
    CUmodule module = nullptr;
    for (size_t m = 0; m < module_image_count; ++m)
      if (std::strcmp(module_images[m].name, kernel_module(id)) == 0) module = modules_[m];
    if (module == nullptr)
      return fail(Status::internal, "kernel %s: there is no module %s in this build", kernel_name(id), kernel_module(id));
    LT_TRY(check(driver, driver.cuModuleGetFunction(&kernels_.functions[k], module, kernel_name(id)), kernel_name(id)));
  }
  return Status::ok;
}

void Modules::unload(const DriverTable& driver) {
  for (CUmodule& module : modules_) {
    if (module != nullptr) (void)driver.cuModuleUnload(module);
    module = nullptr;
  }
}

}  // namespace lt::cuda
