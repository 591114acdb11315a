#include "backends/cpu/highway/conv2d_backward.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/conv2d_backward.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/highway/conv2d_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

// Sums in registers, beside the gradient; without FMA a product needs a register of its own.
#if HWY_TARGET == HWY_AVX3
constexpr uint32_t most_sums = 30;
#else
constexpr uint32_t most_sums = 12;
#endif
constexpr uint32_t most_vectors = 10, most_rows = 5, part_bytes = 40960;

// Gradients that are not zero, and where the rows to multiply them with start.
struct List {
  const float* gradients;
  const uint32_t* offsets;
  uint32_t count;
};

// What one window of dx gets: a list, and where the window starts.
struct DxWindow {
  uint32_t first, count, place;
};

template <size_t... J>
HWY_INLINE void load_row(const float* from, V* HWY_RESTRICT sums, std::index_sequence<J...>) {
  ((sums[J] = hn::LoadU(D(), from + J * lanes)), ...);
}

template <size_t... J>
HWY_INLINE void add_row(const float* from, V gradient, V* HWY_RESTRICT sums, std::index_sequence<J...>) {
  ((sums[J] = hn::MulAdd(gradient, hn::LoadU(D(), from + J * lanes), sums[J])), ...);
}

template <size_t... J>
HWY_INLINE void store_row(const V* HWY_RESTRICT sums, float* to, std::index_sequence<J...>) {
  (hn::StoreU(sums[J], D(), to + J * lanes), ...);
}

template <size_t Vectors, size_t... R>
HWY_INLINE void load_rows(const float* from, uint64_t step, V* HWY_RESTRICT sums, std::index_sequence<R...>) {
  ((load_row(from, sums + R * Vectors, std::make_index_sequence<Vectors>()), from = as_it_is(from + step)), ...);
}

template <size_t Vectors, size_t... R>
HWY_INLINE void add_product(const float* from, uint64_t step, V gradient, V* HWY_RESTRICT sums, std::index_sequence<R...>) {
  ((add_row(from, gradient, sums + R * Vectors, std::make_index_sequence<Vectors>()), from = as_it_is(from + step)), ...);
}

template <size_t Vectors, size_t... R>
HWY_INLINE void store_rows(const V* HWY_RESTRICT sums, float* to, uint64_t step, std::index_sequence<R...>) {
  ((store_row(sums + R * Vectors, to, std::make_index_sequence<Vectors>()), to = as_it_is(to + step)), ...);
}

// to[row][vector] += gradient * from[offset + row][vector], for the whole list.
template <size_t Rows, size_t Vectors>
HWY_NOINLINE void add_rows(float* to, uint64_t to_step, const float* from, uint64_t from_step, const List& list) {
  constexpr auto rows = std::make_index_sequence<Rows>();
  V sums[Rows * Vectors];
  load_rows<Vectors>(to, to_step, sums, rows);
  const float* const gradients = list.gradients;
  const uint32_t* const offsets = list.offsets;
  for (size_t i = 0, count = list.count; i < count; ++i)
    add_product<Vectors>(as_it_is(from + offsets[i]), from_step, hn::Set(D(), gradients[i]), sums, rows);
  store_rows<Vectors>(sums, to, to_step, rows);
}

using AddRows = void(float*, uint64_t, const float*, uint64_t, const List&);

template <size_t Rows, size_t Vectors>
constexpr AddRows* add_rows_entry() {
  if constexpr (Rows * Vectors <= most_sums) {
    return &add_rows<Rows, Vectors>;
  } else {
    return nullptr;
  }
}

template <size_t... I>
constexpr std::array<AddRows*, most_rows * most_vectors> add_rows_entries(std::index_sequence<I...>) {
  return {add_rows_entry<I / most_vectors + 1, I % most_vectors + 1>()...};
}

