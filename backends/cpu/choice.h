// Which family of kernels serves an op. `auto` goes by a fixed table that came from measurements, so that every run on
// every machine chooses alike. Called in set-up, from any thread.
#pragma once

#include <memory>
#include <string>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/kernel.h"
#include "src/base/status.h"

namespace lt::cpu {

enum class Family : uint8_t { highway, onednn };

// What --kernels asked for.
enum class KernelChoice : uint8_t { automatic, highway, onednn };

// "auto", "highway", "onednn", or "highway:avx2" and the like: the instruction set too, which is left as it is by the others.
// Fails with a sentence that lists the names where `name` is none of them.
Status parse_kernel_choice(const std::string& name, KernelChoice* choice, highway::Target* target);

// The family that `auto` takes for the op where it has a kernel for it.
Family automatic_family(const Op& op);

// Makes the op's kernel; null with a sentence in last_error() where no family that may be used has one.
std::unique_ptr<Kernel> make_kernel(const Program& program, const KernelRequest& request, KernelChoice choice,
                                    highway::Target target);

// The version of the oneDNN library found on this machine, or null with a sentence in last_error(). Opens it.
const char* onednn_version();

}  // namespace lt::cpu
