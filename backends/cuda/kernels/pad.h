// Kernels that give pixels and filters as many channels as fill whole 16 bytes, for a library, and take them away again.
#pragma once

#include <cstdint>

// K(module, kernel, Arguments)
#define LT_CUDA_PAD_KERNELS(K)                      \
  K(pad, pad_channels_f32, PadChannelsArguments)    \
  K(pad, pad_channels_bf16, PadChannelsArguments)   \
  K(pad, unpad_channels_f32, PadChannelsArguments)  \
  K(pad, unpad_channels_bf16, PadChannelsArguments) \
  K(pad, widen_channels, PadChannelsArguments)

namespace lt::cuda {

inline constexpr uint32_t pad_threads = 256;
inline constexpr uint32_t pad_block_rows = 64;  // that a block copies
inline constexpr uint32_t pad_bytes = 16;       // a padded row is a multiple of these

// pad_...: to[row][to_channels] = from[row][from_channels], and 0 in the further channels and in the rows from from_rows
// on. unpad_...: to[row][to_channels] = the first of from[row][from_channels]; widen_channels makes floats of bfloat16.
// These two add to what is there where `accumulate`, of floats alone.
struct PadChannelsArguments {
  const void* from;
  void* to;
  uint64_t from_rows, to_rows;
  uint32_t from_channels, to_channels;
  uint32_t accumulate;
};

}  // namespace lt::cuda
