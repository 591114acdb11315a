// The formats that table.cpp lists, each defined in its own file. Constants; any thread may read them.
#pragma once

#include "src/dataset.h"

namespace lt::data {

extern const DatasetFormat mnist;
extern const DatasetFormat synthetic_digits;

}  // namespace lt::data
