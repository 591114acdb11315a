// What a layer trains, as files and users see it, and where an operation has it. Used by the plan alone.
#pragma once

#include <vector>

#include "src/plan/plan.h"

namespace lt {

// The parameters of a joined layer in the order of PyTorch's state dicts, without their tensors; none where it has none.
std::vector<Parameter> layer_parameters(const JoinedLayer& layer);

// Where an op has them, and where their gradients, in the same order.
std::vector<TensorId*> parameter_places(Op* op);
std::vector<TensorId*> gradient_places(Op* op);

}  // namespace lt
