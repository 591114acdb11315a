// Which family of kernels serves an op. `auto` goes by a fixed rule on the op, so that every run on every machine chooses
// alike. Called in set-up.
#pragma once

#include <memory>
#include <string>

#include "backends/cuda/kernel.h"
#include "src/base/status.h"

namespace lt::cuda {

// What --kernels asked for.
enum class KernelChoice : uint8_t { automatic, cudnn, own };

// Fails with a sentence that lists the names where `name` is none of them.
Status parse_kernel_choice(const std::string& name, KernelChoice* choice);
constexpr bool needs_libraries(KernelChoice choice) { return choice != KernelChoice::own; }

// Makes the op's kernel; null with a sentence in last_error() where the family has none.
std::unique_ptr<Kernel> make_kernel(const KernelRequest& request, KernelChoice choice);

}  // namespace lt::cuda
