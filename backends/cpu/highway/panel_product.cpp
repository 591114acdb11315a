// Register tiles over packed panels, for every instruction set; see panel_product.h.
#include "backends/cpu/highway/panel_product.h"

#include <algorithm>
#include <array>
#include <utility>

#include "src/base/checked.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/panel_product.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

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

// tile_rows[v]: rows of a tile that is v vectors wide, so that sums, a row of B and one element of A fit the registers.
#if HWY_TARGET == HWY_AVX3
constexpr size_t panel_vectors = 5;
constexpr size_t tile_rows[panel_vectors + 1] = {0, 10, 10, 8, 6, 5};
#elif HWY_TARGET == HWY_NEON
constexpr size_t panel_vectors = 4;
constexpr size_t tile_rows[panel_vectors + 1] = {0, 10, 10, 8, 6};
#elif HWY_TARGET == HWY_AVX2
constexpr size_t panel_vectors = 2;
constexpr size_t tile_rows[panel_vectors + 1] = {0, 8, 6};
#else
constexpr size_t panel_vectors = 2;
constexpr size_t tile_rows[panel_vectors + 1] = {0, 6, 4};
#endif

// How many rows of the panel the first cache is asked for ahead.
constexpr size_t fetch_ahead = 8;
// And how many elements of a row of A: what another core wrote takes a tenth of a microsecond and more.
constexpr size_t fetch_a_ahead = 64, line_floats = 16;

// A value the compiler must hold in a register: folded into each multiply-add, one load would become several.
HWY_INLINE void keep([[maybe_unused]] V& v) {
#if HWY_TARGET == HWY_AVX3 && defined(__GNUC__)
  asm("" : "+v"(v.raw));
#elif HWY_TARGET == HWY_AVX2 && defined(__GNUC__)
  asm("" : "+x"(v.raw));
#endif
}

// Columns are cut into panels of whole vectors, as equal as can be; the last vector may be partly used.
struct Panels {
  size_t lanes, vectors, count;
  explicit Panels(size_t columns)
      : lanes(hn::Lanes(D())), vectors(divide_up(columns, lanes)), count(divide_up(vectors, panel_vectors)) {}
  size_t begin(size_t panel) const { return panel * vectors / count; }
};

struct Tile {
  const float *a, *a_next;  // a_next: of the tile that follows
  size_t a_row, a_k;
  const float* b;
  size_t depth, columns;
  float* c;
  size_t c_stride;
  const float* bias;
  bool accumulate;
};
using TileFunction = void(const Tile&);

// The first `count` < lanes elements, then zeros; nothing past them is read or written.
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
HWY_INLINE void store_part(V v, size_t count, float* to) {
  const D d;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  hn::BlendedStore(v, hn::FirstN(d, count), d, to);
#else
  HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)] = {};
  hn::Store(v, d, part);
  for (size_t i = 0; i < count; ++i) to[i] = part[i];
#endif
}

template <size_t rows, size_t vectors>
void run_tile(const Tile& t) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  V sum[rows][vectors];
  LT_UNROLL for (size_t r = 0; r < rows; ++r) { LT_UNROLL for (size_t v = 0; v < vectors; ++v) sum[r][v] = hn::Zero(d); }
  // A base every third row: the two after it are one or two strides away, which one register serves.
  constexpr size_t bases = (rows + 2) / 3;
  const size_t a_row = t.a_row, a_k = t.a_k;
  const float *a[bases], *b = t.b;
  LT_UNROLL for (size_t i = 0; i < bases; ++i) a[i] = t.a + 3 * i * a_row;
  // C is needed at the end.
  LT_UNROLL for (size_t r = 0; r < rows; ++r) {
    LT_UNROLL for (size_t v = 0; v < vectors; ++v) __builtin_prefetch(t.c + r * t.c_stride + v * lanes, 1);
  }
  for (size_t left = t.depth, steps; left != 0; left -= steps) {
    steps = left < line_floats ? left : line_floats;
    if (a_k == 1) {
      // Lines of A that another core may have written: of these rows, at last of the next tile's.
      const float* const next = left > fetch_a_ahead ? a[0] + fetch_a_ahead : t.a_next + (fetch_a_ahead - left);
      LT_UNROLL for (size_t r = 0; r < rows; ++r) __builtin_prefetch(next + r * a_row);
    }
    for (size_t k = steps; k != 0; --k) {
      if (a_k != 1) __builtin_prefetch(a[0] + fetch_ahead * a_k);  // a line at every k
      V row[vectors];
      LT_UNROLL for (size_t v = 0; v < vectors; ++v) {
        row[v] = hn::LoadU(d, b + v * lanes);
        keep(row[v]);
        __builtin_prefetch(b + (fetch_ahead * vectors + v) * lanes);
      }
      LT_UNROLL for (size_t r = 0; r < rows; ++r) {
        V element = hn::Set(d, a[r / 3][r % 3 * a_row]);
        if (vectors > 1) keep(element);
        LT_UNROLL for (size_t v = 0; v < vectors; ++v) sum[r][v] = hn::MulAdd(element, row[v], sum[r][v]);
      }
      LT_UNROLL for (size_t i = 0; i < bases; ++i) a[i] += a_k;
      b += vectors * lanes;
    }
  }
  // The last vector may be partly used.
  const size_t used = t.columns - (vectors - 1) * lanes;
  const bool whole = used == lanes;
  if (t.bias != nullptr) {
    LT_UNROLL for (size_t v = 0; v < vectors; ++v) {
      const V bias = whole || v + 1 < vectors ? hn::LoadU(d, t.bias + v * lanes) : load_part(t.bias + v * lanes, used);
      LT_UNROLL for (size_t r = 0; r < rows; ++r) sum[r][v] = hn::Add(sum[r][v], bias);
    }
  }
  if (t.accumulate) {
    LT_UNROLL for (size_t r = 0; r < rows; ++r) {
      const float* const c = t.c + r * t.c_stride;
      LT_UNROLL for (size_t v = 0; v + 1 < vectors; ++v) sum[r][v] = hn::Add(hn::LoadU(d, c + v * lanes), sum[r][v]);
      const float* const last = c + (vectors - 1) * lanes;
      sum[r][vectors - 1] = hn::Add(whole ? hn::LoadU(d, last) : load_part(last, used), sum[r][vectors - 1]);
    }
  }
  LT_UNROLL for (size_t r = 0; r < rows; ++r) {
    float* const c = t.c + r * t.c_stride;
    LT_UNROLL for (size_t v = 0; v + 1 < vectors; ++v) hn::StoreU(sum[r][v], d, c + v * lanes);
    if (whole)
      hn::StoreU(sum[r][vectors - 1], d, c + (vectors - 1) * lanes);
    else
      store_part(sum[r][vectors - 1], used, c + (vectors - 1) * lanes);
  }
}

