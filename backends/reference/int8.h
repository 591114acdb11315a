// int8 on the reference device: the arithmetic of src/base/int8.h in plain loops, weights turned into bytes again in every
// run. Called by the executor's thread.
#pragma once

#include "backends/reference/ops.h"

namespace lt::reference {

// Scratch of an operation of an int8 program; Status::unsupported where such programs have no operation of its kind.
Status int8_scratch_bytes(const Op& op, uint64_t* bytes);
void int8_run(const Op& op, const Context& context);

}  // namespace lt::reference
