#include "backends/cpu/highway/gemm.h"

#include <algorithm>

#include "backends/cpu/highway/gemm_block.h"
#include "src/base/checked.h"

namespace lt::cpu::highway {
namespace {

// Enough blocks that threads which start late or are disturbed even out. A product that one thread computes alone is cut by
// the caches' size only.
constexpr uint32_t most_wanted_blocks = 16, wanted_thread_blocks = 4;
// A block's rows and columns share what they read: below these it is not worth cutting it further.
constexpr uint32_t most_rows_in_place = 256, least_rows = 48;
// Rows that fit one block are not cut where there are columns enough for so many blocks a thread: a B in place then passes
// memory once, and blocks are as wide as can be: long pieces of B's rows are what memory is fast at.
constexpr uint32_t thread_blocks = 2;

// How a product is cut. Goes by the shape, the target and the threads; sums do not depend on it.
struct Plan {
  uint32_t rows, columns;  // of the product as it is computed: n x m where swapped
  uint32_t panels, column_blocks;
  uint32_t rows_per_block, row_blocks;
  uint32_t panel_begin(uint32_t column_block) const {
    return static_cast<uint32_t>(uint64_t{column_block} * panels / column_blocks);
  }
};

// A C this narrow leaves lanes idle or tiles low.
constexpr uint32_t narrow_columns = 24;

// Whether the transpose of C is computed, op(B)^T op(A)^T. With B transposed, where that moves fewer elements to their
// places: A and C then, all of B otherwise. With A transposed, which then lies as the product wants it, where C is narrow.
bool moves_less_swapped(const GemmShape& shape) {
  if (shape.a_transposed) return !shape.b_transposed && shape.n <= narrow_columns && shape.n < shape.m;
  return shape.b_transposed && uint64_t{shape.m} * (uint64_t{shape.n} + shape.k) <= uint64_t{shape.n} * shape.k;
}

// threads: 0 where there is no pool.
Plan make_plan(const GemmShape& shape, bool swapped, bool b_in_place, uint32_t threads, const GemmTraits& traits) {
  Plan plan{};
  plan.rows = swapped ? shape.n : shape.m;
  plan.columns = swapped ? shape.m : shape.n;
  const bool small_blocks = swapped || shape.a_transposed;
  const uint32_t panel_columns = traits.lanes * traits.panel_vectors;
  plan.panels = GemmPanels(plan.columns, traits.lanes, traits.panel_vectors).panels;
  if (threads != 0 && !small_blocks && b_in_place && plan.rows <= most_rows_in_place &&
      plan.panels >= uint64_t{threads} * thread_blocks) {
    const uint64_t rounds =
        std::max<uint64_t>(thread_blocks, divide_up(plan.panels, uint64_t{threads} * gemm_block_panels));
    plan.column_blocks = static_cast<uint32_t>(std::min<uint64_t>(plan.panels, threads * rounds));
    plan.row_blocks = 1;
    plan.rows_per_block = plan.rows;
    return plan;
  }
  // The longer side is halved until there are enough blocks.
  uint32_t rows = std::min(plan.rows, small_blocks ? gemm_block_rows : most_rows_in_place);
  // A copy of A^T is made for each block: twice as wide, half as many.
  uint32_t panels = std::min(plan.panels, shape.a_transposed ? 2 * gemm_block_panels : gemm_block_panels);
  const auto blocks = [&] { return divide_up(plan.rows, rows) * divide_up(plan.panels, panels); };
  while (blocks() < std::min<uint64_t>(most_wanted_blocks, uint64_t{threads} * wanted_thread_blocks)) {
    const bool cut_rows = rows >= 2 * least_rows && (panels == 1 || rows >= panels * panel_columns);
    if (!cut_rows && panels == 1) break;
    uint32_t& side = cut_rows ? rows : panels;
    side = static_cast<uint32_t>(divide_up(side, 2));
  }
  plan.column_blocks = static_cast<uint32_t>(divide_up(plan.panels, panels));
  plan.row_blocks = static_cast<uint32_t>(divide_up(plan.rows, rows));
  // As many for each thread, where that makes a difference.
  if (threads > 1 && plan.row_blocks > threads && plan.column_blocks % threads != 0)
    plan.row_blocks = static_cast<uint32_t>(divide_up(plan.row_blocks, threads) * threads);
  plan.rows_per_block = static_cast<uint32_t>(divide_up(plan.rows, plan.row_blocks));
  return plan;
}

template <class Task>
void run_blocks(ThreadPool* pool, uint32_t blocks, const Task& task) {
  if (pool && blocks > 1) {
    pool->run(blocks, task);
  } else {
    for (uint32_t block = 0; block < blocks; ++block) task(block, 0);
  }
}

uint64_t thread_scratch_floats(const GemmTraits& traits) {
  return align_up(gemm_block_scratch_floats(traits), 64 / sizeof(float));
}

// All panels of a k x columns matrix.
void pack_panels(uint32_t columns, uint32_t k, const float* from, size_t stride, PanelSource source, ThreadPool* pool,
                 float* packed, Target target) {
  const GemmTraits traits = for_target(gemm_traits_table, target)();
  GemmPackFunction* const pack = for_target(gemm_pack_table, target);
  const uint32_t panels = GemmPanels(columns, traits.lanes, traits.panel_vectors).panels;
  const uint32_t step = gemm_depth_step(k, traits.most_depth);
  run_blocks(pool, panels * static_cast<uint32_t>(divide_up(k, step)), [&](uint32_t block, uint32_t) {
    const uint32_t begin = block / panels * step;
    pack(from, stride, source, columns, k, block % panels, begin, std::min(begin + step, k), packed);
  });
}

}  // namespace

bool gemm_descends(const GemmShape& shape, Target target) {
  return shape.k <= for_target(gemm_traits_table, target)().most_depth && !moves_less_swapped(shape);
}

uint64_t gemm_scratch_bytes(const GemmShape& shape, uint32_t threads, Target target) {
  const GemmTraits traits = for_target(gemm_traits_table, target)();
  uint64_t floats = thread_scratch_floats(traits) * std::max(threads, 1u);
  if (shape.b_transposed && !shape.a_transposed) {
    // The largest m up to this one that is computed swapped.
    const uint64_t sum = std::max<uint64_t>(uint64_t{shape.n} + shape.k, 1);
    const uint64_t m = std::min<uint64_t>(shape.m, uint64_t{shape.n} * shape.k / sum);
    floats += align_up(m, traits.lanes) * shape.k;
  }
  return floats * sizeof(float);
}

uint64_t gemm_packed_bytes(const GemmShape& shape, Target target) {
  const GemmTraits traits = for_target(gemm_traits_table, target)();
  return align_up(shape.n, traits.lanes) * shape.k * sizeof(float);
}

void gemm_pack(const GemmShape& shape, const float* b, size_t ldb, ThreadPool* pool, float* packed, Target target) {
  pack_panels(shape.n, shape.k, b, ldb, shape.b_transposed ? PanelSource::columns : PanelSource::rows, pool, packed,
              target);
}

void gemm(const GemmShape& shape, const GemmOperands& operands, ThreadPool* pool, std::byte* scratch, Target target) {
  if (shape.m == 0 || shape.n == 0) return;
  const GemmTraits traits = for_target(gemm_traits_table, target)();
  GemmBlockFunction* const run_block = for_target(gemm_block_table, target);
  const bool swapped = moves_less_swapped(shape) && !operands.b_packed && !operands.bias && !operands.relu;
  const uint32_t threads = pool ? pool->threads() : 1;
  const Plan plan = make_plan(shape, swapped, !operands.b_packed && !shape.b_transposed, pool ? threads : 0, traits);
  float* const thread_scratch = reinterpret_cast<float*>(scratch);
  float* const packed = thread_scratch + thread_scratch_floats(traits) * threads;

  GemmBlock whole{};
  whole.columns = plan.columns;
  whole.depth = shape.k;
  whole.c = operands.c;
  whole.c_stride = operands.ldc;
  whole.c_transposed = swapped;
  whole.accumulate = operands.accumulate;
  whole.relu = operands.relu;
  whole.bias = operands.bias;
  whole.descend = operands.descend;
  whole.rate = operands.rate;
  if (swapped && shape.a_transposed) {
    whole.a = operands.b;
    whole.a_row = 1;
    whole.a_k = operands.ldb;
    whole.b = operands.a;
    whole.b_stride = operands.lda;
    whole.b_source = PanelSource::rows;
  } else if (swapped) {
    pack_panels(plan.columns, shape.k, operands.a, operands.lda, PanelSource::columns, pool, packed, target);
    whole.a = operands.b;
    whole.a_row = operands.ldb;
    whole.a_k = 1;
    whole.b = packed;
    whole.b_source = PanelSource::packed;
  } else {
    whole.a = operands.a;
    whole.a_row = shape.a_transposed ? 1 : operands.lda;
    whole.a_k = shape.a_transposed ? operands.lda : 1;
    whole.b = operands.b;
    whole.b_stride = operands.ldb;
    whole.b_source = operands.b_packed    ? PanelSource::packed
                     : shape.b_transposed ? PanelSource::columns
                                          : PanelSource::rows;
  }
  run_blocks(pool, plan.row_blocks * plan.column_blocks, [&](uint32_t index, uint32_t thread) {
    GemmBlock block = whole;
    const uint32_t row_block = index / plan.column_blocks, column_block = index % plan.column_blocks;
    block.row_begin = row_block * plan.rows_per_block;
    block.row_end = std::min(block.row_begin + plan.rows_per_block, plan.rows);
    block.panel_begin = plan.panel_begin(column_block);
    block.panel_end = plan.panel_begin(column_block + 1);
    block.next_panel = plan.panel_begin((index + threads) % plan.column_blocks);
    block.scratch = thread_scratch + thread_scratch_floats(traits) * thread;
    if (block.row_begin < block.row_end) run_block(block);
  });
}

}  // namespace lt::cpu::highway