// Tiles of one width: entry r has r + 1 rows.
template <size_t vectors, size_t... r>
constexpr std::array<TileFunction*, sizeof...(r)> make_tiles(std::index_sequence<r...>) {
  return {&run_tile<r + 1, vectors>...};
}
template <size_t vectors>
constexpr auto tiles = make_tiles<vectors>(std::make_index_sequence<tile_rows[vectors]>());

TileFunction* find_tile(size_t vectors, size_t rows) {
  switch (vectors) {
    case 1: return tiles<1>[rows - 1];
    case 2: return tiles<2>[rows - 1];
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
    case 3: return tiles<3>[rows - 1];
    case 4: return tiles<4>[rows - 1];
#endif
  }
  return tiles<panel_vectors>[rows - 1];
}

}  // namespace

void Product(const PanelProduct& p) {
  if (p.rows == 0 || p.columns == 0) return;
  const Panels panels(p.columns);
  for (size_t panel = 0; panel < panels.count; ++panel) {
    const size_t begin = panels.begin(panel), vectors = panels.begin(panel + 1) - begin, column = begin * panels.lanes;
    Tile t{};
    t.a_row = p.a_row;
    t.a_k = p.a_k;
    t.b = p.packed + column * p.packed_depth + p.first * vectors * panels.lanes;
    t.depth = p.depth;
    t.columns = std::min(vectors * panels.lanes, p.columns - column);
    t.c_stride = p.c_stride;
    t.bias = p.bias == nullptr ? nullptr : p.bias + column;
    t.accumulate = p.accumulate;
    const size_t tile_count = divide_up(p.rows, tile_rows[vectors]);
    for (size_t tile = 0, row = 0, end; tile < tile_count; ++tile, row = end) {
      end = (tile + 1) * p.rows / tile_count;
      t.a = p.a + row * p.a_row;
      t.a_next = p.a + (end == p.rows ? 0 : end) * p.a_row;
      t.c = p.c + row * p.c_stride + column;
      find_tile(vectors, end - row)(t);
    }
  }
}

void Pack(const float* b, size_t b_stride, bool transposed, uint32_t columns, uint32_t depth, float* packed) {
  const Panels panels(columns);
  for (size_t panel = 0; panel < panels.count; ++panel) {
    const size_t begin = panels.begin(panel) * panels.lanes, width = panels.begin(panel + 1) * panels.lanes - begin;
    const size_t used = std::min<size_t>(width, columns - begin);
    float* const to = packed + begin * depth;
    if (!transposed) {
      const D d;
      const float* from = b + begin;
      for (size_t k = 0; k < depth; ++k, from += b_stride) {
        float* const row = to + k * width;
        size_t column = 0;
        for (; column + panels.lanes <= used; column += panels.lanes) {
          __builtin_prefetch(from + fetch_ahead * b_stride + column);
          hn::StoreU(hn::LoadU(d, from + column), d, row + column);
        }
        if (column < used) hn::StoreU(load_part(from + column, used - column), d, row + column);
      }
      continue;
    }
    // A line of each column at a time.
    constexpr size_t line = 16;
    for (size_t first = 0; first < depth; first += line) {
      const size_t last = std::min<size_t>(first + line, depth);
      for (size_t column = 0; column < used; ++column)
        for (size_t k = first; k < last; ++k) to[k * width + column] = b[(begin + column) * b_stride + k];
      for (size_t k = first; k < last; ++k) std::fill(to + k * width + used, to + (k + 1) * width, 0.0f);
    }
  }
}

uint64_t Floats(uint32_t columns, uint32_t depth) { return align_up(Panels(columns).vectors * hn::Lanes(D()) * depth, 16); }

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {
LT_HIGHWAY_TABLE(PanelProductFunction*, panel_product_table, Product);
LT_HIGHWAY_TABLE(PanelPackFunction*, panel_pack_table, Pack);
LT_HIGHWAY_TABLE(PanelFloatsFunction*, panel_floats_table, Floats);
}  // namespace lt::cpu::highway
#endif
