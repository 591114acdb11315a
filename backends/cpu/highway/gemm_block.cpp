// Register tiles of the matrix product and the walk of one block over them, compiled for every instruction set. A tile
// keeps rows x vectors of C in registers; A comes as single elements spread over the lanes, B as rows of a panel. The
// first tile of a panel copies B's rows to scratch on its way, the others read them there, without strides.
// No memory of its own; any thread may run any block.
#include "backends/cpu/highway/gemm_block.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/gemm_block.cpp"
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

// Tile sizes: rows * vectors sums, a row of B and one element of A fit the registers; at least eight sums hide the
// latency of the multiply-add where the rows allow.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr size_t panel_vectors = 4;
constexpr size_t tile_rows[panel_vectors + 1] = {0, 12, 12, 8, 6};
#elif HWY_TARGET == HWY_AVX2
constexpr size_t panel_vectors = 2;
constexpr size_t tile_rows[panel_vectors + 1] = {0, 10, 6};
#else
constexpr size_t panel_vectors = 2;
constexpr size_t tile_rows[panel_vectors + 1] = {0, 6, 4};
#endif

// Keeps a vector in its register: GCC otherwise reads it from memory again in every multiply-add.
HWY_INLINE void keep([[maybe_unused]] V& v) {
#if (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2) && !defined(__clang__)
  asm("" : "+v"(v.raw));
#endif
}

constexpr uint32_t line_floats = 64 / sizeof(float);

struct TileArguments {
  const float* a;  // a[row * a_row + k * a_k]
  size_t a_row, a_k;
  const float* b;  // b[k * b_stride + column]
  size_t b_stride;
  float* packed;  // where the rows of B are copied to, or null
  uint32_t depth;
  float* c;
  size_t c_stride;
  const float* bias;    // null: none
  bool add, relu;       // add to what C holds
  uint32_t columns;     // of C that exist
  const float* a_next;  // the tile of A that follows, where its rows are long: fetched meanwhile; or null
  const float* b_next;  // a line of what B will be next, one row for each row of B; or null
  size_t b_next_stride;
};
using TileFunction = void(const TileArguments&);

// The end of a tile whose last vector is partly used: from sums in memory.
void finish_partial(const TileArguments& t, const float* sums, size_t rows, size_t width) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  for (size_t r = 0; r < rows; ++r) {
    float* const c = t.c + r * t.c_stride;
    const float* const s = sums + r * width;
    size_t i = 0;
    for (; i + lanes <= t.columns; i += lanes) {
      V sum = hn::LoadU(d, s + i);
      if (t.add) sum = hn::Add(hn::LoadU(d, c + i), sum);
      if (t.bias) sum = hn::Add(sum, hn::LoadU(d, t.bias + i));
      if (t.relu) sum = hn::IfThenZeroElse(hn::Lt(sum, hn::Zero(d)), sum);
      hn::StoreU(sum, d, c + i);
    }
    for (; i < t.columns; ++i) {
      float sum = t.add ? c[i] + s[i] : s[i];
      if (t.bias) sum += t.bias[i];
      c[i] = t.relu && sum < 0 ? 0 : sum;
    }
  }
}

