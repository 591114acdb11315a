// The walk of one block of a matrix product over its register tiles, compiled for every instruction set. A block goes pass
// by pass, a pass being one panel of B, some depth of k and all rows. The first tile of a pass copies B's rows to scratch
// on its way, the others read them there, without strides. No memory of its own; any thread may run any block.
#include "backends/cpu/highway/gemm_block.h"

#include <algorithm>
#include <cstring>

#include "src/base/checked.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/gemm_block.cpp"
#include <hwy/foreach_target.h>
// clang-format off: after the line above
#include "backends/cpu/highway/gemm_pack_inl.h"
#include "backends/cpu/highway/gemm_tile_inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {

GemmTraits Traits() {
  return {static_cast<uint32_t>(hn::Lanes(D())), static_cast<uint32_t>(panel_vectors),
          static_cast<uint32_t>(tile_rows[panel_vectors]), most_depth};
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

namespace {

// A panel of B for some depth of k.
struct Pass {
  uint32_t k, depth;
  size_t begin, width, columns;  // columns: of C that exist
  bool first_panel;
};

// A B so small is near anyway.
constexpr uint64_t near_floats = 16 << 10;

class Walk {
 public:
  explicit Walk(const GemmBlock& block)
      : g_(block),
        lanes_(hn::Lanes(D())),
        rows_(block.row_end - block.row_begin),
        panels_(block.columns, static_cast<uint32_t>(lanes_), panel_vectors),
        depth_step_(gemm_depth_step(block.depth, most_depth)),
        depths_(std::max(1u, (block.depth + depth_step_ - 1) / depth_step_)),
        block_panels_(block.panel_end - block.panel_begin),
        // Elements of one row of A far apart, and used by several panels one after the other: worth a copy.
        packs_a_(block.a_row == 1 && block.a_k != 1 && block_panels_ > 1 && !block.c_transposed),
        a_packed_k_(gemm_packed_rows(rows_)),
        most_rows_(tile_rows[(panels_.vectors + panels_.panels - 1) / panels_.panels]),
        tile_count_((rows_ + most_rows_ - 1) / most_rows_),
        fetches_b_(tile_count_ > 2 && uint64_t{block.depth} * block.columns > near_floats),
        a_packed_(block.scratch),
        b_packed_(a_packed_ + most_depth * gemm_packed_rows(gemm_block_rows)),
        c_buffer_(b_packed_ + most_depth * panel_vectors * lanes_) {}

  void run() {
    const uint32_t steps = depths_ * block_panels_;
    Pass next = pass_at(0);
    for (uint32_t step = 0; step < steps; ++step) {
      const Pass pass = next;
      next = step + 1 < steps ? pass_at(step + 1) : pass_of(g_.next_panel, 0);
      run_pass(pass, next, step, step + 1 < steps);
    }
  }

 private:
  // Panel after panel where C goes through a buffer, depth after depth else: A's rows stay near then.
  Pass pass_at(uint32_t step) const {
    return g_.c_transposed ? pass_of(g_.panel_begin + step / depths_, step % depths_ * depth_step_)
                           : pass_of(g_.panel_begin + step % block_panels_, step / block_panels_ * depth_step_);
  }
  Pass pass_of(uint32_t p, uint32_t k) const {
    const size_t begin = panels_.begin(p), width = panels_.begin(p + 1) - begin;
    return {k,     std::min(g_.depth - k, depth_step_),         begin,
            width, std::min<size_t>(width, g_.columns - begin), p == g_.panel_begin};
  }

  // The first tile, which may have to copy B, is as high as can be, the others are equal.
  size_t tile_begin(size_t tile) const {
    return tile == 0 ? 0 : tile == tile_count_ ? rows_ : most_rows_ + (tile - 1) * (rows_ - most_rows_) / (tile_count_ - 1);
  }

  const float* a_at(const Pass& pass) const { return g_.a + g_.row_begin * g_.a_row + pass.k * g_.a_k; }
  float* c_at(const Pass& pass) const {
    return g_.c_transposed ? c_buffer_ : g_.c + g_.row_begin * g_.c_stride + pass.begin;
  }
  size_t c_stride_at(const Pass& pass) const { return g_.c_transposed ? pass.width : g_.c_stride; }

  // [k][row].
  void pack_a(const Pass& pass) const {
    const float* from = a_at(pass);
    for (uint32_t k = 0; k < pass.depth; ++k, from += g_.a_k)
      std::memcpy(a_packed_ + k * a_packed_k_, from, rows_ * sizeof(float));
  }

  // What a tile fetches of A: the rows of the one after it; where A is copied, lines of what will be copied next, as many k
  // of one line as the tile comes to, in front of the panel that it is copied for.
  void fetch_a(const Pass& next, size_t tile, size_t height, size_t steps, bool last_tile, Tile* t) const {
    t->a_next = nullptr;
    if (packs_a_ && next.first_panel && next.k != 0) {
      const size_t ks = divide_up(next.depth, steps) * most_rows_, tiles_a_line = divide_up(next.depth, ks);
      const size_t line = tile / tiles_a_line * line_floats;
      if (line >= rows_) return;
      t->a_next = a_at(next) + line + tile % tiles_a_line * ks * g_.a_k;
      t->a_next_stride = g_.a_k;
      t->a_next_step = height * g_.a_k;
    } else if (!packs_a_ && g_.a_k == 1) {
      t->a_next = last_tile ? a_at(next) : t->a + height * g_.a_row;
      t->a_next_stride = g_.a_row;
      t->a_next_step = steps;
    }
  }

  // Where this pass's tiles find B. True where the first of them has to copy it.
  bool place_b(const Pass& pass, Tile* t) const {
    t->packed = b_packed_;
    t->b = b_packed_;
    t->b_stride = pass.width;
    if (g_.b_source == PanelSource::packed) {
      t->b = g_.b + pass.begin * g_.depth + pass.k * pass.width;
    } else if (g_.b_source == PanelSource::columns) {
      pack_panel(g_.b + pass.begin * g_.b_stride + pass.k, g_.b_stride, false, pass.columns, pass.width, pass.depth,
                 b_packed_);
    } else if (pass.columns < pass.width) {
      pack_panel(g_.b + pass.k * g_.b_stride + pass.begin, g_.b_stride, true, pass.columns, pass.width, pass.depth,
                 b_packed_);
    } else {
      t->b = g_.b + pass.k * g_.b_stride + pass.begin;
      t->b_stride = g_.b_stride;
      return tile_count_ > 1;
    }
    return false;
  }

  // What is fetched of B: rows as they lie in memory, in pieces of some lines.
  struct Fetch {
    const float* from;
    size_t stride, rows, pieces;
    size_t first_tile, tiles;  // how many share it, and which of them is the pass's first
  };
  static size_t pieces_of(size_t floats) { return divide_up(floats, fetch_lines * line_floats); }

  // The next pass's panel, by the tiles of this one.
  Fetch fetch_of(const Pass& next) const {
    if (g_.b_source == PanelSource::columns)
      return {g_.b + next.begin * g_.b_stride + next.k, g_.b_stride, next.columns, pieces_of(next.depth), 0, tile_count_};
    if (g_.b_source == PanelSource::rows)
      return {g_.b + next.k * g_.b_stride + next.begin, g_.b_stride, next.depth, pieces_of(next.columns), 0, tile_count_};
    return {g_.b + next.begin * g_.depth + next.k * next.width, 0, 1, pieces_of(next.width * next.depth), 0, tile_count_};
  }
  // Where B lies in rows and all panels meet at a step in k: those of all panels at the next step in k, by the tiles of all
  // passes of this one. The longer the pieces of memory, the more of them the processor fetches by itself. After the last
  // step, what the next block begins with.
  Fetch fetch_rows(uint32_t step) const {
    const uint32_t next_step = step / block_panels_ * block_panels_ + block_panels_;
    const bool same_block = next_step < depths_ * block_panels_;
    const Pass next = same_block ? pass_at(next_step) : pass_of(g_.next_panel, 0);
    const uint32_t end = std::min((same_block ? g_.panel_begin : g_.next_panel) + block_panels_, panels_.panels);
    const size_t columns = std::min<size_t>(panels_.begin(end), g_.columns) - next.begin;
    return {g_.b + next.k * g_.b_stride + next.begin,
            g_.b_stride,
            next.depth,
            pieces_of(columns),
            step % block_panels_ * tile_count_,
            block_panels_ * tile_count_};
  }

  // This tile's share, a little in each of its parts.
  void fetch_b(const Fetch& fetch, size_t tile, size_t parts, Tile* t) const {
    if (!fetches_b_) return;
    const size_t count = fetch.rows * fetch.pieces;
    const size_t begin = count * (fetch.first_tile + tile) / fetch.tiles;
    const size_t end = count * (fetch.first_tile + tile + 1) / fetch.tiles;
    t->b_next_count = end - begin;
    t->b_next_each = divide_up(t->b_next_count, parts);
    t->b_next_piece = begin % fetch.pieces;
    t->b_next_pieces = fetch.pieces;
    t->b_next_stride = fetch.stride;
    t->b_next = fetch.from + begin / fetch.pieces * fetch.stride + t->b_next_piece * fetch_lines * line_floats;
  }

  void run_pass(const Pass& pass, const Pass& next, uint32_t step, bool same_block) const {
    const bool first = pass.k == 0, last = pass.k + pass.depth == g_.depth;
    if (packs_a_ && pass.first_panel) pack_a(pass);
    Tile t{};
    bool pack = place_b(pass, &t);
    const size_t vectors = pass.width / lanes_;
    float* const c = c_at(pass);
    t.a_row = packs_a_ ? 1 : g_.a_row;
    t.depth = pass.depth;
    t.columns = static_cast<uint32_t>(pass.columns);
    t.c_stride = c_stride_at(pass);
    t.add = !first || (g_.accumulate && !g_.c_transposed);
    t.relu = last && g_.relu;
    t.descend = g_.descend;
    t.rate = g_.rate;
    t.bias = last && g_.bias ? g_.bias + pass.begin : nullptr;
    const Fetch fetch = g_.b_source == PanelSource::rows && !g_.c_transposed ? fetch_rows(step) : fetch_of(next);
    const size_t steps = fetch_steps(vectors),
                 parts = std::max<size_t>(1, divide_up(pass.depth, steps));  // of a tile, each with its fetches
    for (size_t tile = 0, row = 0, end; tile < tile_count_; ++tile, row = end) {
      end = tile_begin(tile + 1);
      const size_t height = end - row;
      const bool last_tile = end == rows_;
      if (packs_a_) {
        t.a = a_packed_ + row;
        t.a_k = a_packed_k_;
      } else {
        t.a = a_at(pass) + row * g_.a_row;
        t.a_k = g_.a_k;
      }
      fetch_a(next, tile, height, steps, last_tile, &t);
      t.c = c + row * t.c_stride;
      t.c_next = last_tile ? c_at(next) : t.c + height * t.c_stride;
      t.c_next_stride = last_tile ? c_stride_at(next) : t.c_stride;
      t.c_next_rows = last_tile && !same_block ? 0 : divide_up(height, parts);
      fetch_b(fetch, tile, parts, &t);
      find_tile(vectors, height, pack)(t);
      if (pack) {
        t.b = b_packed_;
        t.b_stride = pass.width;
        pack = false;
      }
    }
    if (g_.c_transposed && last)
      transpose(c_buffer_, pass.width, rows_, pass.columns, g_.c + pass.begin * g_.c_stride + g_.row_begin, g_.c_stride,
                g_.accumulate);
  }

  const GemmBlock& g_;
  size_t lanes_, rows_;
  GemmPanels panels_;
  uint32_t depth_step_, depths_, block_panels_;
  bool packs_a_;
  size_t a_packed_k_, most_rows_, tile_count_;
  bool fetches_b_;
  float *a_packed_, *b_packed_, *c_buffer_;
};

}  // namespace

void Block(const GemmBlock& block) { Walk(block).run(); }

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
