// The gradient of a bias: sums down the columns of dz.
#include "backends/cuda/own/own.h"
#include "backends/cuda/own/rows.h"

namespace lt::cuda {
namespace {

// How the rows are cut: decided by the matrix' size alone, so that the order of the sum is.
struct Parts {
  uint32_t column_shift;
  uint32_t count;
  uint64_t rows;
};

uint32_t column_shift_of(uint32_t columns) {
  return std::min(static_cast<uint32_t>(std::bit_width(std::max(columns, 1u) - 1)), 5u);
}

// Grows with the rows: scratch for so many is enough for fewer.
uint64_t most_parts_of(uint64_t rows, uint32_t columns) {
  constexpr uint32_t most_parts = 128, rows_of_thread = 16;
  const uint64_t lanes = column_sums_threads >> column_shift_of(columns);
  return std::clamp<uint64_t>(rows / (lanes * rows_of_thread), 1, most_parts);
}

Parts parts_of(uint64_t rows, uint32_t columns) {
  const uint32_t column_shift = column_shift_of(columns);
  const uint64_t count = most_parts_of(rows, columns);
  const uint64_t part_rows = (rows + count - 1) / count;
  return {column_shift, grid_blocks(rows, part_rows), part_rows};
}

}  // namespace

uint64_t column_sums_scratch_bytes(uint64_t rows, uint32_t columns) {
  const uint64_t parts = most_parts_of(rows, columns);
  return parts == 1 ? 0 : parts * columns * sizeof(float);
}

Status enqueue_column_sums(const Site& site, const void* dz, DType type, uint64_t rows, uint32_t columns, uint32_t channels,
                           float* dbias, void* partials) {
  const Parts parts = parts_of(rows, columns);
  const uint32_t accumulate = site.accumulate ? 1 : 0;
  const bool whole = parts.count == 1;
  const ColumnSumsArguments arguments{dz,         whole ? nullptr : static_cast<float*>(partials),
                                      dbias,      rows,
                                      parts.rows, columns,
                                      channels,   parts.column_shift,
                                      accumulate};
  const Grid grid{grid_blocks(columns, 1u << parts.column_shift), parts.count};
  LT_TRY(type == DType::bf16 ? site.launcher.launch<KernelId::column_sums_bf16>(grid, column_sums_threads, arguments)
                             : site.launcher.launch<KernelId::column_sums_f32>(grid, column_sums_threads, arguments));
  if (whole) return Status::ok;
  return site.launcher.launch<KernelId::column_sums_finish>({grid_blocks(columns, elementwise_threads)},
                                                            elementwise_threads,
                                                            {arguments.partials, dbias, parts.count, columns, accumulate});
}

}  // namespace lt::cuda