template <size_t rows, size_t vectors, bool pack>
void tile(const TileArguments& t) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  V sum[rows][vectors];
  LT_UNROLL for (size_t r = 0; r < rows; ++r) { LT_UNROLL for (size_t v = 0; v < vectors; ++v) sum[r][v] = hn::Zero(d); }
  // A base every third row: the two after it are one or two strides away, which one register serves.
  constexpr size_t bases = (rows + 2) / 3;
  const size_t a_row = t.a_row, a_k = t.a_k, b_stride = t.b_stride;
  const float* a[bases];
  LT_UNROLL for (size_t i = 0; i < bases; ++i) a[i] = t.a + 3 * i * a_row;
  const float* b = t.b;
  // Where there is nothing to fetch, B's own rows again.
  const float* b_next = t.b_next ? t.b_next : t.b;
  const size_t b_next_stride = t.b_next ? t.b_next_stride : 0;
  const float* a_next = t.a_next;
  float* packed = t.packed;
  const bool partial = t.columns < vectors * lanes;
  if (!partial)
    for (size_t r = 0; r < rows; ++r) {
      LT_UNROLL for (size_t v = 0; v < vectors; ++v) __builtin_prefetch(t.c + r * t.c_stride + v * lanes, 1);
    }
  for (uint32_t left = t.depth, steps; left != 0; left -= steps) {
    steps = left < line_floats ? left : line_floats;
    if (a_next) {
      LT_UNROLL for (size_t r = 0; r < rows; ++r) __builtin_prefetch(a_next + r * a_row);
      a_next += line_floats;
    }
    for (uint32_t k = steps; k != 0; --k) {
      V row[vectors];
      LT_UNROLL for (size_t v = 0; v < vectors; ++v) {
        row[v] = hn::LoadU(d, b + v * lanes);
        keep(row[v]);
        if (pack) hn::Store(row[v], d, packed + v * lanes);
      }
      __builtin_prefetch(b_next, 0, 2);
      LT_UNROLL for (size_t r = 0; r < rows; ++r) {
        V element = hn::Set(d, a[r / 3][r % 3 * a_row]);
        keep(element);
        LT_UNROLL for (size_t v = 0; v < vectors; ++v) sum[r][v] = hn::MulAdd(element, row[v], sum[r][v]);
      }
      LT_UNROLL for (size_t i = 0; i < bases; ++i) a[i] += a_k;
      b += b_stride;
      b_next += b_next_stride;
      if (pack) packed += vectors * lanes;
    }
  }
  if (partial) {
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

// Tiles of one width: entry r has r + 1 rows; the last one copies B and has as many rows as can be.
template <size_t vectors, size_t... r>
constexpr std::array<TileFunction*, sizeof...(r) + 1> make_tiles(std::index_sequence<r...>) {
  return {&tile<r + 1, vectors, false>..., &tile<sizeof...(r), vectors, true>};
}
template <size_t vectors>
constexpr auto tiles = make_tiles<vectors>(std::make_index_sequence<tile_rows[vectors]>());

TileFunction* find_tile(size_t vectors, size_t rows, bool pack) {
  const size_t index = pack ? tile_rows[vectors] : rows - 1;
  if (vectors == 1) return tiles<1>[index];
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
  if (vectors == 3) return tiles<3>[index];
  if (vectors == 4) return tiles<4>[index];
#endif
  return tiles<2>[index];
}

#if HWY_TARGET == HWY_SCALAR
constexpr size_t square = 1;
#else
constexpr size_t square = 4;
#endif

// One square of transpose.
HWY_INLINE void transpose_square(const float* from, size_t from_stride, float* to, size_t to_stride, bool add) {
#if HWY_TARGET == HWY_SCALAR
  (void)from_stride, (void)to_stride;
  *to = add ? *to + *from : *from;
#else
  const hn::FixedTag<float, square> d;
  const auto row0 = hn::LoadU(d, from), row1 = hn::LoadU(d, from + from_stride);
  const auto row2 = hn::LoadU(d, from + 2 * from_stride), row3 = hn::LoadU(d, from + 3 * from_stride);
  const auto low02 = hn::InterleaveLower(d, row0, row2), low13 = hn::InterleaveLower(d, row1, row3);
  const auto high02 = hn::InterleaveUpper(d, row0, row2), high13 = hn::InterleaveUpper(d, row1, row3);
  auto column0 = hn::InterleaveLower(d, low02, low13), column1 = hn::InterleaveUpper(d, low02, low13);
  auto column2 = hn::InterleaveLower(d, high02, high13), column3 = hn::InterleaveUpper(d, high02, high13);
  if (add) {
    column0 = hn::Add(hn::LoadU(d, to), column0);
    column1 = hn::Add(hn::LoadU(d, to + to_stride), column1);
    column2 = hn::Add(hn::LoadU(d, to + 2 * to_stride), column2);
    column3 = hn::Add(hn::LoadU(d, to + 3 * to_stride), column3);
  }
  hn::StoreU(column0, d, to);
  hn::StoreU(column1, d, to + to_stride);
  hn::StoreU(column2, d, to + 2 * to_stride);
  hn::StoreU(column3, d, to + 3 * to_stride);
#endif
}

// to[column * to_stride + row] = from[row * from_stride + column] (added to where add). Goes along the side whose rows lie
// farther apart: strides of whole pages share a few lines of the first-level cache.
void transpose(const float* from, size_t from_stride, size_t rows, size_t columns, float* to, size_t to_stride, bool add) {
  const size_t whole_rows = rows / square * square, whole_columns = columns / square * square;
  if (from_stride < to_stride) {
    for (size_t c = 0; c < whole_columns; c += square)
      for (size_t r = 0; r < whole_rows; r += square)
        transpose_square(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride, add);
  } else {
    constexpr size_t chunk = 64;  // of columns: what is written stays near until its lines are whole
    for (size_t begin = 0; begin < whole_columns; begin += chunk)
      for (size_t r = 0; r < whole_rows; r += square)
        for (size_t c = begin, end = std::min(begin + chunk, whole_columns); c < end; c += square)
          transpose_square(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride, add);
  }
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c) {
      float& t = to[c * to_stride + r];
      t = add ? t + from[r * from_stride + c] : from[r * from_stride + c];
    }
}

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

