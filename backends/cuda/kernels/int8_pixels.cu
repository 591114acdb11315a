// Pixels of bytes: the input, planes with a border, pools and the average at a network's end.
#include "backends/cuda/kernels/device.h"
#include "backends/cuda/kernels/int8.h"
#include "backends/cuda/kernels/rows.cuh"
#include "src/base/int8.h"

namespace lt::cuda {

// A thread has four pixels of three channels, else one element.
LT_KERNEL(int8_input, Int8InputArguments, elementwise_threads) {
  LT_SHARED(byte_of, uint8_t[int8_input_channels * byte_values]);
  const float scale_y = a.scales[a.y_place];
  for (uint32_t i = threadIdx.x; i < a.channels * byte_values; i += elementwise_threads) {
    const uint32_t channel = i / byte_values;
    byte_of[i] = input_byte(static_cast<uint8_t>(i % byte_values), a.scale, a.mean[channel], a.deviation[channel], scale_y,
                            static_cast<uint8_t>(a.y_zero));
  }
  __syncthreads();
  constexpr uint32_t four = 4, three = 3;
  const uint32_t elements = a.all_channels * a.pixels;
  const bool fours = a.pixels % four == 0 && a.all_channels == three;
  const uint32_t items = fours ? a.pixels / four : a.channels * a.pixels;
  const RowWalk walk(a.rows);
  for (uint32_t first = walk.first_row(); first < a.rows.rows; first += walk.row_step()) {
    const uint32_t row = first + walk.row_of_block();
    if (row >= a.rows.rows) continue;
    const uint8_t* const x = a.x + uint64_t{row} * elements;
    uint8_t* const y = a.y + uint64_t{row} * elements;
    for (uint32_t item = walk.first_item(); item < items; item += walk.item_step()) {
      if (fours) {
        uint8_t values[four * three];
        LT_UNROLL
        for (uint32_t channel = 0; channel < three; ++channel) {
          const uchar4 raw = *reinterpret_cast<const uchar4*>(x + channel * a.pixels + four * item);
          const uint8_t* const table = byte_of + channel * byte_values;
          values[channel] = table[raw.x];
          values[three + channel] = table[raw.y];
          values[2 * three + channel] = table[raw.z];
          values[3 * three + channel] = table[raw.w];
        }
        LT_UNROLL
        for (uint32_t i = 0; i < four * three; i += four)
          *reinterpret_cast<uchar4*>(y + four * three * item + i) =
              make_uchar4(values[i], values[i + 1], values[i + 2], values[i + 3]);
      } else {
        const uint32_t pixel = item / a.channels, channel = item % a.channels;
        const uint32_t of_all = a.first_channel + channel;
        y[pixel * a.all_channels + of_all] = byte_of[channel * byte_values + x[of_all * a.pixels + pixel]];
      }
    }
  }
}

LT_KERNEL(int8_plane, Int8PlaneArguments, elementwise_threads) {
  const RowWalk walk(a.rows);
  for (uint32_t first = walk.first_row(); first < a.rows.rows; first += walk.row_step()) {
    const uint32_t row = first + walk.row_of_block();
    if (row >= a.rows.rows) continue;
    const uint8_t* const x = a.x + uint64_t{row} * a.x_height * a.x_width * a.channels;
    auto* const plane = reinterpret_cast<uint32_t*>(a.plane) + uint64_t{row} * a.words;
    for (uint32_t item = walk.first_item(); item < a.words; item += walk.item_step()) {
      const uint32_t pixel = divide(item, a.pitch_words), channel = (item - pixel * a.pitch_words.value) * 4;
      const uint32_t plane_row = divide(pixel, a.plane_width);
      // Unsigned, so that the border in front is past the end too.
      const uint32_t x_row = plane_row - a.padding, x_column = pixel - plane_row * a.plane_width.value - a.padding;
      const bool inside = x_row < a.x_height && x_column < a.x_width;
      const uint8_t* const from = x + (uint64_t{x_row} * a.x_width + x_column) * a.channels;
      uint32_t word = 0;
      LT_UNROLL
      for (uint32_t i = 0; i < 4; ++i)
        word |= (inside && channel + i < a.channels ? uint32_t{from[channel + i]} : a.zero) << 8 * i;
      plane[item] = word;
    }
  }
}

// `width` channels at a time, 1 or 4.
template <uint32_t width>
LT_DEVICE void max_pool(const Int8MaxPoolArguments& a) {
  using Bytes = std::conditional_t<width == 4, uchar4, uint8_t>;
  const uint32_t groups = a.channels / width, items = a.y_elements / width;
  const RowWalk walk(a.rows);
  for (uint32_t first = walk.first_row(); first < a.rows.rows; first += walk.row_step()) {
    const uint32_t row = first + walk.row_of_block();
    if (row >= a.rows.rows) continue;
    const auto* const z = reinterpret_cast<const Bytes*>(a.z + uint64_t{row} * a.z_height * a.z_width * a.channels);
    auto* const y = reinterpret_cast<Bytes*>(a.y + uint64_t{row} * a.y_elements);
    for (uint32_t item = walk.first_item(); item < items; item += walk.item_step()) {
      const uint32_t pixel = item / groups, group = item - pixel * groups;
      const uint32_t y_row = pixel / a.y_width, y_column = pixel - y_row * a.y_width;
      Bytes best{};
      for (uint32_t i = 0; i < a.pool.kernel; ++i) {
        const uint32_t z_row = y_row * a.pool.stride + i - a.pool.padding;  // past the end in front of the first one too
        if (z_row >= a.z_height) continue;
        for (uint32_t j = 0; j < a.pool.kernel; ++j) {
          const uint32_t z_column = y_column * a.pool.stride + j - a.pool.padding;
          if (z_column >= a.z_width) continue;
          const Bytes other = z[(z_row * a.z_width + z_column) * groups + group];
          if constexpr (width == 4)
            best = make_uchar4(max(best.x, other.x), max(best.y, other.y), max(best.z, other.z), max(best.w, other.w));
          else
            best = max(best, other);
        }
      }
      y[item] = best;
    }
  }
}

LT_KERNEL(int8_max_pool, Int8MaxPoolArguments, elementwise_threads) { max_pool<1>(a); }
LT_KERNEL(int8_max_pool_4, Int8MaxPoolArguments, elementwise_threads) { max_pool<4>(a); }

LT_KERNEL(int8_average_pool, Int8AveragePoolArguments, elementwise_threads) {
  const float scale = a.scales[a.x_place];
  const auto zero = static_cast<int32_t>(a.x_zero);
  const RowWalk walk(a.rows);
  for (uint32_t first = walk.first_row(); first < a.rows.rows; first += walk.row_step()) {
    const uint32_t row = first + walk.row_of_block();
    if (row >= a.rows.rows) continue;
    const uint8_t* const x = a.x + uint64_t{row} * a.pixels * a.channels;
    for (uint32_t channel = walk.first_item(); channel < a.channels; channel += walk.item_step()) {
      int32_t sum = 0;
      for (uint32_t pixel = 0; pixel < a.pixels; ++pixel) sum += x[uint64_t{pixel} * a.channels + channel] - zero;
      a.y[uint64_t{row} * a.channels + channel] = average_of(sum, scale, a.pixels);
    }
  }
}

}  // namespace lt::cuda
