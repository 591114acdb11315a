// The one structure that the kernels of emulation_kernels.cpp take.
#pragma once

#include <cstdint>

namespace lt::cuda {

struct TestArguments {
  const float* x;
  float* y;
  uint32_t* count;
  uint32_t elements;
};

}  // namespace lt::cuda
