// The convolutions' matrix products in register tiles of some rows times some vectors of columns: Winograd's, of tiles x
// channels, and the weights' gradients, summed over tiles or pixels. Compiled once a target into each file that includes
// it, after hwy/highway.h. Nothing here owns memory; any thread may call.
//
// Columns past the last whole vector, where they are few, are not worth a vector of their own: in the products they are dot
// products along the input channels, in the sums rows and columns change their parts.
#if defined(LT_CONV2D_TILES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LT_CONV2D_TILES_INL_H
#undef LT_CONV2D_TILES_INL_H
#else
#define LT_CONV2D_TILES_INL_H
#endif

#include "backends/cpu/highway/conv2d_inl.h"
#include "backends/cpu/highway/fetch_ahead.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

// Rows of a register tile of so many vectors; 24 sums leave room for a row of vectors and a number in 32 registers.
#if HWY_TARGET == HWY_AVX3
constexpr uint32_t most_vectors = 4, most_tile_rows = 12;
constexpr uint32_t tile_rows(uint32_t vectors) { return vectors == 4 ? 6 : vectors == 3 ? 8 : 12; }
#else
constexpr uint32_t most_vectors = 2, most_tile_rows = 6;
constexpr uint32_t tile_rows(uint32_t) { return 6; }
#endif
constexpr uint32_t group_unit = 24;  // a multiple of all of them

// Columns that are computed for a tail of so many: a quarter of a vector holds four of them, two twice, or one four times.
constexpr uint32_t tail_width(uint32_t tail) { return tail > 2 ? 4 : tail; }

// The next panel's vectors: as even as they come.
HWY_INLINE uint32_t next_panel(uint32_t rest) {
  const uint32_t panels = (rest + most_vectors - 1) / most_vectors;
  return (rest + panels - 1) / panels;
}

template <size_t Rows, size_t N>
HWY_INLINE void add_products(const float* const (&a)[Rows], size_t at, const V (&b)[N], V (&sums)[Rows][N]) {
  LT_CONV2D_UNROLL for (size_t r = 0; r < Rows; ++r) {
    V value = hn::Set(D(), a[r][at]);
    keep_in_register(value);
    LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) sums[r][j] = hn::MulAdd(value, b[j], sums[r][j]);
  }
}

// How many register tiles multiply_panels goes through and, with `far_weights`, leaves to `ahead`.
HWY_INLINE uint64_t panel_tiles(uint32_t vectors, uint32_t tiles, bool far_weights) {
  uint64_t count = 0;
  for (uint32_t first = 0, width = 0; first < vectors; first += width) {
    width = next_panel(vectors - first);
    const uint32_t rows = tile_rows(width), all = (tiles + rows - 1) / rows;
    count += far_weights ? (all + 1) / 2 : all;
  }
  return count;
}

// to[tile][column] = sum over k of inputs[tile][k] * weight[k][column] for one panel of N vectors. Whole register tiles:
// what lies behind the last tile is computed too. far_weights: they come from the third cache, once a group; every second
// register tile then fetches some of the next panel's, which lie behind this one's.
template <size_t N>
HWY_NOINLINE LT_CONV2D_LINE void multiply_panel(const float* inputs, uint64_t in_step, uint32_t tiles, const float* weight,
                                                uint32_t in_channels, float* to, uint64_t out_step, bool far_weights,
                                                FetchAhead& ahead) {
  constexpr size_t rows = tile_rows(N);
  constexpr uint64_t line = 64;
  const char* next = reinterpret_cast<const char*>(weight + uint64_t{in_channels} * N * lanes);
  for (uint32_t tile = 0; tile < tiles; tile += rows, inputs += rows * in_step, to += rows * out_step) {
    const bool fetches_weights = far_weights && tile / rows % 2 != 0;
    FetchSlice<1> slice = fetches_weights ? FetchSlice<1>{next, line} : ahead.slice<1>(in_channels);
    if (fetches_weights) next += in_channels * line;
    const float* a[rows];
    V sums[rows][N];
    LT_CONV2D_UNROLL for (size_t r = 0; r < rows; ++r) {
      a[r] = inputs + r * in_step;
      LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) sums[r][j] = hn::Zero(D());
    }
    const float* w = weight;
    for (size_t k = 0; k < in_channels; ++k, w += N * lanes) {
      slice.fetch();
      V b[N];
      LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) b[j] = hn::LoadU(D(), w + j * lanes);
      add_products(a, k, b, sums);
    }
    float* at = to;
    LT_CONV2D_UNROLL for (size_t r = 0; r < rows; ++r) {
      LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) hn::StoreU(sums[r][j], D(), at + j * lanes);
      at = as_it_is(at + out_step);
    }
  }
}

