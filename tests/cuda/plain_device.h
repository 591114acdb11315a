// What stands in for the device under the library families' tests: memory that the fakes take for the device's, range by
// range, and a stream whose work is done at once.
#pragma once

#include <cuda.h>

#include <cstddef>

namespace lt::cuda::plain {

void add_device_range(const void* first, size_t bytes);
void remove_device_range(const void* first);
CUstream stream();

}  // namespace lt::cuda::plain
