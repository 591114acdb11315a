// Register tiles of the matrix product, for one instruction set: included by gemm_block.cpp within HWY_NAMESPACE's passes,
// hence the guard that turns round with each of them.
//
// A tile keeps rows x vectors sums of C in registers. A step in k reads one row of a panel of B (vectors) and one element
// of each row of A, spread over the lanes. Meanwhile it fetches what comes next: lines of the next panel of B, the
// following tile's rows of A and of C.
#if defined(LT_GEMM_TILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LT_GEMM_TILE_INL_H
#undef LT_GEMM_TILE_INL_H
#else
#define LT_GEMM_TILE_INL_H
#endif

#include <hwy/highway.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

// Nested loops over a tile's registers have to be unrolled whole, or they are no registers.
#undef LT_UNROLL
#if defined(__clang__)
#define LT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LT_UNROLL _Pragma("GCC unroll 16")
#endif

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Tile sizes: rows * vectors sums, a row of B and one element of A fit the registers; at least eight sums hide the
// latency of the multiply-add where the rows allow. Of one vector no more than ten: rows of A whole pages apart share the
// few lines of a set of the first cache.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr size_t panel_vectors = 4;
constexpr size_t tile_rows[panel_vectors + 1] = {0, 10, 12, 8, 6};
#elif HWY_TARGET == HWY_AVX2
constexpr size_t panel_vectors = 2;
constexpr size_t tile_rows[panel_vectors + 1] = {0, 8, 6};
#else
constexpr size_t panel_vectors = 2;
constexpr size_t tile_rows[panel_vectors + 1] = {0, 6, 4};
#endif

// Products summed from zero before they are added to C. A panel of B that deep fills 32 KB of the first cache, or less.
constexpr uint32_t most_depth = HWY_TARGET == HWY_AVX3 ? 128 : 256;

// Keeps a vector in its register: GCC otherwise reads it from memory again in every multiply-add.
HWY_INLINE void keep([[maybe_unused]] V& v) {
#if (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2) && !defined(__clang__)
  asm("" : "+v"(v.raw));
#endif
}

constexpr uint32_t line_floats = 64 / sizeof(float);
// Steps between fetches, and lines of B at a time. A core waits for 16 lines or so, then it stands: few and often, but no
// more often than every line of A where a step is short.
constexpr uint32_t fetch_steps(size_t vectors) { return vectors > 2 ? 8 : line_floats; }
constexpr uint32_t fetch_lines = 4;

struct Tile {
  const float* a;  // a[row * a_row + k * a_k]
  size_t a_row, a_k;
  const float* b;  // b[k * b_stride + column]
  size_t b_stride;
  float* packed;  // where the rows of B are copied to, by tiles that do so
  uint32_t depth;
  float* c;
  size_t c_stride;
  const float* bias;  // null: none
  bool add, relu;     // add to what C holds
  bool descend;       // C - rate * sums; no bias, no relu
  float rate;
  uint32_t columns;  // of C that exist
  // Fetched meanwhile, a part every fetch_steps(vectors): of A, as many lines as the tile has rows (null: none); of C, some
  // of the following tile's rows, whole; of what B will be next, fetch_lines at a time, so many times each part and in all,
  // going along rows of b_next_pieces of them, from the b_next_piece-th of a row on.
  const float* a_next;
  size_t a_next_stride, a_next_step;
  float* c_next;
  size_t c_next_stride, c_next_rows;
  const float* b_next;
  size_t b_next_each, b_next_count, b_next_piece, b_next_pieces, b_next_stride;  // stride: of its rows
};
using TileFunction = void(const Tile&);

// The first `count` < lanes elements, then zeros; reads nothing past them.
HWY_INLINE V load_part(const float* from, size_t count) {
  const D d;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  return hn::MaskedLoad(hn::FirstN(d, count), d, from);
#else
  HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)] = {};
  for (size_t i = 0; i < count; ++i) part[i] = from[i];
  return hn::Load(d, part);
#endif
}

