// The gradient in front of max-pool, ReLU and dropout. Each element of dz is made by one thread, which looks at the windows
// that it lies in, in the order of y: nothing is added to by two.
#include "backends/cuda/kernels/elementwise.h"
#include "backends/cuda/kernels/groups.cuh"
#include "backends/cuda/kernels/rows.cuh"

namespace lt::cuda {

// The windows [first, last) that hold a place of z, along one side.
struct Windows {
  uint32_t first, last;
};
LT_DEVICE Windows windows_of(const PoolWindow& pool, uint32_t place, uint32_t y_size) {
  const uint32_t padded = place + pool.padding;
  const uint32_t first = padded < pool.kernel ? 0 : (padded - pool.kernel) / pool.stride + 1;
  return {first, min(padded / pool.stride + 1, y_size)};
}

// dy at an element of y, as far as ReLU and dropout let it pass.
template <class Y>
LT_DEVICE float passed(const EpilogueBackwardArguments& a, const Y* dy, const Y* y, const uint8_t* bits, uint32_t element) {
  const bool passes =
      a.mask != nullptr ? (bits[element / 8] >> element % 8 & 1) != 0 : a.y == nullptr || to_float(y[element]) > 0;
  return passes ? to_float(dy[element]) * a.scale : 0.0f;
}

// The same of eight.
template <class Y>
LT_DEVICE void passed_group(const EpilogueBackwardArguments& a, const Y* dy, const Y* y, const uint8_t* bits,
                            uint32_t element, Group& gradient) {
  load_group(dy + element, gradient);
  uint32_t passes = 0xff;
  if (a.mask != nullptr) {
    passes = bits[element / 8];
  } else if (a.y != nullptr) {
    Group values;
    load_group(y + element, values);
    passes = 0;
    LT_UNROLL
    for (uint32_t i = 0; i < group_elements; ++i) passes |= (values[i] > 0 ? 1u : 0u) << i;
  }
  LT_UNROLL
  for (uint32_t i = 0; i < group_elements; ++i) gradient[i] = (passes >> i & 1) != 0 ? gradient[i] * a.scale : 0.0f;
}

// What a row's thread reads.
template <class Y>
struct BackwardRow {
  const Y *dy, *y;
  const uint8_t *bits, *argmax;
  LT_DEVICE BackwardRow(const EpilogueBackwardArguments& a, uint32_t row) {
    const uint64_t from = uint64_t{row} * a.y_elements;
    dy = static_cast<const Y*>(a.dy) + from;
    y = a.y == nullptr ? nullptr : static_cast<const Y*>(a.y) + from;
    bits = a.mask == nullptr ? nullptr : a.mask + row * mask_row_bytes(a.y_elements);
    argmax = a.argmax == nullptr ? nullptr : a.argmax + from;
  }
};

template <class Y, class Z>
LT_DEVICE void epilogue_backward(const EpilogueBackwardArguments& a) {
  const RowWalk walk(a.rows);
  for (uint32_t first = walk.first_row(); first < a.rows.rows; first += walk.row_step()) {
    const uint32_t row = first + walk.row_of_block();
    if (row >= a.rows.rows) continue;
    const BackwardRow<Y> r(a, row);
    Z* dz = static_cast<Z*>(a.dz) + uint64_t{row} * a.z_elements;
    for (uint32_t element = walk.first_item(); element < a.z_elements; element += walk.item_step()) {
      const uint32_t pixel = element / a.z_channels, channel = element - pixel * a.z_channels;
      float sum = 0;
      if (channel >= a.y_channels) {
      } else if (a.pool.kernel == 0) {
        sum = passed(a, r.dy, r.y, r.bits, pixel * a.y_channels + channel);
      } else {
        const uint32_t z_row = pixel / a.z_width, z_column = pixel - z_row * a.z_width;
        const Windows rows = windows_of(a.pool, z_row, a.y_height), columns = windows_of(a.pool, z_column, a.y_width);
        for (uint32_t y_row = rows.first; y_row < rows.last; ++y_row)
          for (uint32_t y_column = columns.first; y_column < columns.last; ++y_column) {
            const uint32_t tap = (z_row + a.pool.padding - y_row * a.pool.stride) * a.pool.kernel + z_column +
                                 a.pool.padding - y_column * a.pool.stride;
            const uint32_t at = (y_row * a.y_width + y_column) * a.y_channels + channel;
            if (r.argmax[at] == tap) sum += passed(a, r.dy, r.y, r.bits, at);
          }
      }
      store(dz + element, sum);
    }
  }
}

// One thread eight channels of a pixel of z; y_channels and z_channels are multiples of eight.
template <class Y, class Z>
LT_DEVICE void epilogue_backward_wide(const EpilogueBackwardArguments& a) {
  const RowWalk walk(a.rows);
  const uint32_t items = a.z_elements / group_elements;
  for (uint32_t first = walk.first_row(); first < a.rows.rows; first += walk.row_step()) {
    const uint32_t row = first + walk.row_of_block();
    if (row >= a.rows.rows) continue;
    const BackwardRow<Y> r(a, row);
    Z* dz = static_cast<Z*>(a.dz) + uint64_t{row} * a.z_elements;
    for (uint32_t item = walk.first_item(); item < items; item += walk.item_step()) {
      const uint32_t element = item * group_elements;
      const uint32_t pixel = element / a.z_channels, channel = element - pixel * a.z_channels;
      Group sums = {};
      if (channel >= a.y_channels) {
      } else if (a.pool.kernel == 0) {
        passed_group(a, r.dy, r.y, r.bits, pixel * a.y_channels + channel, sums);
      } else {
        const uint32_t z_row = pixel / a.z_width, z_column = pixel - z_row * a.z_width;
        const Windows rows = windows_of(a.pool, z_row, a.y_height), columns = windows_of(a.pool, z_column, a.y_width);
        for (uint32_t y_row = rows.first; y_row < rows.last; ++y_row)
          for (uint32_t y_column = columns.first; y_column < columns.last; ++y_column) {
            const uint32_t tap = (z_row + a.pool.padding - y_row * a.pool.stride) * a.pool.kernel + z_column +
                                 a.pool.padding - y_column * a.pool.stride;
            const uint32_t at = (y_row * a.y_width + y_column) * a.y_channels + channel;
            uint8_t winners[group_elements];
            load_bytes(r.argmax + at, winners);
            Group gradient;
            passed_group(a, r.dy, r.y, r.bits, at, gradient);
            LT_UNROLL
            for (uint32_t i = 0; i < group_elements; ++i) sums[i] += winners[i] == tap ? gradient[i] : 0.0f;
          }
      }
      store_group(dz + element, sums);
    }
  }
}

LT_KERNEL(epilogue_backward_f32_f32, EpilogueBackwardArguments, elementwise_threads) { epilogue_backward<float, float>(a); }
LT_KERNEL(epilogue_backward_f32_bf16, EpilogueBackwardArguments, elementwise_threads) { epilogue_backward<float, Bf16>(a); }
LT_KERNEL(epilogue_backward_bf16_f32, EpilogueBackwardArguments, elementwise_threads) { epilogue_backward<Bf16, float>(a); }
LT_KERNEL(epilogue_backward_bf16_bf16, EpilogueBackwardArguments, elementwise_threads) { epilogue_backward<Bf16, Bf16>(a); }
LT_KERNEL(epilogue_backward_wide_f32_f32, EpilogueBackwardArguments, elementwise_threads) {
  epilogue_backward_wide<float, float>(a);
}
LT_KERNEL(epilogue_backward_wide_f32_bf16, EpilogueBackwardArguments, elementwise_threads) {
  epilogue_backward_wide<float, Bf16>(a);
}
LT_KERNEL(epilogue_backward_wide_bf16_f32, EpilogueBackwardArguments, elementwise_threads) {
  epilogue_backward_wide<Bf16, float>(a);
}
LT_KERNEL(epilogue_backward_wide_bf16_bf16, EpilogueBackwardArguments, elementwise_threads) {
  epilogue_backward_wide<Bf16, Bf16>(a);
}

}  // namespace lt::cuda
