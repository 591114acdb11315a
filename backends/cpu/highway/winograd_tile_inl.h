// A tile's way to the 36 points: where its pixels come from, and the two-dimensional transforms, a vector of channels at a
// time. Compiled once a target into each file that includes it, after hwy/highway.h. A patch holds pointers into the
// caller's tensors and owns nothing; any thread may call.
#if defined(LT_WINOGRAD_TILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LT_WINOGRAD_TILE_INL_H
#undef LT_WINOGRAD_TILE_INL_H
#else
#define LT_WINOGRAD_TILE_INL_H
#endif

#include "backends/cpu/highway/winograd_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

template <bool Full>
HWY_INLINE V load_channels(const float* from, size_t count) {
  if constexpr (Full) {
    return hn::LoadU(D(), from);
  } else {
    return load_some(from, count);
  }
}

// The winners' bytes of `lanes` channels (or `count` of them) as numbers.
template <bool Full>
HWY_INLINE Index load_places(const uint8_t* from, size_t count) {
  const hn::Rebind<uint8_t, D> bytes;
  if constexpr (Full) {
    return hn::PromoteTo(DI(), hn::LoadU(bytes, from));
  } else {
#if HWY_TARGET == HWY_AVX3
    return hn::PromoteTo(DI(), hn::MaskedLoad(hn::FirstN(bytes, count), bytes, from));
#else
    HWY_ALIGN uint8_t buffer[lanes < 16 ? 16 : lanes] = {};
    for (size_t i = 0; i < count; ++i) buffer[i] = from[i];
    return hn::PromoteTo(DI(), hn::LoadU(bytes, buffer));
#endif
  }
}

// One sample's pixels and what lies around them: `zeros`, room for `side` pixels and a vector.
struct Image {
  const float* pixels;
  const uint8_t* winners;  // with `pixels` a pool's gradients: a place in the 2x2 window each
  uint32_t height, width, channels;
  const float* zeros;
};

// Side x Side pixels of an image from (row, column) on, which may lie outside. Rows outside are `zeros`; for columns
// outside a pixel beside them is loaded and cleared, by a mask that costs nothing where loads take one. So a tile has a
// pointer for each row and a distance for each column, few enough for registers.
template <size_t Side>
class DensePatch {
 public:
  // A column of the patch, from a channel on.
  struct Column {
    int64_t at;
    hn::Mask<D> inside;
  };
  HWY_INLINE DensePatch(const Image& image, int32_t row, int32_t column) {
    const int64_t row_floats = int64_t{image.width} * image.channels;
    const int32_t width = static_cast<int32_t>(image.width), first = std::clamp(column, 0, width - 1);
    for (size_t i = 0; i < Side; ++i) {
      const int32_t r = row + static_cast<int32_t>(i);
      rows_[i] = static_cast<uint32_t>(r) < image.height ? image.pixels + (r * row_floats + int64_t{first} * image.channels)
                                                         : image.zeros;
    }
    for (size_t j = 0; j < Side; ++j) {
      const int32_t c = column + static_cast<int32_t>(j);
      const bool inside = static_cast<uint32_t>(c) < image.width;
      columns_[j] = inside ? int64_t{c - first} * image.channels : 0;
      inside_[j] = inside ? UINT32_MAX : 0;
    }
  }
  HWY_INLINE Column column(size_t j, size_t channel) const {
    const int64_t at = columns_[j] + static_cast<int64_t>(channel);
#if HWY_TARGET == HWY_AVX3
    return {at, {static_cast<__mmask16>(inside_[j])}};
#else
    return {at, hn::MaskFromVec(hn::BitCast(D(), hn::Set(hn::RebindToUnsigned<D>(), inside_[j])))};
#endif
  }
  template <bool Full>
  HWY_INLINE V load(size_t i, const Column& column, size_t count) const {
    return hn::IfThenElseZero(column.inside, load_channels<Full>(rows_[i] + column.at, count));
  }

 private:
  const float* rows_[Side];
  int64_t columns_[Side];
  uint32_t inside_[Side];
};

