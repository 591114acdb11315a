// See pad.h. Bytes are moved once each way; a block takes pad_block_rows rows, so that places are divided in 32 bits.
#include "backends/cuda/kernels/pad.h"

#include "backends/cuda/kernels/device.h"

namespace lt::cuda {
namespace {

struct alignas(pad_bytes) Words {
  uint32_t word[pad_bytes / sizeof(uint32_t)];
};

LT_DEVICE uint32_t rows_of_block(uint64_t first, uint64_t rows) {
  return rows - first < pad_block_rows ? static_cast<uint32_t>(rows - first) : pad_block_rows;
}

// `Number`: an unsigned type as wide as the numbers, whose zero is zero.
template <class Number>
LT_DEVICE void pad(const PadChannelsArguments& a) {
  constexpr uint32_t in_group = pad_bytes / sizeof(Number);
  const uint64_t first = uint64_t{blockIdx.x} * pad_block_rows;
  const uint32_t groups = a.to_channels / in_group;
  const Number* from = static_cast<const Number*>(a.from) + first * a.from_channels;
  Words* to = static_cast<Words*>(a.to) + first * groups;
  const uint32_t all = rows_of_block(first, a.to_rows) * groups;
  for (uint32_t i = threadIdx.x; i < all; i += blockDim.x) {
    const uint32_t row = i / groups, channel = (i - row * groups) * in_group;
    const bool exists = first + row < a.from_rows;
    Words words = {};
    LT_UNROLL
    for (uint32_t k = 0; k < in_group; ++k)
      if (exists && channel + k < a.from_channels) {
        const uint32_t bits = from[uint64_t{row} * a.from_channels + channel + k];
        words.word[k * sizeof(Number) / sizeof(uint32_t)] |= bits << k * sizeof(Number) * 8 % 32;
      }
    to[i] = words;
  }
}

// to(i) is told the number for element i of the rows without padding.
template <class Number, class To>
LT_DEVICE void unpad(const PadChannelsArguments& a, const To& to) {
  const uint64_t first = uint64_t{blockIdx.x} * pad_block_rows;
  const Number* from = static_cast<const Number*>(a.from) + first * a.from_channels;
  const uint32_t all = rows_of_block(first, a.to_rows) * a.to_channels;
  for (uint32_t i = threadIdx.x; i < all; i += blockDim.x) {
    const uint32_t row = i / a.to_channels, channel = i - row * a.to_channels;
    to(first * a.to_channels + i, from[uint64_t{row} * a.from_channels + channel]);
  }
}

}  // namespace

LT_KERNEL(pad_channels_f32, PadChannelsArguments, pad_threads) { pad<uint32_t>(a); }
LT_KERNEL(pad_channels_bf16, PadChannelsArguments, pad_threads) { pad<uint16_t>(a); }

LT_KERNEL(unpad_channels_f32, PadChannelsArguments, pad_threads) {
  float* to = static_cast<float*>(a.to);
  unpad<float>(a, [&a, to](uint64_t i, float value) { to[i] = a.accumulate != 0 ? to[i] + value : value; });
}

LT_KERNEL(unpad_channels_bf16, PadChannelsArguments, pad_threads) {
  uint16_t* to = static_cast<uint16_t*>(a.to);
  unpad<uint16_t>(a, [to](uint64_t i, uint16_t value) { to[i] = value; });
}

LT_KERNEL(widen_channels, PadChannelsArguments, pad_threads) {
  float* to = static_cast<float*>(a.to);
  unpad<uint16_t>(a, [&a, to](uint64_t i, uint16_t bits) {
    const float value = __uint_as_float(uint32_t{bits} << 16);
    to[i] = a.accumulate != 0 ? to[i] + value : value;
  });
}

}  // namespace lt::cuda
