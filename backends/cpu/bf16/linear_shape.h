// What the linear layer's two directions share.
#pragma once

#include <cstdint>

#include "src/op.h"

namespace lt::cpu::bf16 {

struct LinearShape {
  uint32_t in, out;
  bool y_is_float;  // the logits
};

// False, with a sentence in last_error(), where there is no code.
bool linear_shape(const Program& program, const Op& op, LinearShape* shape);

}  // namespace lt::cpu::bf16
