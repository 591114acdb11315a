// Raw samples, planar as files hold them, to normalised values, channels last; gathered from a kept set in the epoch's
// order where there is one. A thread has four pixels of one or three channels, else one element of y.
#include "backends/cuda/kernels/elementwise.h"
#include "backends/cuda/kernels/groups.cuh"
#include "backends/cuda/kernels/rows.cuh"
#include "src/base/shuffle.h"

namespace lt::cuda {

LT_DEVICE void load_four(const uint8_t* from, float* to) {
  const uchar4 a = *reinterpret_cast<const uchar4*>(from);
  to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w;
}

LT_DEVICE uint32_t sample_of(const InputArguments& a, uint32_t row) {
  const uint32_t place = a.state->position + a.sample_offset + row;
  return a.state->shuffle != 0 ? Shuffle(a.state->seed, a.state->epoch, a.state->count).at(place) : place;
}

template <class X, class Y, uint32_t channels>
LT_DEVICE void four_pixels(const InputArguments& a, const X* x, Y* y, uint32_t pixel) {
  float values[4 * channels];
  LT_UNROLL
  for (uint32_t c = 0; c < channels; ++c) {
    const uint32_t at = a.own_factors != 0 ? c : 0;
    float plane[4];
    load_four(x + c * a.pixels + pixel, plane);
    LT_UNROLL
    for (uint32_t i = 0; i < 4; ++i) values[i * channels + c] = fmaf(plane[i], a.factor[at], a.offset[at]);
  }
  LT_UNROLL
  for (uint32_t i = 0; i < channels; ++i) store_four(y + pixel * channels + 4 * i, values + 4 * i);
}

template <class X, class Y>
LT_DEVICE void input(const InputArguments& a) {
  LT_SHARED(chosen, uint32_t[most_rows_of_block]);
  const uint32_t elements = a.channels * a.pixels;
  const bool fours = a.pixels % 4 == 0 && (a.channels == 1 || a.channels == 3);
  const uint32_t items = fours ? a.pixels / 4 : elements;
  const RowWalk walk(a.rows);
  for (uint32_t first = walk.first_row(); first < a.rows.rows; first += walk.row_step()) {
    const uint32_t row = first + walk.row_of_block();
    if (a.state != nullptr) {
      if (walk.place_of_block() == 0 && row < a.rows.rows) {
        const uint32_t sample = sample_of(a, row);
        chosen[walk.row_of_block()] = sample;
        if (blockIdx.x == 0 && a.staging_labels != nullptr) a.staging_labels[row] = a.labels[sample];
      }
      __syncthreads();
    }
    const uint32_t sample = a.state == nullptr || row >= a.rows.rows ? row : chosen[walk.row_of_block()];
    const X* x = static_cast<const X*>(a.x) + uint64_t{sample} * elements;
    Y* y = static_cast<Y*>(a.y) + uint64_t{row} * elements;
    if (row < a.rows.rows)
      for (uint32_t item = walk.first_item(); item < items; item += walk.item_step()) {
        if (fours) {
          if (a.channels == 1)
            four_pixels<X, Y, 1>(a, x, y, 4 * item);
          else
            four_pixels<X, Y, 3>(a, x, y, 4 * item);
        } else {
          const uint32_t pixel = item / a.channels, channel = item - pixel * a.channels;
          const uint32_t at = a.own_factors != 0 ? channel : 0;
          store(y + item, fmaf(static_cast<float>(x[channel * a.pixels + pixel]), a.factor[at], a.offset[at]));
        }
      }
    if (a.state != nullptr) __syncthreads();
  }
}

LT_KERNEL(input_u8_f32, InputArguments, elementwise_threads) { input<uint8_t, float>(a); }
LT_KERNEL(input_u8_bf16, InputArguments, elementwise_threads) { input<uint8_t, Bf16>(a); }
LT_KERNEL(input_f32_f32, InputArguments, elementwise_threads) { input<float, float>(a); }
LT_KERNEL(input_f32_bf16, InputArguments, elementwise_threads) { input<float, Bf16>(a); }

}  // namespace lt::cuda
