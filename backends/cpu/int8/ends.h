// The first operation of a program of Precision::int8 and its last. Set-up makes them; see kernel.h.
#pragma once

#include <memory>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::int8 {

std::unique_ptr<Kernel> make_input(const Op& op);
std::unique_ptr<Kernel> make_average_pool(const Op& op, highway::Target target);

}  // namespace lt::cpu::int8