AddRows* add_rows_of(uint32_t rows, uint32_t vectors) {
  static constexpr auto table = add_rows_entries(std::make_index_sequence<most_rows * most_vectors>());
  return table[(rows - 1) * most_vectors + vectors - 1];
}

HWY_INLINE uint32_t share_evenly(uint32_t total, uint32_t most) {
  const uint32_t parts = (total + most - 1) / most;
  return (total + parts - 1) / parts;
}

// Calls body(add, kernel row, first vector) for each part of a kernel that fits the registers.
template <class Body>
HWY_INLINE void for_each_part(const Conv2dShape& s, const Conv2dBackwardLayout& layout, const Body& body,
                              uint32_t most = most_sums) {
  const uint32_t vectors_each = share_evenly(layout.row_vectors, std::min(most_vectors, most));
  const uint32_t rows_each = share_evenly(s.kernel, std::min(most_rows, most / vectors_each));
  for (uint32_t row = 0; row < s.kernel; row += rows_each)
    for (uint32_t vector = 0; vector < layout.row_vectors; vector += vectors_each)
      body(add_rows_of(std::min(rows_each, s.kernel - row), std::min(vectors_each, layout.row_vectors - vector)), row,
           vector);
}

// From one output channel's list to the next: whole vectors, an odd number of them, so that the lists of neighbouring
// channels do not meet in the same lines of the cache.
uint64_t list_step(const Conv2dShape& s) { return ((s.y_pixels() + lanes - 1) / lanes | 1) * lanes; }

Conv2dBackwardLayout BackwardPlan(const Conv2dShape& s, bool needs_dx) {
  Conv2dBackwardLayout p{};
  p.row_vectors = static_cast<uint32_t>((uint64_t{s.kernel} * s.in_channels + lanes - 1) / lanes);
  p.row_floats = p.row_vectors * lanes;
  p.kernel_floats = p.row_floats * s.kernel;
  p.weight_floats = align(p.kernel_floats * s.out_channels);
  p.padded_floats = align(uint64_t{s.padded_height()} * s.padded_width() * s.in_channels + lanes);
  p.x = 0;
  p.dx = p.x + p.padded_floats;
  p.dz = p.dx + (needs_dx ? p.padded_floats : 0);
  // Lists of `lanes` output channels after others while dweight is made, then of one winner's place after another for dx.
  p.gradients = p.dz + align(s.y_elements() + lanes);
  p.list_floats = align(std::max<uint64_t>(lanes * list_step(s), needs_dx ? s.y_elements() + lanes : 0));
  p.offsets = p.gradients + p.list_floats;
  p.unsorted = p.offsets + p.list_floats;
  const uint64_t window_floats = align(s.y_pixels() * s.pool_kernel * s.pool_kernel * (sizeof(DxWindow) / sizeof(float)));
  p.windows = p.unsorted + (needs_dx ? window_floats : 0);
  p.lengths = p.windows + (needs_dx ? window_floats : 0);
  p.scratch_floats = p.lengths + (needs_dx ? align(s.out_channels + 1) : 0);
  return p;
}

void PackRows(const Conv2dShape& s, const Conv2dBackwardLayout& layout, const float* weight, uint32_t kernel_row,
              float* packed) {
  const uint64_t count = uint64_t{s.kernel} * s.in_channels;
  const float* from = weight + kernel_row * count * s.out_channels;
  for (uint32_t channel = 0; channel < s.out_channels; ++channel) {
    float* to = packed + channel * layout.kernel_floats + kernel_row * layout.row_floats;
    for (uint64_t i = 0; i < count; ++i) to[i] = from[i * s.out_channels + channel];
    for (uint64_t i = count; i < layout.row_floats; ++i) to[i] = 0;
  }
}

void BackwardStart(const Conv2dBackwardTask& task, float* scratch) {
  const Conv2dBackwardLayout& layout = *task.layout;
  std::memset(task.dweight, 0, layout.weight_floats * sizeof(float));
  std::memset(task.dbias, 0, task.shape->out_channels * sizeof(float));
  std::memset(scratch + layout.x, 0, layout.padded_floats * sizeof(float));
}

