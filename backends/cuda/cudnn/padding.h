// Channels in whole 16 bytes, as tensor cores read them: how many, and the copies to and from such memory. Any thread in
// set-up; copies are put on the launcher's stream.
#pragma once

#include <cstdint>

#include "backends/cuda/kernel.h"

namespace lt::cuda {

// As many as asked for where products are of floats as they are: those need none.
uint32_t padded_channels(uint32_t channels, Precision precision);

// A matrix of [rows][channels] of one type.
struct ChannelRows {
  void* data = nullptr;
  uint64_t rows = 0;
  uint32_t channels = 0;
};

// to = from, with zeros in its further channels and rows; to.channels fill whole 16 bytes.
Status enqueue_pad_channels(const Launcher& launcher, DType type, const ChannelRows& from, const ChannelRows& to);
// to = the first rows and channels of from, added to where `accumulate`, for floats alone: from bfloat16 where from_type
// is.
Status enqueue_unpad_channels(const Launcher& launcher, DType from_type, const ChannelRows& from, DType to_type,
                              const ChannelRows& to, bool accumulate);

}  // namespace lt::cuda
