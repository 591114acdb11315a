// bf16 on the reference device: an operation's narrow tensors are widened to floats in the scratch, the operation runs on
// those as ever, and what it wrote is rounded back. Sums are double and stay so; each number is rounded where it is stored.
// Called by the executor's thread; allocates when it is made.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/reference/ops.h"

namespace lt::reference {

// Scratch that the operation's widened tensors take, in front of its own. 0 where none is narrow.
uint64_t widened_bytes(const Program& program, const Op& op);

class Widened {
 public:
  explicit Widened(const Program& program) : program_(program) {}
  // The context in which to run the operation: its narrow tensors are floats there.
  Context begin(const Op& op, const Context& context);
  // Rounds what the operation wrote; a weight too, where it holds the update.
  void end(const Op& op, const Context& context);

 private:
  Program program_;  // whose narrow tensors lie in the scratch, for one operation at a time
};

// The copies that an update, or an op that holds one, keeps of the parameters; nothing in fp32.
void round_parameters(const Op& update, const Context& context);

}  // namespace lt::reference