void add_bias_gradients(const Conv2dShape& s, const float* dz, float* dbias) {
  const uint64_t pixels = s.y_pixels();
  uint32_t channel = 0;
  for (; channel + lanes <= s.out_channels; channel += lanes) {
    V sum = hn::Zero(D());
    for (uint64_t pixel = 0; pixel < pixels; ++pixel)
      sum = hn::Add(sum, hn::LoadU(D(), dz + pixel * s.out_channels + channel));
    hn::StoreU(hn::Add(hn::LoadU(D(), dbias + channel), sum), D(), dbias + channel);
  }
  for (; channel < s.out_channels; ++channel) {
    float sum = 0;
    for (uint64_t pixel = 0; pixel < pixels; ++pixel) sum += dz[pixel * s.out_channels + channel];
    dbias[channel] += sum;
  }
}

// The winners' bytes of `lanes` channels as numbers; `bytes` more may be read.
HWY_INLINE Index load_winners(const uint8_t* from, uint64_t bytes) {
  const hn::Rebind<uint8_t, D> narrow;
  if (bytes >= lanes) return hn::PromoteTo(DI(), hn::LoadU(narrow, from));
  HWY_ALIGN uint8_t buffer[16] = {};
  for (uint64_t i = 0; i < bytes; ++i) buffer[i] = from[i];
  return hn::PromoteTo(DI(), hn::LoadU(narrow, buffer));
}

HWY_INLINE hn::Mask<D> is_not_zero(V gradient) { return hn::Not(hn::Eq(gradient, hn::Zero(D()))); }  // NaN is not zero

// The offset of each winner's window, of `lanes` channels of one pixel.
HWY_INLINE Index winner_offsets(const Conv2dBackwardTask& task, const uint8_t* argmax, uint64_t pixel, uint32_t channel) {
  const Conv2dShape& s = *task.shape;
  const Index place = hn::Set(DI(), static_cast<int32_t>(task.places[pixel]));
  if (argmax == nullptr) return place;
  const uint64_t at = pixel * s.out_channels + channel;
  const Index winner = load_winners(argmax + at, s.y_elements() - at);
  const int32_t* subplaces = reinterpret_cast<const int32_t*>(task.subplaces);
  if (s.pool_kernel != 2) return hn::Add(place, hn::GatherIndex(DI(), subplaces, winner));
  const Index right = hn::And(hn::Neg(hn::And(winner, hn::Set(DI(), 1))), hn::Set(DI(), subplaces[1]));
  const Index below = hn::IfThenElseZero(hn::Gt(winner, hn::Set(DI(), 1)), hn::Set(DI(), subplaces[2]));
  return hn::Add(place, hn::Add(right, below));
}

// to[channel * step + 0..3] = rows 0..3 of `channel`, for `lanes` channels.
HWY_INLINE void store_columns(Index row0, Index row1, Index row2, Index row3, int32_t* to, uint64_t step) {
#if HWY_TARGET == HWY_SCALAR
  const Index rows[4] = {row0, row1, row2, row3};
  for (size_t i = 0; i < 4; ++i) hn::StoreU(rows[i], DI(), to + i);
  (void)step;
#else
  const hn::RepartitionToWide<DI> pairs;
  const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(DI(), row0, row1));
  const auto low23 = hn::BitCast(pairs, hn::InterleaveLower(DI(), row2, row3));
  const auto high01 = hn::BitCast(pairs, hn::InterleaveUpper(DI(), row0, row1));
  const auto high23 = hn::BitCast(pairs, hn::InterleaveUpper(DI(), row2, row3));
  HWY_ALIGN int32_t columns[4][lanes];  // [channel % 4][channel / 4, row]
  hn::Store(hn::BitCast(DI(), hn::InterleaveLower(pairs, low01, low23)), DI(), columns[0]);
  hn::Store(hn::BitCast(DI(), hn::InterleaveUpper(pairs, low01, low23)), DI(), columns[1]);
  hn::Store(hn::BitCast(DI(), hn::InterleaveLower(pairs, high01, high23)), DI(), columns[2]);
  hn::Store(hn::BitCast(DI(), hn::InterleaveUpper(pairs, high01, high23)), DI(), columns[3]);
  for (size_t channel = 0; channel < lanes; ++channel)
    std::memcpy(to + channel * step, &columns[channel % 4][channel / 4 * 4], 4 * sizeof(int32_t));