HWY_INLINE void multiply_panels(const float* inputs, uint64_t in_step, uint32_t tiles, const float* weight,
                                uint32_t in_channels, uint32_t vectors, float* to, uint64_t out_step, bool far_weights,
                                FetchAhead& ahead) {
  for (uint32_t first = 0, width = 0; first < vectors; first += width) {
    width = next_panel(vectors - first);
    const auto run = [&](auto panel) HWY_ATTR {
      panel(inputs, in_step, tiles, weight + uint64_t{first} * in_channels * lanes, in_channels, to + first * lanes,
            out_step, far_weights, ahead);
    };
    if (width == 1) run(&multiply_panel<1>);
    if (width == 2) run(&multiply_panel<2>);
    if constexpr (most_vectors > 2) {
      if (width == 3) run(&multiply_panel<3>);
      if (width == 4) run(&multiply_panel<4>);
    }
  }
}

#if HWY_TARGET != HWY_SCALAR
// The sums of four vectors' lanes.
HWY_INLINE void sum_lanes(const V (&v)[4], float* to) {
  const hn::RepartitionToWide<D> pairs;
  const V ab = hn::Add(hn::InterleaveLower(D(), v[0], v[1]), hn::InterleaveUpper(D(), v[0], v[1]));
  const V cd = hn::Add(hn::InterleaveLower(D(), v[2], v[3]), hn::InterleaveUpper(D(), v[2], v[3]));
  const auto low = hn::InterleaveLower(pairs, hn::BitCast(pairs, ab), hn::BitCast(pairs, cd));
  const auto high = hn::InterleaveUpper(pairs, hn::BitCast(pairs, ab), hn::BitCast(pairs, cd));
  const V four = hn::Add(hn::BitCast(D(), low), hn::BitCast(D(), high));
  if constexpr (lanes == 16) {
    const hn::Half<D> d8;
    const hn::Half<decltype(d8)> d4;
    const auto eight = hn::Add(hn::LowerHalf(d8, four), hn::UpperHalf(d8, four));
    hn::StoreU(hn::Add(hn::LowerHalf(d4, eight), hn::UpperHalf(d4, eight)), d4, to);
  } else if constexpr (lanes == 8) {
    const hn::Half<D> d4;
    hn::StoreU(hn::Add(hn::LowerHalf(d4, four), hn::UpperHalf(d4, four)), d4, to);
  } else {
    hn::StoreU(four, D(), to);
  }
}
#else
HWY_INLINE void sum_lanes(const V (&v)[4], float* to) {
  LT_CONV2D_UNROLL for (size_t i = 0; i < 4; ++i) hn::StoreU(v[i], D(), to + i);
}
#endif

// to[tile][column] = the dot product of inputs[tile] and weight[column], of `vectors` vectors with zeros behind the last
// channel, for `Width` columns of a tail.
template <size_t Width>
HWY_NOINLINE void multiply_tail(const float* inputs, uint64_t in_step, uint32_t tiles, const float* weight,
                                uint32_t vectors, float* to, uint64_t out_step) {
  constexpr size_t rows = 4 / Width, groups = 2;
  for (uint32_t tile = 0; tile < tiles; tile += groups * rows) {
    V sums[groups][4];
    LT_CONV2D_UNROLL for (size_t g = 0; g < groups; ++g) LT_CONV2D_UNROLL for (size_t i = 0; i < 4; ++i) sums[g][i] =
        hn::Zero(D());
    for (size_t k = 0; k < vectors * lanes; k += lanes) {
      V w[Width];
      LT_CONV2D_UNROLL for (size_t j = 0; j < Width; ++j) w[j] = hn::LoadU(D(), weight + j * vectors * lanes + k);
      LT_CONV2D_UNROLL for (size_t g = 0; g < groups; ++g) LT_CONV2D_UNROLL for (size_t r = 0; r < rows; ++r) {
        const V x = hn::LoadU(D(), inputs + (g * rows + r) * in_step + k);
        LT_CONV2D_UNROLL for (size_t j = 0; j < Width; ++j) sums[g][r * Width + j] =
            hn::MulAdd(x, w[j], sums[g][r * Width + j]);
      }
    }
    LT_CONV2D_UNROLL for (size_t g = 0; g < groups; ++g) {
      float four[4];
      sum_lanes(sums[g], four);
      LT_CONV2D_UNROLL for (size_t r = 0; r < rows; ++r)
          std::memcpy(to + (g * rows + r) * out_step, four + r * Width, Width * sizeof(float));
    }
    inputs += groups * rows * in_step;
    to += groups * rows * out_step;
  }
}

