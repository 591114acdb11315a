#include "backends/cpu/int8/strip.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "src/base/checked.h"
#include "src/base/int8.h"

namespace lt::cpu::int8 {
namespace {

// Two blocks of B of so many chunks, 24 KB, stay in the first cache beside a strip's sums.
constexpr uint32_t pass_chunks = 12;

constexpr uint64_t line_bytes = 64;

// The lines where a tile's results go, and those of its residual, asked for while products run: their rows lie too far
// apart for the processor to foresee. Pairs are half a line: the first of a line asks for both.
void fetch_ends(const Finish& ends, const Tile& tile, uint32_t rows, uint32_t column) {
  if (column % line_bytes != 0) return;
  for (uint32_t row = 0; row < rows - tile.skip; ++row) {
    const uint64_t at = tile.y + row * ends.y_row + column;
    __builtin_prefetch(ends.y + at, 1);
    if (ends.residual != nullptr) __builtin_prefetch(ends.residual + at);
  }
}

float scale_of(const Op& op, const KernelContext& context, ByteScale scale) {
  return context.at<float>(op.scales)[scale.place];
}

// A block of outputs: their scales, bytes and sums.
void take_block(const Form& form, const Op& op, const KernelContext& context, const PackedWeights& to, uint32_t block) {
  const uint32_t first = block * block_columns, n = std::min(block_columns, form.outputs - first),
                 step = interleave(form.unit);
  const uint64_t inputs = uint64_t{form.kernel} * form.kernel * form.channels;
  const float* const weight = context.at<float>(op.weight) + first;
  const float scale_x = scale_of(op, context, op.x_scale), scale_y = scale_of(op, context, op.y_scale);
  float scale[block_columns] = {};
  for (uint64_t k = 0; k < inputs; ++k)
    for (uint32_t o = 0; o < n; ++o) scale[o] = std::max(scale[o], std::abs(weight[k * form.outputs + o]));
  for (float& largest : scale) largest = weight_scale(largest);
  int8_t* const bytes = to.blocks + block * form.block_step();
  std::memset(bytes, 0, form.block_step());
  int32_t sums[block_columns] = {};
  for (uint64_t k = 0; k < inputs; ++k) {
    const uint64_t place = form.patches ? k : k / form.channels * form.pixel + k % form.channels;
    int8_t* const at = bytes + place / step * step * block_columns + place % step;
    for (uint32_t o = 0; o < n; ++o) {
      const int8_t byte = weight_byte(weight[k * form.outputs + o], scale[o]);
      at[o * step] = byte;
      sums[o] += byte;
    }
  }
  const float* const bias = op.has_bias ? context.at<float>(op.bias) : nullptr;
  for (uint32_t o = 0; o < n; ++o) {
    const float factor = output_factor(scale_x, scale[o], scale_y);
    to.factor[first + o] = op.residual != no_tensor ? factor * residual_steps : factor;
    to.bias[first + o] = (bias != nullptr ? bias_steps(bias[first + o], scale_x, scale[o]) : 0) - op.x_scale.zero * sums[o];
  }
}

}  // namespace

Form form_of(const Op& op, Unit unit) {
  Form form{};
  form.kernel = op.conv.kernel;
  form.channels = op.x_extent.channels;
  form.outputs = op.conv_extent.channels;
  form.unit = unit;
  const auto chunks_of = [](uint64_t bytes) { return static_cast<uint32_t>(divide_up(bytes, block_depth)); };
  const uint32_t window = form.kernel * form.kernel;
  form.patches = 2 * chunks_of(uint64_t{window} * form.channels) <= window * chunks_of(form.channels);
  form.segments = form.patches ? 1 : form.kernel;
  form.chunks = form.patches ? chunks_of(uint64_t{window} * form.channels) : form.kernel * chunks_of(form.channels);
  form.pixel = (form.patches ? form.chunks : chunks_of(form.channels)) * block_depth;
  return form;
}

PackedWeights packed_weights(const Form& form, std::byte* first) {
  const uint64_t outputs = uint64_t{form.pairs()} * pair_columns, blocks = form.blocks() * form.block_step();
  PackedWeights weights{};
  weights.blocks = reinterpret_cast<int8_t*>(first);
  weights.factor = reinterpret_cast<float*>(first + blocks);
  weights.bias = reinterpret_cast<int32_t*>(first + blocks + outputs * sizeof(float));
  weights.bytes = blocks + outputs * (sizeof(float) + sizeof(int32_t));
  return weights;
}

void take_weights(const Form& form, const Op& op, const KernelContext& context) {
  const PackedWeights to = packed_weights(form, context.at<std::byte>(op.saved));
  context.pool->run(form.blocks(), [&](uint32_t block, uint32_t) { take_block(form, op, context, to, block); });
}

Finish finish_of(const Op& op, const KernelContext& context) {
  Finish f{};
  f.y = context.at<uint8_t>(op.y);
  f.residual = context.at<uint8_t>(op.residual);
  f.y_row = op.conv_extent.channels;
  f.zero = op.y_scale.zero;
  f.residual_zero = op.residual_scale.zero;
  if (f.residual != nullptr)
    f.residual_factor =
        residual_steps * residual_factor(scale_of(op, context, op.residual_scale), scale_of(op, context, op.y_scale));
  return f;
}

void multiply_strip(const Form& form, const PackedWeights& weights, const Products& products, const Strip& strip,
                    uint32_t pair, int32_t* sums, FinishFunction* finish, const Finish& ends) {
  const uint32_t column = pair * pair_columns, rows = strip.rows;
  const bool one_pass = form.segments * form.chunks <= pass_chunks;
  const auto parts = one_pass ? 1u : static_cast<uint32_t>(divide_up(form.chunks, pass_chunks));
  Product product{};
  product.columns = std::min(2u, form.blocks() - 2 * pair);
  product.a_row = strip.a_row;
  product.a_segment = strip.a_segment;
  product.b_columns = form.block_step();
  product.b_segment = uint64_t{form.chunks} * block_bytes;
  product.c_row = pair_columns;
  product.segments = one_pass ? form.segments : 1;
  for (uint32_t segment = 0; segment < form.segments; segment += product.segments)
    for (uint32_t part = 0; part < parts; ++part) {
      const uint32_t first = form.chunks * part / parts, end = form.chunks * (part + 1) / parts;
      product.chunks = end - first;
      product.accumulate = segment + part != 0;
      product.b =
          weights.blocks + 2 * pair * form.block_step() + segment * product.b_segment + uint64_t{first} * block_bytes;
      const uint64_t from = segment * strip.a_segment + uint64_t{first} * block_depth;
      for (uint32_t tile = 0; tile < strip.count; tile += 2) {
        product.tiles = std::min(2u, strip.count - tile);
        for (uint32_t i = 0; i < product.tiles; ++i) {
          product.a[i] = strip.tiles[tile + i].a + from;
          product.c[i] = sums + uint64_t{tile + i} * rows * pair_columns;
          if (segment + part == 0) fetch_ends(ends, strip.tiles[tile + i], rows, column);
        }
        products(product);
      }
    }
  Finish f = ends;
  f.sums_row = pair_columns;
  f.columns = std::min(pair_columns, form.outputs - column);
  f.factor = weights.factor + column;
  f.bias = weights.bias + column;
  // Tiles whose results lie one behind the other end together.
  for (uint32_t tile = 0; tile < strip.count;) {
    const Tile& first = strip.tiles[tile];
    f.sums = sums + (uint64_t{tile} * rows + first.skip) * pair_columns;
    f.rows = rows - first.skip;
    for (++tile; tile < strip.count; ++tile) {
      const Tile& next = strip.tiles[tile];
      if (next.skip != 0 || next.y != first.y + f.rows * f.y_row) break;
      f.rows += rows;
    }
    f.y = ends.y + first.y + column;
    f.residual = ends.residual != nullptr ? ends.residual + first.y + column : nullptr;
    finish(f);
  }
}

uint32_t tile_rows(uint32_t n) { return static_cast<uint32_t>(divide_up(n, divide_up(n, tile_rows_most))); }

}  // namespace lt::cpu::int8