#endif
}

// The lists of the next `lanes` output channels, list_step() apart: all gradients and offsets, a column a channel, then
// without the zeros.
void list_by_channel(const Conv2dBackwardTask& task, const uint8_t* argmax, uint32_t channel, float* scratch,
                     uint32_t* counts) {
  const Conv2dShape& s = *task.shape;
  const float* dz = scratch + task.layout->dz + channel;
  float* gradients = scratch + task.layout->gradients;
  int32_t* offsets = reinterpret_cast<int32_t*>(scratch + task.layout->offsets);
  const uint64_t pixels = s.y_pixels(), step = list_step(s);
  for (uint64_t pixel = 0; pixel < step; pixel += 4) {
    V g[4];
    Index o[4];
    for (size_t i = 0; i < 4; ++i) {
      const bool exists = pixel + i < pixels;
      g[i] = exists ? hn::LoadU(D(), dz + (pixel + i) * s.out_channels) : hn::Zero(D());
      o[i] = exists ? winner_offsets(task, argmax, pixel + i, channel) : hn::Zero(DI());
    }
    store_columns(hn::BitCast(DI(), g[0]), hn::BitCast(DI(), g[1]), hn::BitCast(DI(), g[2]), hn::BitCast(DI(), g[3]),
                  reinterpret_cast<int32_t*>(gradients) + pixel, step);
    store_columns(o[0], o[1], o[2], o[3], offsets + pixel, step);
  }
  for (size_t i = 0; i < lanes; ++i, gradients += step, offsets += step) {
    size_t count = 0;
    for (uint64_t pixel = 0; pixel < step; pixel += lanes) {
      const V gradient = hn::LoadU(D(), gradients + pixel);
      const Index offset = hn::LoadU(DI(), offsets + pixel);
      const auto keep = is_not_zero(gradient);
      hn::StoreU(hn::Compress(gradient, keep), D(), gradients + count);
      hn::StoreU(hn::Compress(offset, hn::RebindMask(DI(), keep)), DI(), offsets + count);
      count += hn::CountTrue(D(), keep);
    }
    counts[i] = static_cast<uint32_t>(count);
  }
}

void add_weight_gradients(const Conv2dBackwardTask& task, const uint8_t* argmax, float* scratch) {
  const Conv2dShape& s = *task.shape;
  const Conv2dBackwardLayout& layout = *task.layout;
  const float* x = scratch + layout.x;
  const uint64_t x_row = uint64_t{s.padded_width()} * s.in_channels;
  for (uint32_t first = 0; first < s.out_channels; first += lanes) {
    uint32_t counts[lanes];
    list_by_channel(task, argmax, first, scratch, counts);
    for (uint32_t channel = first; channel < std::min<uint32_t>(first + lanes, s.out_channels); ++channel) {
      const uint64_t at = (channel - first) * list_step(s);
      const List list{scratch + layout.gradients + at, reinterpret_cast<const uint32_t*>(scratch + layout.offsets) + at,
                      counts[channel - first]};
      if (list.count == 0) continue;
      float* dweight = task.dweight + channel * layout.kernel_floats;
      for_each_part(s, layout, [&](AddRows* add, uint32_t row, uint32_t vector) HWY_ATTR {
        add(dweight + row * layout.row_floats + vector * lanes, layout.row_floats, x + row * x_row + vector * lanes, x_row,
            list);
      });
    }
  }
}

