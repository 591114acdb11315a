// Products of sequences: time in front of samples makes every step of every sample a row, and the rows of a run are one
// block, so that a kernel of as many samples serves. Whatever family makes that kernel, it is told of rows and nothing
// else.
#pragma once

#include <functional>
#include <memory>

#include "backends/cuda/kernel.h"

namespace lt::cuda {

// The kernel of a linear op with rows_per_sample > 1, by `maker`, which is called once with an op of one row a sample and
// as many samples as there are rows. Null, with a sentence in last_error(), where it gives null or the op drops or has more
// rows than a run may have.
std::unique_ptr<Kernel> make_of_rows(const KernelRequest& request,
                                     const std::function<std::unique_ptr<Kernel>(const KernelRequest&)>& maker);

}  // namespace lt::cuda
