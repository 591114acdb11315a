// The shapes and attributes that every device is held to: odd sizes around the widths of vectors, all windows, and every
// combination of what may be joined to a product.
#pragma once

#include <vector>

#include "tools/selftest/op_fixture.h"

namespace lt::ops {

std::vector<OpCase> all_cases();
// A part of them.
void add_list_cases(std::vector<OpCase>* cases);

}  // namespace lt::ops
