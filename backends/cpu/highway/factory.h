// Makes the Highway kernel of any op. Each noun has its maker, all of one signature, in a file of its own; linear.h and
// conv2d.h declare theirs. Called in set-up, from any thread; the kernel belongs to the caller.
#pragma once

#include <memory>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::highway {

// Null where no Highway kernel serves the op; the sentence then lies in last_error().
std::unique_ptr<Kernel> make_kernel(const Program& program, const KernelRequest& request, Target target);

// The kernel of an op of floats (the weight of a linear layer may be bfloat16), which through_float.cpp puts others on.
std::unique_ptr<Kernel> make_float_kernel(const Program& program, const KernelRequest& request, Target target);

std::unique_ptr<Kernel> make_input(const Program&, const KernelRequest&, Target);
std::unique_ptr<Kernel> make_activation(const Program&, const KernelRequest&, Target);
std::unique_ptr<Kernel> make_activation_backward(const Program&, const KernelRequest&, Target);
std::unique_ptr<Kernel> make_average_pool(const Program&, const KernelRequest&, Target);
std::unique_ptr<Kernel> make_softmax_cross_entropy(const Program&, const KernelRequest&, Target);
std::unique_ptr<Kernel> make_ctc(const Program&, const KernelRequest&, Target);
std::unique_ptr<Kernel> make_embedding(const Program&, const KernelRequest&, Target);
std::unique_ptr<Kernel> make_embedding_backward(const Program&, const KernelRequest&, Target);
std::unique_ptr<Kernel> make_embedding_catch_up(const Program&, const KernelRequest&, Target);
std::unique_ptr<Kernel> make_recurrent(const Program&, const KernelRequest&, Target);
std::unique_ptr<Kernel> make_recurrent_backward(const Program&, const KernelRequest&, Target);
std::unique_ptr<Kernel> make_update(const Program&, const KernelRequest&, Target);

}  // namespace lt::cpu::highway