// Writes nothing past them.
HWY_INLINE void store_part(V v, size_t count, float* to) {
  const D d;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  hn::BlendedStore(v, hn::FirstN(d, count), d, to);
#else
  HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(v, d, part);
  for (size_t i = 0; i < count; ++i) to[i] = part[i];
#endif
}

// The end of a tile whose last vector is partly used: from sums in memory. What C holds is read before any of it is
// written: where rows are shorter than a vector, a masked load would wait for the masked store of the row before.
inline void finish_partial(const Tile& t, float* sums, size_t rows, size_t width) {
  const D d;
  const size_t lanes = hn::Lanes(d), whole = t.columns / lanes * lanes, left = t.columns - whole;
  if (t.add || t.descend) {
    const V rate = hn::Set(d, t.rate);
    for (size_t r = 0; r < rows; ++r) {
      const float* const c = t.c + r * t.c_stride;
      float* const s = sums + r * width;
      for (size_t i = 0; i < t.columns; i += lanes) {
        const V held = i == whole ? load_part(c + i, left) : hn::LoadU(d, c + i), sum = hn::Load(d, s + i);
        hn::Store(t.descend ? hn::NegMulAdd(rate, sum, held) : hn::Add(held, sum), d, s + i);
      }
    }
  }
  for (size_t r = 0; r < rows; ++r) {
    float* const c = t.c + r * t.c_stride;
    const float* const s = sums + r * width;
    for (size_t i = 0; i < t.columns; i += lanes) {
      const bool part = i == whole;
      V sum = hn::Load(d, s + i);
      if (t.bias) sum = hn::Add(sum, part ? load_part(t.bias + i, left) : hn::LoadU(d, t.bias + i));
      if (t.relu) sum = hn::IfThenZeroElse(hn::Lt(sum, hn::Zero(d)), sum);
      if (part)
        store_part(sum, left, c + i);
      else
        hn::StoreU(sum, d, c + i);
    }
  }
}

