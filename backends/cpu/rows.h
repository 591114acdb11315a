// Products of sequences: time in front of samples makes every step of every sample a row, and the rows of a run are one
// block, so that a kernel of as many samples serves. Whatever family makes that kernel, it is told of rows and nothing
// else.
#pragma once

#include <functional>
#include <memory>

#include "backends/cpu/kernel.h"

namespace lt::cpu {

using RowsMaker = std::function<std::unique_ptr<Kernel>(const Program& of_rows, const KernelRequest& request)>;

// The kernel of a linear op with rows_per_sample > 1, by `maker`, which is called once with a program whose samples are
// rows and an op with rows_per_sample 1. Null, with a sentence in last_error(), where it gives null or the op drops or has
// more rows than a run may have.
std::unique_ptr<Kernel> make_of_rows(const Program& program, const KernelRequest& request, const RowsMaker& maker);

}  // namespace lt::cpu