// sums[row][column] (+)= sum over the tiles of a[tile][row] * b[tile][column] for Rows rows and N vectors of columns.
template <size_t Rows, size_t N>
HWY_NOINLINE void sum_tile(const float* a, uint64_t a_step, const float* b, uint64_t b_step, uint32_t tiles, bool add,
                           float* sums, uint64_t sums_step, FetchSlice<2> ahead) {
  V s[Rows][N];
  // The sums come from the second cache while the products are made.
  float* near = sums;
  LT_CONV2D_UNROLL for (size_t r = 0; r < Rows; ++r) {
    LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) {
      s[r][j] = hn::Zero(D());
      __builtin_prefetch(near + j * lanes, 1, 3);
    }
    near = as_it_is(near + sums_step);
  }
  for (uint32_t tile = 0; tile < tiles; ++tile, a += a_step, b += b_step) {
    ahead.fetch();
    V v[N];
    LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) v[j] = hn::LoadU(D(), b + j * lanes);
    LT_CONV2D_UNROLL for (size_t r = 0; r < Rows; ++r) {
      V value = hn::Set(D(), a[r]);
      keep_in_register(value);
      LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) s[r][j] = hn::MulAdd(value, v[j], s[r][j]);
    }
  }
  LT_CONV2D_UNROLL for (size_t r = 0; r < Rows; ++r) {
    LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) {
      float* const at = sums + j * lanes;
      hn::StoreU(add ? hn::Add(hn::LoadU(D(), at), s[r][j]) : s[r][j], D(), at);
    }
    sums = as_it_is(sums + sums_step);
  }
}

// Most rows of a tile of sums, which loads a vector for all of its rows at once: with three vectors, 27 sums, they and a
// number fill 31 registers.
#if HWY_TARGET == HWY_AVX3
constexpr uint32_t sum_rows(uint32_t vectors) { return vectors == 3 ? 9 : tile_rows(vectors); }
#else
constexpr uint32_t sum_rows(uint32_t vectors) { return tile_rows(vectors); }
#endif

using SumTile = void(const float*, uint64_t, const float*, uint64_t, uint32_t, bool, float*, uint64_t, FetchSlice<2>);

template <size_t Rows, size_t N>
constexpr SumTile* sum_tile_entry() {
  if constexpr (Rows <= sum_rows(N)) {
    return &sum_tile<Rows, N>;
  } else {
    return nullptr;
  }
}
template <size_t... I>
constexpr std::array<SumTile*, sizeof...(I)> sum_tile_entries(std::index_sequence<I...>) {
  return {sum_tile_entry<I / most_vectors + 1, I % most_vectors + 1>()...};
}

// How many register tiles sum_panels goes through.
HWY_INLINE uint64_t sum_tiles(uint32_t rows, uint32_t vectors) {
  uint64_t count = 0;
  for (uint32_t first = 0, width = 0; first < vectors; first += width) {
    width = next_panel(vectors - first);
    count += (rows + sum_rows(width) - 1) / sum_rows(width);
  }
  return count;
}

// The whole matrix: `rows` rows, `vectors` vectors of columns.
HWY_INLINE void sum_panels(const float* a, uint64_t a_step, uint32_t rows, const float* b, uint64_t b_step,
                           uint32_t vectors, uint32_t tiles, bool add, float* sums, uint64_t sums_step, FetchAhead& ahead) {
  static constexpr auto table = sum_tile_entries(std::make_index_sequence<most_tile_rows * most_vectors>());
  for (uint32_t first = 0, width = 0; first < vectors; first += width) {
    width = next_panel(vectors - first);
    const uint32_t most = sum_rows(width), blocks = (rows + most - 1) / most;
    for (uint32_t block = 0, row = 0; block < blocks; ++block) {
      const uint32_t count = rows / blocks + (block < rows % blocks ? 1 : 0);
      table[(count - 1) * most_vectors + width - 1](a + row, a_step, b + first * lanes, b_step, tiles, add,
                                                    sums + row * sums_step + first * lanes, sums_step,
                                                    ahead.slice<2>(tiles));
      row += count;
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#endif  // LT_CONV2D_TILES_INL_H