// packed[k][width] from `columns` <= width columns of B; zeros beyond them, which are fewer than a vector.
void pack_panel(const float* b, size_t b_stride, bool b_rows, size_t columns, size_t width, size_t depth, float* packed) {
  const D d;
  const size_t lanes = hn::Lanes(d), whole = columns / lanes * lanes;
  if (b_rows) {
    for (size_t k = 0; k < depth; ++k, b += b_stride, packed += width) {
      for (size_t i = 0; i < whole; i += lanes) hn::Store(hn::LoadU(d, b + i), d, packed + i);
      if (whole < width) hn::Store(load_part(b + whole, columns - whole), d, packed + whole);
    }
  } else {
    transpose(b, b_stride, columns, depth, packed, width, false);
    if (columns < width)
      for (size_t k = 0; k < depth; ++k) std::memset(packed + k * width + columns, 0, (width - columns) * sizeof(float));
  }
}

}  // namespace

GemmTraits Traits() {
  return {static_cast<uint32_t>(hn::Lanes(D())), static_cast<uint32_t>(panel_vectors),
          static_cast<uint32_t>(tile_rows[panel_vectors])};
}

void Pack(const float* b, size_t b_stride, PanelSource b_source, uint32_t columns, uint32_t depth, uint32_t p,
          uint32_t depth_begin, uint32_t depth_end, float* packed) {
  const GemmPanels panels(columns, static_cast<uint32_t>(hn::Lanes(D())), panel_vectors);
  const size_t begin = panels.begin(p), width = panels.begin(p + 1) - begin;
  const bool b_rows = b_source == PanelSource::rows;
  pack_panel(b_rows ? b + depth_begin * b_stride + begin : b + begin * b_stride + depth_begin, b_stride, b_rows,
             std::min<size_t>(width, columns - begin), width, depth_end - depth_begin,
             packed + begin * depth + depth_begin * width);
}

