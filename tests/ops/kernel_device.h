// A device made of CPU kernels alone: any maker of kernels (a family, one of its instruction sets) on any number of
// threads, past what a user can ask the CPU device for. An executor owns its kernels and its pool.
#pragma once

#include <functional>
#include <memory>

#include "backends/cpu/kernel.h"
#include "src/backend.h"

namespace lt::ops {

// Null where it has no kernel; the sentence lies in last_error().
using KernelMaker = std::function<std::unique_ptr<cpu::Kernel>(const Program&, const cpu::KernelRequest&)>;

std::unique_ptr<Device> kernel_device(KernelMaker maker, uint32_t threads);

}  // namespace lt::ops
