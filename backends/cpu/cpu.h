// The CPU as a device: own kernels (highway) and oneDNN's, chosen per op. What it opens belongs to the caller; see
// backend.h.
#pragma once

#include <memory>

#include "backends/cpu/highway/targets.h"
#include "src/backend.h"

namespace lt::cpu {

extern const Backend backend;

// As Backend::open, with an instruction set of one's own where the configuration names none, and more threads than this
// process may use: for tests.
Status open_with(const DeviceConfig& config, highway::Target target, std::unique_ptr<Device>* device);

}  // namespace lt::cpu
