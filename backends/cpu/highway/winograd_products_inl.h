// What the forward form, the inputs' gradient and the joined backward pass share: the products of a group of tiles at a
// point, and what is fetched meanwhile. The transforms in front of them and behind are winograd_groups_inl.h's. Compiled
// once a target into each file that includes it, after hwy/highway.h. Nothing here owns memory; any thread may call.
#if defined(LT_WINOGRAD_PRODUCTS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LT_WINOGRAD_PRODUCTS_INL_H
#undef LT_WINOGRAD_PRODUCTS_INL_H
#else
#define LT_WINOGRAD_PRODUCTS_INL_H
#endif

#include "backends/cpu/highway/conv2d_tiles_inl.h"
#include "backends/cpu/highway/conv2d_winograd.h"
#include "backends/cpu/highway/winograd_groups_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

// A row of a tile that lies outside, of inputs or of outputs.
uint64_t zeros_floats(const WinogradShape& s) { return align(side * std::max(s.in_channels, s.out_channels) + lanes); }

// What the tiles [first, end) read beyond the rows of those in front. `first` is not 0.
void look_ahead_at_inputs(const WinogradShape& s, const WinogradTensors& tensors, uint64_t first, uint64_t end,
                          FetchAhead& ahead) {
  if (first >= end) return;
  const Place from = place_of(s, first - 1), to = place_of(s, end - 1);
  const bool pooled = tensors.winners != nullptr;
  const int32_t below = static_cast<int32_t>(side) - static_cast<int32_t>(s.padding),
                from_row = static_cast<int32_t>(from.row), to_row = static_cast<int32_t>(to.row);
  const uint64_t row = uint64_t{pooled ? s.window_columns : s.in_width} * s.in_channels;
  if (!pooled) {
    ahead.add(tensors.x, row, s.in_height, from.sample, from_row + below, to.sample, to_row + below);
    return;
  }
  const int32_t begin = (from_row + below + 1) / 2, behind = (to_row + below + 1) / 2;
  ahead.add(tensors.x, row, s.window_rows, from.sample, begin, to.sample, behind);
  ahead.add(tensors.winners, row, s.window_rows, from.sample, begin, to.sample, behind);
}

// The same, and the place of the outputs of [written, first).
FetchAhead look_ahead(const WinogradShape& s, const WinogradTensors& tensors, uint64_t written, uint64_t first,
                      uint64_t end) {
  FetchAhead ahead;
  const Place from = place_of(s, written), to = place_of(s, first - 1);
  const int32_t divisor = s.pools ? 2 : 1;
  ahead.add(tensors.y, uint64_t{s.y_width} * s.out_channels, s.y_height, from.sample,
            static_cast<int32_t>(from.row) / divisor, to.sample, static_cast<int32_t>(to.row + s.outputs()) / divisor);
  look_ahead_at_inputs(s, tensors, first, end, ahead);
  return ahead;
}

// Register tiles of a group that fetch what `ahead` holds.
uint64_t fetching_tiles(const WinogradShape& s, const WinogradLayout& layout, uint32_t tiles) {
  return points * panel_tiles(columns_of(s.out_channels).vectors, tiles, layout.far_weights);
}

// The products at one point: `inputs` x `weights` -> `to`.
void multiply_point(const WinogradShape& s, const WinogradLayout& layout, FetchAhead& ahead, uint32_t tiles,
                    const float* inputs, const float* weights, float* to) {
  const Columns columns = columns_of(s.out_channels);
  const uint32_t vectors = static_cast<uint32_t>(padded_channels(s.in_channels) / lanes);
  multiply_panels(inputs, layout.step, tiles, weights, s.in_channels, columns.vectors, to, layout.step, layout.far_weights,
                  ahead);
  const auto tail = [&](auto run) HWY_ATTR {
    run(inputs, layout.step, tiles, weights + layout.weight_tail, vectors, to + columns.vectors * lanes, layout.step);
  };
  if (tail_width(columns.tail) == 1) tail(&multiply_tail<1>);
  if (tail_width(columns.tail) == 2) tail(&multiply_tail<2>);
  if (tail_width(columns.tail) == 4) tail(&multiply_tail<4>);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#endif  // LT_WINOGRAD_PRODUCTS_INL_H
