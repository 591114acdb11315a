// What stands for the CUDA backend in a build without it: one device that says why it cannot be used.
#include <cstdio>

#include "src/backend.h"

namespace lt::cuda {
namespace {

constexpr char reason[] = "CUDA support is not built in: " LT_CUDA_MISSING;

uint32_t device_count() { return 1; }

void describe(uint32_t, DeviceInfo* info) {
  *info = DeviceInfo{};
  std::snprintf(info->name, sizeof info->name, "cuda");
  std::snprintf(info->why_not, sizeof info->why_not, "%s", reason);
}

Status open(const DeviceConfig&, std::unique_ptr<Device>*) { return fail(Status::device, "%s", reason); }

}  // namespace

extern const Backend backend;
const Backend backend = {"cuda", ~0u, device_count, describe, open};

}  // namespace lt::cuda
