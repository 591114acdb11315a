// Strips of pixels times a convolution's weights in bytes. A form says how windows lie in what the products read; weights
// are packed for it once, after every upload; a strip's tiles of rows go by two blocks of outputs at a time, whose sums and
// weights stay in the first cache. Any thread may call, on scratch of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/int8/finish.h"
#include "backends/cpu/int8/product.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::int8 {

inline constexpr uint32_t strip_rows = 128, pair_columns = 2 * block_columns;
inline constexpr uint64_t strip_sums = uint64_t{strip_rows} * pair_columns;
// Rows of a unit of work: a strip where the weights stay in the second cache (is_far), else as many as share one way of
// theirs from further away. So many units that one sample gives all threads something to do.
inline constexpr uint32_t few_rows = strip_rows, many_rows = 3 * strip_rows, wanted_units = 16;

struct Form {
  uint32_t kernel, channels, outputs;
  bool patches;               // windows are copied out, kernel * kernel * channels bytes and what fills the last chunk
  uint32_t pixel;             // bytes from pixel to pixel: channels filled up to whole chunks, or of a patch
  uint32_t segments, chunks;  // rows of a window, and chunks of such a row
  Unit unit;

  uint32_t blocks() const { return (outputs + block_columns - 1) / block_columns; }
  uint32_t pairs() const { return (outputs + pair_columns - 1) / pair_columns; }
  uint64_t block_step() const { return uint64_t{segments} * chunks * block_bytes; }
  bool is_far() const { return blocks() * block_step() > 256 << 10; }
};
// Windows of one or few channels are copied out, lest most of each chunk be empty.
Form form_of(const Op& op, Unit unit);

struct PackedWeights {
  int8_t* blocks;  // [block][chunk]
  float* factor;   // [output], filled up to whole pairs
  int32_t* bias;   // with what the zero of x makes of the weights
  uint64_t bytes;
};
PackedWeights packed_weights(const Form& form, std::byte* first);
// Of an op's weight, by its scales.
void take_weights(const Form& form, const Op& op, const KernelContext& context);

// The scales and zeros in which the op ends, on all its outputs from y on.
Finish finish_of(const Op& op, const KernelContext& context);

struct Tile {
  const uint8_t* a;
  uint64_t y;     // element of y of the first row that counts
  uint32_t skip;  // rows that the tile before has done
};

struct Strip {
  Tile tiles[strip_rows];
  uint32_t count, rows;  // `rows` of each tile
  uint64_t a_row, a_segment;
};
void multiply_strip(const Form& form, const PackedWeights& weights, const Products& products, const Strip& strip,
                    uint32_t pair, int32_t* sums, FinishFunction* finish, const Finish& ends);

// How many rows a tile takes of `n`: an even share, so that the last tile repeats few.
uint32_t tile_rows(uint32_t n);

}  // namespace lt::cpu::int8
