// The reference device: plain loops, sums in double, one thread. It is the oracle of the tests of every other device, and
// runs anywhere. Nothing here is made for speed; what it computes is what src/op.h says, part by part.
#pragma once

#include "src/backend.h"

namespace lt::reference {

extern const Backend backend;

}  // namespace lt::reference
