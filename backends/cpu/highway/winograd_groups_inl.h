// Winograd's transforms of a group of tiles: inputs to the 36 points, and the products at them back to outputs. Declared
// for one target in each file that includes this, after hwy/highway.h; winograd_groups.cpp has them, once a target. Nothing
// here owns memory; any thread may call.
#if defined(LT_WINOGRAD_GROUPS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LT_WINOGRAD_GROUPS_INL_H
#undef LT_WINOGRAD_GROUPS_INL_H
#else
#define LT_WINOGRAD_GROUPS_INL_H
#endif

#include "backends/cpu/highway/conv2d_winograd.h"
#include "backends/cpu/highway/winograd_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {

// B^T d B of the tiles [first, first + tiles), whatever their pixels are, to `inputs`: the first tile's place in the first
// plane. zeros: a row of a tile that lies outside.
void transform_group(const WinogradShape& s, const WinogradLayout& layout, const WinogradTensors& tensors,
                     const float* zeros, uint64_t first, uint32_t tiles, float* inputs);

// A^T m A of such a group, and what comes behind it, to y.
void finish_group(const WinogradShape& s, const WinogradLayout& layout, const WinogradTensors& tensors, uint64_t first,
                  uint32_t tiles, const float* products);

namespace {

// Where a tile lies: its sample, and its first output's row and column.
struct Place {
  uint32_t sample, row, column;
};
HWY_INLINE Place place_of(const WinogradShape& s, uint64_t tile) {
  const uint32_t in_sample = static_cast<uint32_t>(tile % s.tiles());
  return {static_cast<uint32_t>(tile / s.tiles()), in_sample / s.tile_columns() * s.outputs(),
          in_sample % s.tile_columns() * s.outputs()};
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#endif  // LT_WINOGRAD_GROUPS_INL_H