// The same of a 2x2 pool's gradients spread over the pool's input: `height` and `width` count windows. Shift: 1 where the
// first row (and column) is the second of a window.
template <size_t Side, size_t Shift>
class PooledPatch {
 public:
  HWY_INLINE PooledPatch(const Image& image, int32_t row, int32_t column) {
    const int32_t shift = Shift, top = (row - shift) / 2, left = (column - shift) / 2;
    for (size_t i = 0; i < windows; ++i)
      for (size_t j = 0; j < windows; ++j) {
        const int32_t r = top + static_cast<int32_t>(i), c = left + static_cast<int32_t>(j);
        const bool inside = static_cast<uint32_t>(r) < image.height && static_cast<uint32_t>(c) < image.width;
        const int64_t at = (int64_t{r} * image.width + c) * image.channels;
        gradients_[i][j] = inside ? image.pixels + at : image.zeros;
        winners_[i][j] = inside ? image.winners + at : reinterpret_cast<const uint8_t*>(image.zeros);
      }
  }
  struct Column {
    size_t j, channel;
  };
  HWY_INLINE Column column(size_t j, size_t channel) const { return {j, channel}; }
  template <bool Full>
  HWY_INLINE V load(size_t i, const Column& at, size_t count) const {
    const size_t row = i + Shift, column = at.j + Shift;
    const V gradient = load_channels<Full>(gradients_[row / 2][column / 2] + at.channel, count);
    const Index winner = load_places<Full>(winners_[row / 2][column / 2] + at.channel, count);
    const Index place = hn::Set(DI(), static_cast<int32_t>(row % 2 * 2 + column % 2));
    return hn::IfThenElseZero(hn::RebindMask(D(), hn::Eq(winner, place)), gradient);
  }

 private:
  static constexpr size_t windows = (Side + Shift + 1) / 2;
  const float* gradients_[windows][windows];
  const uint8_t* winners_[windows][windows];
};

// A row of six points to six planes. Addresses are made from two bases: the compiler would keep one for each plane, more
// than there are registers.
HWY_INLINE void store_points(const V (&row)[side], float* to, uint64_t plane) {
  float* const second = as_it_is(to + 3 * plane);
  LT_CONV2D_UNROLL for (size_t j = 0; j < 3; ++j) hn::StoreU(row[j], D(), to + j * plane);
  LT_CONV2D_UNROLL for (size_t j = 0; j < 3; ++j) hn::StoreU(row[3 + j], D(), second + j * plane);
}

// B^T d B for the rows of `Points`, of `count` channels from `channel` on: to[(row * row_planes + column) * plane].
template <class Points, bool Full, class Patch>
HWY_INLINE void transform_input(const Patch& patch, size_t channel, size_t count, float* to, uint64_t plane,
                                uint64_t row_planes) {
  V half[Points::count][side];
  LT_CONV2D_UNROLL for (size_t j = 0; j < side; ++j) {
    V d[side], out[Points::count];
    const auto column = patch.column(j, channel);
    LT_CONV2D_UNROLL for (size_t i = 0; i < side; ++i) d[i] =
        input_reads<Points>(i) ? patch.template load<Full>(i, column, count) : hn::Zero(D());
    input_points(Points(), d, out);
    LT_CONV2D_UNROLL for (size_t i = 0; i < Points::count; ++i) half[i][j] = out[i];
  }
  LT_CONV2D_UNROLL for (size_t i = 0; i < Points::count; ++i) {
    V out[side];
    input_all(half[i], out);
    store_points(out, to, plane);
    to = as_it_is(to + row_planes * plane);
  }
}

// A y A^T for the rows of `Points`, of a tile's pixels: to[(row * row_planes + column) * plane].
template <class Points, size_t Outputs, bool Full, class Patch>
HWY_INLINE void transform_gradient(const Patch& patch, size_t channel, size_t count, float* to, uint64_t plane,
                                   uint64_t row_planes) {
  V half[Points::count][Outputs];
  LT_CONV2D_UNROLL for (size_t j = 0; j < Outputs; ++j) {
    V y[Outputs], out[Points::count];
    const auto column = patch.column(j, channel);
    LT_CONV2D_UNROLL for (size_t i = 0; i < Outputs; ++i) y[i] =
        gradient_reads<Points, Outputs>(i) ? patch.template load<Full>(i, column, count) : hn::Zero(D());
    gradient_points(Points(), y, out);
    LT_CONV2D_UNROLL for (size_t i = 0; i < Points::count; ++i) half[i][j] = out[i];
  }
  LT_CONV2D_UNROLL for (size_t i = 0; i < Points::count; ++i) {
    V out[side];
    gradient_all(half[i], out);
    store_points(out, to, plane);
    to = as_it_is(to + row_planes * plane);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#endif  // LT_WINOGRAD_TILE_INL_H