void Block(const GemmBlock& g) {
  const size_t lanes = hn::Lanes(D());
  const GemmPanels panels(g.columns, static_cast<uint32_t>(lanes), panel_vectors);
  float* const a_packed = g.scratch;
  float* const b_packed = a_packed + size_t{gemm_depth} * gemm_block_rows;
  float* const c_buffer = b_packed + gemm_depth * panel_vectors * lanes;
  const size_t rows = g.row_end - g.row_begin;
  const uint32_t block_panels = g.panel_end - g.panel_begin;
  const uint32_t depths = std::max(1u, (g.depth + gemm_depth - 1) / gemm_depth);
  // Elements of one row of A far apart, and used by several panels: worth a copy.
  const bool pack_a = g.a_row == 1 && g.a_k != 1 && block_panels > 1;
  for (uint32_t step = 0; step < depths * block_panels; ++step) {
    // Panel after panel where C goes through a buffer, depth after depth where A does.
    const uint32_t p = g.panel_begin + (g.c_transposed ? step / depths : step % block_panels);
    const uint32_t k = (g.c_transposed ? step % depths : step / block_panels) * gemm_depth;
    const uint32_t depth = std::min(g.depth - k, gemm_depth);
    const bool first = k == 0, last = k + depth == g.depth;
    const size_t begin = panels.begin(p), width = panels.begin(p + 1) - begin, vectors = width / lanes;
    const size_t columns = std::min<size_t>(width, g.columns - begin);
    const size_t most_rows = tile_rows[vectors];
    const float* a = g.a + g.row_begin * g.a_row + k * g.a_k;
    TileArguments t{};
    t.a_row = g.a_row;
    t.a_k = g.a_k;
    if (pack_a) {
      if (p == g.panel_begin)
        for (size_t i = 0; i < depth; ++i) std::memcpy(a_packed + i * rows, a + i * g.a_k, rows * sizeof(float));
      a = a_packed;
      t.a_k = rows;
    }
    t.depth = depth;
    t.columns = static_cast<uint32_t>(columns);
    t.add = !first || (g.accumulate && !g.c_transposed);
    t.relu = last && g.relu;
    t.bias = last && g.bias ? g.bias + begin : nullptr;
    t.packed = b_packed;
    t.b = b_packed;
    t.b_stride = width;
    bool pack = false;
    if (g.b_source == PanelSource::packed) {
      t.b = g.b + begin * g.depth + k * width;
    } else if (g.b_source == PanelSource::columns) {
      pack_panel(g.b + begin * g.b_stride + k, g.b_stride, false, columns, width, depth, b_packed);
    } else if (columns < width) {
      pack_panel(g.b + k * g.b_stride + begin, g.b_stride, true, columns, width, depth, b_packed);
    } else {
      t.b = g.b + k * g.b_stride + begin;
      t.b_stride = g.b_stride;
      pack = rows > most_rows;
    }
    // While later tiles are summed: this panel's next rows of B, a line of each with every tile.
    const bool fetch_b = t.b != b_packed && !last;
    const float* const b_next = t.b + depth * t.b_stride;
    const size_t b_next_stride = t.b_stride, b_next_lines = (width + line_floats - 1) / line_floats;
    float* const c = g.c_transposed ? c_buffer : g.c + g.row_begin * g.c_stride + begin;
    t.c_stride = g.c_transposed ? width : g.c_stride;
    size_t tile_index = 0;
    for (size_t row = 0, height; row < rows; row += height, ++tile_index) {
      // Equal heights, but for the first one that copies B.
      const size_t left = rows - row;
      height = pack ? most_rows : left / ((left + most_rows - 1) / most_rows);
      t.a = a + row * t.a_row;
      t.a_next = t.a_k == 1 && row + 2 * most_rows <= rows ? t.a + height * t.a_row : nullptr;
      const bool fetch = fetch_b && tile_index >= 1 && tile_index <= b_next_lines;
      t.b_next = fetch ? b_next + (tile_index - 1) * line_floats : nullptr;
      t.b_next_stride = b_next_stride;
      t.c = c + row * t.c_stride;
      find_tile(vectors, height, pack)(t);
      if (pack) {
        t.b = b_packed;
        t.b_stride = width;
        pack = false;
      }
    }
    if (g.c_transposed && last)
      transpose(c_buffer, width, rows, columns, g.c + begin * g.c_stride + g.row_begin, g.c_stride, g.accumulate);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {
LT_HIGHWAY_TABLE(GemmTraitsFunction*, gemm_traits_table, Traits);
LT_HIGHWAY_TABLE(GemmBlockFunction*, gemm_block_table, Block);
LT_HIGHWAY_TABLE(GemmPackFunction*, gemm_pack_table, Pack);
}  // namespace lt::cpu::highway
#endif