template <size_t rows, size_t vectors, bool pack>
void run_tile(const Tile& t) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  V sum[rows][vectors];
  LT_UNROLL for (size_t r = 0; r < rows; ++r) { LT_UNROLL for (size_t v = 0; v < vectors; ++v) sum[r][v] = hn::Zero(d); }
  // A base every third row: the two after it are one or two strides away, which one register serves.
  constexpr size_t bases = (rows + 2) / 3;
  const size_t a_row = t.a_row, a_k = t.a_k, b_stride = t.b_stride;
  const float* a[bases];
  LT_UNROLL for (size_t i = 0; i < bases; ++i) a[i] = t.a + 3 * i * a_row;
  const float *b = t.b, *a_next = t.a_next, *b_next = t.b_next;
  float *packed = t.packed, *c_next = t.c_next;
  size_t b_left = t.b_next_count, b_piece = t.b_next_piece;
  for (uint32_t left = t.depth, steps; left != 0; left -= steps) {
    steps = left < fetch_steps(vectors) ? left : fetch_steps(vectors);
    if (a_next) {
      LT_UNROLL for (size_t r = 0; r < rows; ++r) __builtin_prefetch(a_next + r * t.a_next_stride);
      a_next += t.a_next_step;
    }
    for (size_t r = 0; r < t.c_next_rows; ++r, c_next += t.c_next_stride) {
      LT_UNROLL for (size_t v = 0; v < vectors; ++v) __builtin_prefetch(c_next + v * lanes, 1);
    }
    for (size_t i = b_left < t.b_next_each ? b_left : t.b_next_each; i != 0; --i, --b_left) {
      LT_UNROLL for (size_t line = 0; line < fetch_lines; ++line) __builtin_prefetch(b_next + line * line_floats, 0, 2);
      b_next += fetch_lines * line_floats;
      if (++b_piece == t.b_next_pieces) {
        b_piece = 0;
        b_next += t.b_next_stride - t.b_next_pieces * fetch_lines * line_floats;
      }
    }
    for (uint32_t k = steps; k != 0; --k) {
      V row[vectors];
      LT_UNROLL for (size_t v = 0; v < vectors; ++v) {
        row[v] = hn::LoadU(d, b + v * lanes);
        keep(row[v]);
        if (pack) hn::Store(row[v], d, packed + v * lanes);
      }
      LT_UNROLL for (size_t r = 0; r < rows; ++r) {
        V element = hn::Set(d, a[r / 3][r % 3 * a_row]);
        if (vectors > 1) keep(element);
        LT_UNROLL for (size_t v = 0; v < vectors; ++v) sum[r][v] = hn::MulAdd(element, row[v], sum[r][v]);
      }
      LT_UNROLL for (size_t i = 0; i < bases; ++i) a[i] += a_k;
      b += b_stride;
      if (pack) packed += vectors * lanes;
    }
  }
  if (t.columns < vectors * lanes) {
    HWY_ALIGN float sums[rows * vectors * (HWY_MAX_BYTES / sizeof(float))];
    LT_UNROLL for (size_t r = 0; r < rows; ++r) {
      LT_UNROLL for (size_t v = 0; v < vectors; ++v) hn::Store(sum[r][v], d, sums + (r * vectors + v) * lanes);
    }
    finish_partial(t, sums, rows, vectors * lanes);
    return;
  }
  if (t.add) {
    LT_UNROLL for (size_t r = 0; r < rows; ++r) {
      LT_UNROLL for (size_t v = 0; v < vectors; ++v) sum[r][v] =
          hn::Add(hn::LoadU(d, t.c + r * t.c_stride + v * lanes), sum[r][v]);
    }
  }
  if (t.descend) {
    const V rate = hn::Set(d, t.rate);
    LT_UNROLL for (size_t r = 0; r < rows; ++r) {
      LT_UNROLL for (size_t v = 0; v < vectors; ++v) sum[r][v] =
          hn::NegMulAdd(rate, sum[r][v], hn::LoadU(d, t.c + r * t.c_stride + v * lanes));
    }
  }
  if (t.bias) {
    LT_UNROLL for (size_t v = 0; v < vectors; ++v) {
      const V bias = hn::LoadU(d, t.bias + v * lanes);
      LT_UNROLL for (size_t r = 0; r < rows; ++r) sum[r][v] = hn::Add(sum[r][v], bias);
    }
  }
  if (t.relu) {  // NaN stays NaN
    const V zero = hn::Zero(d);
    LT_UNROLL for (size_t r = 0; r < rows; ++r) {
      LT_UNROLL for (size_t v = 0; v < vectors; ++v) sum[r][v] = hn::IfThenZeroElse(hn::Lt(sum[r][v], zero), sum[r][v]);
    }
  }
  LT_UNROLL for (size_t r = 0; r < rows; ++r) {
    LT_UNROLL for (size_t v = 0; v < vectors; ++v) hn::StoreU(sum[r][v], d, t.c + r * t.c_stride + v * lanes);
  }
}

// Tiles of one width: entry r has r + 1 rows. The last two copy B: as high as can be, and as a panel that is a vector
// wider.
template <size_t vectors, size_t... r>
constexpr std::array<TileFunction*, sizeof...(r) + 2> make_tiles(std::index_sequence<r...>) {
  constexpr size_t wider = vectors < panel_vectors ? vectors + 1 : vectors;
  return {&run_tile<r + 1, vectors, false>..., &run_tile<tile_rows[vectors], vectors, true>,
          &run_tile<tile_rows[wider], vectors, true>};
}
template <size_t vectors>
constexpr auto tiles = make_tiles<vectors>(std::make_index_sequence<tile_rows[vectors]>());

// Where the tile is to copy B, its rows are those of the widest panel, which this one is, or a vector short of.
inline TileFunction* find_tile(size_t vectors, size_t rows, bool pack) {
  const size_t index = !pack ? rows - 1 : rows == tile_rows[vectors] ? rows : tile_rows[vectors] + 1;
  if (vectors == 1) return tiles<1>[index];
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
  if (vectors == 3) return tiles<3>[index];
  if (vectors == 4) return tiles<4>[index];
#endif
  return tiles<2>[index];
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#endif