// Lists the output channels that won at each place of each pixel, and puts the windows in the order of their lists'
// lengths: loops of equal length follow one another, and their ends are foreseen. Returns the number of windows with
// gradients.
uint32_t list_by_window(const Conv2dBackwardTask& task, const uint8_t* argmax, float* scratch, DxWindow* windows) {
  const Conv2dShape& s = *task.shape;
  const Conv2dBackwardLayout& layout = *task.layout;
  float* gradients = scratch + layout.gradients;
  int32_t* offsets = reinterpret_cast<int32_t*>(scratch + layout.offsets);
  DxWindow* unsorted = reinterpret_cast<DxWindow*>(scratch + layout.unsorted);
  uint32_t* lengths = reinterpret_cast<uint32_t*>(scratch + layout.lengths);
  std::memset(lengths, 0, (s.out_channels + 1) * sizeof(uint32_t));
  const uint32_t pixels = static_cast<uint32_t>(s.y_pixels()), subplaces = s.pool_kernel * s.pool_kernel;
  const int32_t kernel_floats = static_cast<int32_t>(layout.kernel_floats);
  const Index each = hn::Mul(hn::Iota(DI(), 0), hn::Set(DI(), kernel_floats));
  size_t count = 0;
  uint32_t used = 0;
  for (uint32_t pixel = 0; pixel < pixels; ++pixel) {
    const uint64_t at = uint64_t{pixel} * s.out_channels;
    for (uint32_t place = 0; place < subplaces; ++place) {
      const size_t first = count;
      for (uint32_t channel = 0; channel < s.out_channels; channel += lanes) {
        const V gradient = hn::LoadU(D(), scratch + layout.dz + at + channel);
        auto keep = hn::And(is_not_zero(gradient), hn::FirstN(D(), s.out_channels - channel));
        if (argmax != nullptr) {
          const Index winner = load_winners(argmax + at + channel, s.y_elements() - at - channel);
          keep = hn::And(keep, hn::RebindMask(D(), hn::Eq(winner, hn::Set(DI(), static_cast<int32_t>(place)))));
        }
        const Index offset = hn::Add(each, hn::Set(DI(), static_cast<int32_t>(channel) * kernel_floats));
        hn::StoreU(hn::Compress(gradient, keep), D(), gradients + count);
        hn::StoreU(hn::Compress(offset, hn::RebindMask(DI(), keep)), DI(), offsets + count);
        count += hn::CountTrue(D(), keep);
      }
      const uint32_t length = static_cast<uint32_t>(count - first);
      unsorted[used] = {static_cast<uint32_t>(first), length, task.places[pixel] + task.subplaces[place]};
      used += length != 0;
      ++lengths[length];
    }
  }
  lengths[0] = 0;
  uint32_t start = 0;
  for (uint32_t length = 1; length <= s.out_channels; ++length) start += std::exchange(lengths[length], start);
  for (uint32_t i = 0; i < used; ++i) windows[lengths[unsorted[i].count]++] = unsorted[i];
  return used;
}

