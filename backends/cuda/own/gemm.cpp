// See gemm.h.
#include "backends/cuda/own/gemm.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "src/base/checked.h"

namespace lt::cuda {
namespace {

constexpr uint32_t tile_count = std::size(gemm_tiles), most_parts = 128;
// A part has at least so many steps, or its start and end outweigh them.
constexpr uint64_t least_part_steps = 4;

// What a step of a tile takes, in cycles of one multiprocessor: the instructions of the kernels' loops, a warp of each
// block on each of the four schedulers. For f32, tf32, bf16, int8.
constexpr double step_cycles[][tile_count] = {{1260, 700, 410}, {300, 190, 150}, {260, 140, 110}, {260, 140, 110}};
// The same where a block is alone, and waits for itself: estimated.
constexpr double alone_factor = 1.6, alone_cycles = 100, copy_latency = 350;
// Blocks of one multiprocessor at a time, by registers and shared memory.
constexpr uint32_t resident_blocks[][tile_count] = {{3, 4, 6}, {3, 6, 8}, {4, 6, 8}, {4, 6, 8}};
constexpr double block_cycles = 1500;  // a block's start and end
constexpr double reduce_cycles = 2500, reduce_bytes_per_cycle = 2500;

double estimate(GemmPrecision precision, uint32_t tile, uint32_t parts, uint64_t m, uint64_t n, uint64_t steps,
                uint32_t multiprocessors) {
  const auto [tile_m, tile_n] = gemm_tiles[tile];
  const uint64_t blocks = divide_up(m, tile_m) * divide_up(n, tile_n) * parts;
  const auto type = static_cast<uint32_t>(precision);
  const auto part_steps = static_cast<double>(divide_up(steps, parts));
  const auto of_each = static_cast<double>(divide_up(blocks, multiprocessors));
  const auto rounds = static_cast<double>(divide_up(blocks, uint64_t{multiprocessors} * resident_blocks[type][tile]));
  const double alone = std::max(copy_latency, alone_cycles + alone_factor * step_cycles[type][tile]);
  double cycles = std::max(of_each * step_cycles[type][tile], rounds * alone) * part_steps + rounds * block_cycles;
  if (parts > 1) {
    const double bytes = 2.0 * static_cast<double>(parts) * static_cast<double>(m) * static_cast<double>(n) * sizeof(float);
    cycles += reduce_cycles + bytes / reduce_bytes_per_cycle;
  }
  return cycles;
}

KernelId gemm_kernel(GemmKind kind, GemmPrecision precision, uint32_t tile) {
  return static_cast<KernelId>(static_cast<uint32_t>(KernelId::gemm_forward_f32_128x64) +
                               (static_cast<uint32_t>(precision) * 3 + static_cast<uint32_t>(kind)) * tile_count + tile);
}
static_assert(static_cast<uint32_t>(KernelId::gemm_dx_f32_64x64) -
                  static_cast<uint32_t>(KernelId::gemm_forward_f32_128x64) ==
              tile_count + 1);
static_assert(static_cast<uint32_t>(KernelId::gemm_weights_bf16_64x32) -
                  static_cast<uint32_t>(KernelId::gemm_forward_f32_128x64) ==
              9 * tile_count - 1);
static_assert(static_cast<uint32_t>(KernelId::gemm_forward_int8_128x64) -
                  static_cast<uint32_t>(KernelId::gemm_forward_f32_128x64) ==
              9 * tile_count);

// The largest copy that never begins off its own size in an array of pixels of so many bytes.
CopyMode copy_mode(uint32_t pixel_bytes) {
  return pixel_bytes % 16 == 0  ? CopyMode::chunks
         : pixel_bytes % 8 == 0 ? CopyMode::eight_bytes
         : pixel_bytes % 4 == 0 ? CopyMode::four_bytes
                                : CopyMode::elements;
}

// Each of them adds up four parts or so.
uint32_t reduce_lanes(uint32_t parts) {
  uint32_t lanes = 1;
  while (lanes < 32 && lanes * 8 <= parts) lanes *= 2;
  return lanes;
}

}  // namespace

GemmPlan plan_gemm(GemmPrecision precision, uint64_t m, uint64_t n, uint64_t k, uint32_t multiprocessors) {
  const uint64_t steps = divide_up(k, uint64_t{gemm_step_bytes} / dtype_bytes(gemm_type(precision)));
  const uint64_t most = precision == GemmPrecision::int8 ? 1 : most_parts;
  const auto parts_limit = static_cast<uint32_t>(std::clamp<uint64_t>(steps / least_part_steps, 1, most));
  multiprocessors = std::max(multiprocessors, 1u);
  GemmPlan best;
  double best_cycles = 0;
  for (uint32_t tile = 0; tile < tile_count; ++tile)
    for (uint32_t parts = 1; parts <= parts_limit; ++parts) {
      const double cycles = estimate(precision, tile, parts, m, n, steps, multiprocessors);
      if ((tile != 0 || parts != 1) && cycles >= best_cycles) continue;
      best = {tile, parts};
      best_cycles = cycles;
    }
  return best;
}

GemmPrecision gemm_precision(Precision precision) {
  return precision == Precision::fp32   ? GemmPrecision::f32
         : precision == Precision::tf32 ? GemmPrecision::tf32
                                        : GemmPrecision::bf16;
}

GemmConvolution gemm_convolution(const Op& op) {
  if (op.kind == OpKind::conv2d || op.kind == OpKind::conv2d_backward)
    return {op.x_extent, op.conv_extent, op.conv, false, op.conv_extent.channels, false};
  const auto in = static_cast<uint32_t>(op.x_extent.elements()), out = static_cast<uint32_t>(op.y_extent.elements());
  return {{1, 1, in}, {1, 1, out}, Window{}, false, out, false};
}

GemmProduct::Shape GemmProduct::shape(uint32_t samples) const {
  const auto& [x, z, window, pooled, z_pitch, whole_rows] = convolution_;
  const uint64_t image_k = uint64_t{image_.taps} * image_.padded_channels.value;
  const uint64_t z_positions = uint64_t{samples} * z.height * z.width;
  switch (kind_) {
    case GemmKind::forward:
      return {pooled ? uint64_t{samples} * (z.height / 2) * (z.width / 2) * 4 : z_positions, z.channels, image_k};
    case GemmKind::dx: return {uint64_t{samples} * x.height * x.width, x.channels, image_k};
    case GemmKind::weights: return {z.channels, image_k, z_positions};
  }
  return {};
}

Status GemmProduct::make(GemmKind kind, GemmPrecision precision, const GemmConvolution& convolution, uint32_t micro_batch,
                         uint32_t multiprocessors, const char* what, GemmProduct* product) {
  const auto& [x, z, window, pooled, z_pitch, whole_rows] = convolution;
  const uint32_t element_bytes = dtype_bytes(gemm_type(precision));
  constexpr uint64_t limit = uint64_t{1} << 31;
  // Rows and columns are kept in 16 bits, padding included; offsets within a sample, a weight's elements and pixels in 31.
  const uint64_t extents = std::max({x.height, x.width, z.height, z.width, window.kernel, window.stride, window.padding});
  const uint64_t z_pixel = std::max(z_pitch, z.channels), taps = uint64_t{window.kernel} * window.kernel;
  if (extents >= 1u << 14 || (window.kernel + uint64_t{x.height}) * (x.width + 1) * x.channels >= limit ||
      (window.kernel + uint64_t{z.height}) * (z.width + 1) * z_pixel >= limit || taps * x.channels * z.channels >= limit ||
      uint64_t{micro_batch} * x.height * x.width >= limit || uint64_t{micro_batch} * z.height * z.width >= limit)
    return fail(
        Status::unsupported,
        "%s: %u samples of %u x %u x %u to %u x %u x %u by a %u x %u kernel; the own CUDA kernels take up to 16383 rows "
        "and columns, 2^31 elements of a sample, of the weight and pixels of all samples",
        what, micro_batch, x.height, x.width, x.channels, z.height, z.width, z.channels, window.kernel, window.kernel);

  GemmProduct made;
  made.kind_ = kind;
  made.precision_ = precision;
  made.convolution_ = convolution;
  made.micro_batch_ = micro_batch;
  GemmImage& image = made.image_;
  const Extent& pixels = kind == GemmKind::dx ? z : x;
  const Extent& positions = kind == GemmKind::dx ? x : z;
  const auto padding = static_cast<int32_t>(window.padding);
  image.height = pixels.height;
  image.width = pixels.width;
  image.channels = pixels.channels;
  image.taps = static_cast<uint32_t>(taps);
  image.pitch = kind == GemmKind::dx ? z_pitch : pixels.channels;
  image.tap_columns = make_divisor(window.kernel);
  const uint64_t chunk = gemm_chunk_bytes / element_bytes;
  image.copy = copy_mode(image.pitch * element_bytes);
  const uint64_t row_channels = uint64_t{window.kernel} * pixels.channels;
  const bool by_elements = image.pitch * element_bytes % gemm_chunk_bytes != 0 && pixels.channels < chunk;
  if (whole_rows) {
    image.taps = window.kernel;
    image.tap_columns = make_divisor(1);
    image.channels = static_cast<uint32_t>(align_up(row_channels, chunk));
    image.copy = copy_mode(std::gcd(window.stride, x.width) * image.pitch * element_bytes);
  } else if (kind != GemmKind::dx && by_elements &&
             window.kernel * align_up(row_channels, chunk) < image.taps * align_up(pixels.channels, chunk)) {
    image.row_taps = 1;
    image.taps = window.kernel;
    image.tap_columns = make_divisor(1);
    image.channels = static_cast<uint32_t>(row_channels);
  }
  image.padded_channels = make_divisor(static_cast<uint32_t>(align_up(image.channels, chunk)));
  image.pooled = pooled ? 1 : 0;
  image.positions =
      make_divisor(pooled ? positions.height / 2 * (positions.width / 2) * 4 : positions.height * positions.width);
  image.position_width = make_divisor(pooled ? positions.width / 2 : positions.width);
  image.position_step = kind == GemmKind::dx ? 1 : static_cast<int32_t>(window.stride);
  image.position_offset = kind == GemmKind::dx ? padding : -padding;
  image.direction = kind == GemmKind::dx ? -1 : 1;
  image.stride_down = kind == GemmKind::dx ? window.stride : 1;
  GemmMatrix& matrix = made.matrix_;
  // A weight's taps are the image's.
  matrix.channels = kind == GemmKind::forward ? image.channels : kind == GemmKind::dx ? x.channels : z.channels;
  matrix.rows = kind == GemmKind::dx ? x.channels : z.channels;
  matrix.pitch = kind == GemmKind::weights ? z_pitch : matrix.channels;
  matrix.copy = copy_mode(matrix.pitch * element_bytes);

  // Tiles past the end are counted too.
  const Shape all = made.shape(micro_batch);
  constexpr uint64_t most = limit - 256, most_n = uint64_t{65535} * 32;
  if (all.m > most || all.n > most_n || all.k > most)
    return fail(Status::unsupported,
                "%s: as a matrix product this is %llu x %llu over %llu, and the own kernels take 2^31 x 2097120 over 2^31",
                what, static_cast<unsigned long long>(all.m), static_cast<unsigned long long>(all.n),
                static_cast<unsigned long long>(all.k));
  made.plan_ = plan_gemm(precision, all.m, all.n, all.k, multiprocessors);
  *product = made;
  return Status::ok;
}

uint64_t GemmProduct::scratch_bytes() const {
  const auto [m, n, k] = shape(micro_batch_);
  return plan_.parts > 1 ? plan_.parts * m * n * sizeof(float) : 0;
}

GemmCall GemmProduct::call(uint32_t samples, const void* image, const void* matrix, GemmResult result,
                           void* partials) const {
  const auto [m, n, k] = shape(samples);
  const auto [tile_m, tile_n] = gemm_tiles[plan_.tile];
  const uint64_t step_k = gemm_step_bytes / dtype_bytes(gemm_type(precision_));
  GemmCall call{};
  call.kernel = gemm_kernel(kind_, precision_, plan_.tile);
  call.grid = {static_cast<uint32_t>(divide_up(m, tile_m)), static_cast<uint32_t>(divide_up(n, tile_n)), plan_.parts};
  GemmArguments& a = call.arguments;
  a.image = image_;
  a.image.data = image;
  a.matrix = matrix_;
  a.matrix.data = matrix;
  if (kind_ == GemmKind::weights) a.matrix.rows = static_cast<uint32_t>(k);
  a.k = static_cast<uint32_t>(k);
  const CopyMode least = std::min(image_.copy, matrix_.copy);
  if (image_.stride_down == 1 && image_.row_taps == 0)
    a.known_copy = least == CopyMode::chunks ? 16 : least == CopyMode::eight_bytes ? 8 : 0;
  a.part_k = static_cast<uint32_t>(divide_up(divide_up(k, step_k), plan_.parts) * step_k);
  a.partials = plan_.parts > 1 ? static_cast<float*>(partials) : nullptr;
  result.m = static_cast<uint32_t>(m);
  result.n = static_cast<uint32_t>(n);
  result.pooled = convolution_.pooled ? 1 : 0;
  result.y_positions = make_divisor(image_.positions.value / (convolution_.pooled ? 4 : 1));
  if (kind_ == GemmKind::weights && image_.channels != image_.padded_channels.value) {
    result.n_channels = image_.channels;
    result.n_padded_channels = image_.padded_channels;
  }
  a.result = result;
  if (plan_.parts > 1) {
    const uint64_t rows = m / (convolution_.pooled ? 4 : 1), groups = rows * divide_up(n, uint64_t{gemm_group});
    call.reduce = {a.partials, plan_.parts, reduce_lanes(plan_.parts), result};
    call.reduce_blocks = static_cast<uint32_t>(divide_up(groups * call.reduce.lanes, uint64_t{gemm_reduce_threads}));
  }
  return call;
}

}  // namespace lt::cuda
