// What follows a product's sum, or an operation of its own: bias, max-pool, residual, ReLU, dropout. A bit of the mask is
// an element's; a byte of it is written by the one thread that has its eight elements, or a word by the one warp that has
// its 32.
#include "backends/cuda/kernels/elementwise.h"
#include "backends/cuda/kernels/groups.cuh"
#include "backends/cuda/kernels/rows.cuh"
#include "src/base/philox.h"

namespace lt::cuda {

LT_DEVICE bool is_nan(float value) { return value != value; }

// Whether `value` takes the place of `best`: a NaN is larger than any number, of equals the first one stays.
LT_DEVICE bool takes_over(float value, float best) { return value > best || (is_nan(value) && !is_nan(best)); }

// The part of z that an element of y looks at: taps [first, last) of rows and of columns.
struct Taps {
  uint32_t row, column;  // in z, of the tap (0, 0); unsigned, perhaps in front of the first
  uint32_t first_row, last_row, first_column, last_column;
};
LT_DEVICE uint32_t last_tap(uint32_t begin, uint32_t kernel, uint32_t size) {
  return static_cast<int32_t>(size - begin) < static_cast<int32_t>(kernel) ? size - begin : kernel;
}
LT_DEVICE Taps taps_of(const EpilogueArguments& a, uint32_t row, uint32_t column) {
  const uint32_t z_row = row * a.pool.stride - a.pool.padding, z_column = column * a.pool.stride - a.pool.padding;
  return {z_row,
          z_column,
          static_cast<int32_t>(z_row) < 0 ? 0u - z_row : 0u,
          last_tap(z_row, a.pool.kernel, a.z_height),
          static_cast<int32_t>(z_column) < 0 ? 0u - z_column : 0u,
          last_tap(z_column, a.pool.kernel, a.z_width)};
}

LT_DEVICE Philox4 dropout_words(const EpilogueArguments& a, uint32_t row, uint32_t element) {
  return philox4x32(philox_counter(RandomStream::dropout, a.layer, a.state->step, a.sample_offset + row, element / 4),
                    a.state->seed);
}

LT_DEVICE float relu(float value) { return value < 0 ? 0.0f : value; }  // a NaN goes through: the loss is to see it

template <class Z, class Y>
LT_DEVICE void epilogue_element(const EpilogueArguments& a, const Z* z, uint32_t row, uint32_t element, bool* passes) {
  const uint32_t pixel = element / a.y_channels, channel = element - pixel * a.y_channels;
  const uint64_t place = uint64_t{row} * a.y_elements + element;
  const float bias = a.bias != nullptr ? a.bias[channel] : 0;
  float best;
  if (a.pool.kernel == 0) {
    best = to_float(z[pixel * a.z_channels + channel]) + bias;
  } else {
    const uint32_t y_row = pixel / a.y_width, y_column = pixel - y_row * a.y_width;
    const Taps taps = taps_of(a, y_row, y_column);
    bool found = false;
    uint32_t best_at = 0;
    best = 0;
    for (uint32_t r = taps.first_row; r < taps.last_row; ++r)
      for (uint32_t c = taps.first_column; c < taps.last_column; ++c) {
        const float value = to_float(z[((taps.row + r) * a.z_width + taps.column + c) * a.z_channels + channel]) + bias;
        if (found && !takes_over(value, best)) continue;
        found = true;
        best = value;
        best_at = r * a.pool.kernel + c;
      }
    if (a.argmax != nullptr) a.argmax[place] = static_cast<uint8_t>(best_at);
  }
  if (a.residual != nullptr) best += to_float(static_cast<const Z*>(a.residual)[place]);
  if (a.relu != 0) best = relu(best);
  const bool keeps = a.drops == 0 || dropout_words(a, row, element).v[element % 4] >= a.drops;
  *passes = keeps && (a.relu == 0 || best > 0);
  store(static_cast<Y*>(a.y) + place, keeps ? best * a.scale : 0.0f);
}

// One thread an element, so that 32 of a row make a word of its mask.
template <class Z, class Y>
LT_DEVICE void epilogue(const EpilogueArguments& a) {
  const RowWalk walk(a.rows);
  const uint32_t z_elements = a.z_height * a.z_width * a.z_channels;
  // Whole words of 64 bits, the last ones past the row: they are zero.
  const uint32_t row_bytes = static_cast<uint32_t>(mask_row_bytes(a.y_elements));
  const uint32_t items = row_bytes * 8;
  for (uint32_t first = walk.first_row(); first < a.rows.rows; first += walk.row_step()) {
    const uint32_t row = first + walk.row_of_block();
    if (row >= a.rows.rows) continue;
    const Z* z = static_cast<const Z*>(a.z) + uint64_t{row} * z_elements;
    // A warp's lanes are in one row and in step: items are a multiple of 32, and so is all that is added to the first.
    for (uint32_t element = walk.first_item(); element < items; element += walk.item_step()) {
      bool passes = false;
      if (element < a.y_elements) epilogue_element<Z, Y>(a, z, row, element, &passes);
      if (a.mask == nullptr) continue;
      const uint32_t word = __ballot_sync(~0u, passes);
      if (element % 32 == 0) *reinterpret_cast<uint32_t*>(a.mask + uint64_t{row} * row_bytes + element / 8) = word;
    }
  }
}

// One thread eight channels of a pixel; y_channels is a multiple of eight, and so is z_channels.
template <class Z, class Y>
LT_DEVICE void epilogue_wide(const EpilogueArguments& a) {
  const RowWalk walk(a.rows);
  const uint32_t z_elements = a.z_height * a.z_width * a.z_channels;
  const uint32_t row_bytes = static_cast<uint32_t>(mask_row_bytes(a.y_elements));
  const uint32_t items = a.y_elements / group_elements;
  for (uint32_t first = walk.first_row(); first < a.rows.rows; first += walk.row_step()) {
    const uint32_t row = first + walk.row_of_block();
    if (row >= a.rows.rows) continue;
    const Z* z = static_cast<const Z*>(a.z) + uint64_t{row} * z_elements;
    for (uint32_t item = walk.first_item(); item < items; item += walk.item_step()) {
      const uint32_t element = item * group_elements;
      const uint32_t pixel = element / a.y_channels, channel = element - pixel * a.y_channels;
      const uint64_t place = uint64_t{row} * a.y_elements + element;
      Group bias = {}, best;
      if (a.bias != nullptr) load_group(a.bias + channel, bias);
      if (a.pool.kernel == 0) {
        load_group(z + pixel * a.z_channels + channel, best);
        LT_UNROLL
        for (uint32_t i = 0; i < group_elements; ++i) best[i] += bias[i];
      } else {
        const uint32_t y_row = pixel / a.y_width, y_column = pixel - y_row * a.y_width;
        const Taps taps = taps_of(a, y_row, y_column);
        uint8_t best_at[group_elements] = {};
        bool found = false;
        LT_UNROLL
        for (uint32_t i = 0; i < group_elements; ++i) best[i] = 0;
        for (uint32_t r = taps.first_row; r < taps.last_row; ++r)
          for (uint32_t c = taps.first_column; c < taps.last_column; ++c) {
            Group values;
            load_group(z + ((taps.row + r) * a.z_width + taps.column + c) * a.z_channels + channel, values);
            LT_UNROLL
            for (uint32_t i = 0; i < group_elements; ++i) {
              const float value = values[i] + bias[i];
              if (found && !takes_over(value, best[i])) continue;
              best[i] = value;
              best_at[i] = static_cast<uint8_t>(r * a.pool.kernel + c);
            }
            found = true;
          }
        if (a.argmax != nullptr) store_bytes(a.argmax + place, best_at);
      }
      if (a.residual != nullptr) {
        Group residual;
        load_group(static_cast<const Z*>(a.residual) + place, residual);
        LT_UNROLL
        for (uint32_t i = 0; i < group_elements; ++i) best[i] += residual[i];
      }
      uint32_t passes = 0;
      LT_UNROLL
      for (uint32_t quarter = 0; quarter < group_elements; quarter += 4) {
        const Philox4 words = a.drops != 0 ? dropout_words(a, row, element + quarter) : Philox4{};
        LT_UNROLL
        for (uint32_t i = 0; i < 4; ++i) {
          float& value = best[quarter + i];
          if (a.relu != 0) value = relu(value);
          const bool keeps = words.v[i] >= a.drops;
          passes |= (keeps && (a.relu == 0 || value > 0) ? 1u : 0u) << (quarter + i);
          value = keeps ? value * a.scale : 0.0f;
        }
      }
      store_group(static_cast<Y*>(a.y) + place, best);
      if (a.mask == nullptr) continue;
      uint8_t* bits = a.mask + uint64_t{row} * row_bytes;
      bits[item] = static_cast<uint8_t>(passes);
      if (item + 1 == items)
        for (uint32_t i = items; i < row_bytes; ++i) bits[i] = 0;
    }
  }
}

LT_KERNEL(epilogue_f32_f32, EpilogueArguments, elementwise_threads) { epilogue<float, float>(a); }
LT_KERNEL(epilogue_f32_bf16, EpilogueArguments, elementwise_threads) { epilogue<float, Bf16>(a); }
LT_KERNEL(epilogue_bf16_f32, EpilogueArguments, elementwise_threads) { epilogue<Bf16, float>(a); }
LT_KERNEL(epilogue_bf16_bf16, EpilogueArguments, elementwise_threads) { epilogue<Bf16, Bf16>(a); }
LT_KERNEL(epilogue_wide_f32_f32, EpilogueArguments, elementwise_threads) { epilogue_wide<float, float>(a); }
LT_KERNEL(epilogue_wide_f32_bf16, EpilogueArguments, elementwise_threads) { epilogue_wide<float, Bf16>(a); }
LT_KERNEL(epilogue_wide_bf16_f32, EpilogueArguments, elementwise_threads) { epilogue_wide<Bf16, float>(a); }
LT_KERNEL(epilogue_wide_bf16_bf16, EpilogueArguments, elementwise_threads) { epilogue_wide<Bf16, Bf16>(a); }

}  // namespace lt::cuda