void make_input_gradient(const Conv2dBackwardTask& task, const uint8_t* argmax, float* scratch, float* dx) {
  const Conv2dShape& s = *task.shape;
  const Conv2dBackwardLayout& layout = *task.layout;
  float* padded = scratch + layout.dx;
  DxWindow* windows = reinterpret_cast<DxWindow*>(scratch + layout.windows);
  const uint32_t used = list_by_window(task, argmax, scratch, windows);
  const float* gradients = scratch + layout.gradients;
  const uint32_t* offsets = reinterpret_cast<const uint32_t*>(scratch + layout.offsets);
  std::memset(padded, 0, layout.padded_floats * sizeof(float));
  const uint64_t x_row = uint64_t{s.padded_width()} * s.in_channels;
  // The weights of one part should stay in the first cache.
  const uint32_t sums = std::clamp<uint32_t>(part_bytes / (s.out_channels * lanes * sizeof(float)), 8, most_sums);
  for_each_part(
      s, layout,
      [&](AddRows* add, uint32_t row, uint32_t vector) HWY_ATTR {
        const float* from = task.packed + row * layout.row_floats + vector * lanes;
        float* to = padded + row * x_row + vector * lanes;
        for (const DxWindow* window = windows; window != windows + used; ++window)
          add(to + window->place, x_row, from, layout.row_floats,
              {gradients + window->first, offsets + window->first, window->count});
      },
      sums);
  const uint64_t row_floats = uint64_t{s.width} * s.in_channels;
  for (uint32_t row = 0; row < s.height; ++row)
    std::memcpy(dx + row * row_floats, padded + (row + s.padding) * x_row + uint64_t{s.padding} * s.in_channels,
                row_floats * sizeof(float));
}

void BackwardSample(const Conv2dBackwardTask& task, const float* x, const uint8_t* argmax, float* scratch, float* dx) {
  const Conv2dShape& s = *task.shape;
  const uint64_t row_floats = uint64_t{s.width} * s.in_channels, padded_row = uint64_t{s.padded_width()} * s.in_channels;
  for (uint32_t row = 0; row < s.height; ++row)
    std::memcpy(scratch + task.layout->x + (row + s.padding) * padded_row + uint64_t{s.padding} * s.in_channels,
                x + row * row_floats, row_floats * sizeof(float));
  add_bias_gradients(s, scratch + task.layout->dz, task.dbias);
  add_weight_gradients(task, argmax, scratch);
  if (dx != nullptr) make_input_gradient(task, argmax, scratch, dx);
}

void Reduce(const Conv2dShape& s, const Conv2dBackwardLayout& layout, const float* first, uint64_t step, uint32_t parts,
            uint32_t kernel_row, bool accumulate, float* dweight) {
  const uint64_t count = uint64_t{s.kernel} * s.in_channels;
  float* to = dweight + kernel_row * count * s.out_channels;
  HWY_ALIGN float sums[16][lanes];
  for (uint32_t channel = 0; channel < s.out_channels; channel += 16) {
    const uint32_t channels = std::min<uint32_t>(16, s.out_channels - channel);
    for (uint32_t vector = 0; vector < layout.row_vectors; ++vector) {
      for (uint32_t c = 0; c < channels; ++c) {
        const float* from = first + (channel + c) * layout.kernel_floats + kernel_row * layout.row_floats + vector * lanes;
        V sum = hn::LoadU(D(), from);
        for (uint32_t part = 1; part < parts; ++part) sum = hn::Add(sum, hn::LoadU(D(), from + part * step));
        hn::Store(sum, D(), sums[c]);
      }
      const size_t rows = std::min<uint64_t>(lanes, count - vector * lanes);
      for (size_t i = 0; i < rows; ++i) {
        float* out = to + (vector * lanes + i) * s.out_channels + channel;
        for (uint32_t c = 0; c < channels; ++c) out[c] = accumulate ? out[c] + sums[c][i] : sums[c][i];
      }
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {
LT_HIGHWAY_TABLE(Conv2dBackwardPlan*, conv2d_backward_plan_table, BackwardPlan);
LT_HIGHWAY_TABLE(Conv2dPackRows*, conv2d_pack_rows_table, PackRows);
LT_HIGHWAY_TABLE(Conv2dBackwardStart*, conv2d_backward_start_table, BackwardStart);
LT_HIGHWAY_TABLE(Conv2dBackwardSample*, conv2d_backward_sample_table, BackwardSample);
LT_HIGHWAY_TABLE(Conv2dReduce*, conv2d_reduce_table, Reduce);
}  // namespace lt::cpu::highway
#endif
