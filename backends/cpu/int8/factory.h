// From an op of a program of Precision::int8 to its kernel, whose products a unit computes and all else a Highway target;
// null with a sentence in last_error() where there is none. Any thread, in set-up.
#pragma once

#include <memory>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/int8/unit.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::int8 {

std::unique_ptr<Kernel> make_kernel(const Program& program, const KernelRequest& request, Unit unit,
                                    highway::Target target);

}  // namespace lt::cpu::int8
