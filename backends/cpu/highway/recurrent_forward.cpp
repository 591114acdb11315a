// The forward pass: block by block of steps, the input's products of a block, then step after step the recurrent product
// and the cell. The outputs go where the next step's product reads them: into y, into saved or into a ring of two steps.
#include <algorithm>
#include <cstring>

#include "backends/cpu/highway/carver.h"
#include "backends/cpu/highway/recurrent.h"
#include "backends/cpu/highway/recurrent_cell.h"
#include "backends/cpu/highway/recurrent_rows.h"
#include "backends/cpu/highway/recurrent_samples.h"

namespace lt::cpu::highway {
namespace {

// What lies in scratch.
struct Memory {
  uint32_t* order;
  float *gates, *x, *shared, *ring, *c;
  std::byte* products;
};

Memory carve(const RecurrentShape& shape, const RecurrentProducts& products, Carver* carver) {
  const uint64_t rows = shape.block_row_count(), state = uint64_t{shape.samples} * shape.units;
  Memory memory{};
  memory.order = carver->take<uint32_t>(SampleOrder::words(shape));
  memory.gates = carver->take<float>(rows * shape.row_floats());
  memory.x = carver->take<float>(shape.has_lengths && !shape.shared_rows ? rows * shape.features : 0);
  memory.shared = carver->take<float>(SharedRows::floats(shape));
  memory.ring = carver->take<float>(2 * state);
  memory.c = carver->take<float>(shape.cell == Cell::lstm ? state : 0);
  memory.products = carver->take<std::byte>(products.scratch_bytes());
  return memory;
}

class Forward {
 public:
  Forward(const RecurrentShape& shape, const RecurrentRun& run, const Team& team, const RecurrentProducts& products,
          const Memory& memory, const SampleOrder& order, Target target)
      : shape_(shape),
        run_(run),
        team_(team),
        products_(products),
        memory_(memory),
        order_(order),
        shared_(shape, order, run.rows),
        barrier_(team.parts()),
        cell_(for_target(shape.cell == Cell::lstm ? lstm_forward_table : gru_forward_table, target)) {}

  void run(ThreadPool* pool) {
    for (uint32_t direction = 0; direction < shape_.directions; ++direction) {
      run_together(pool, team_, &barrier_, [&](uint32_t part) {
        products_.pack(part, run_.weights[direction]);
        if (!shape_.only_last_step && direction == 0)
          zero_padding(order_, shape_.steps, shape_.y_features(), team_, part, run_.y);
        if (!shared_.any()) return;
        barrier_.wait();  // all is packed
        const Range rows = team_.rows(part, shared_.count());
        products_.input(part, run_.x + uint64_t{rows.begin} * shape_.features, rows.size(),
                        memory_.shared + rows.begin * shared_.stride(), shared_.stride());
      });
      const uint32_t steps = std::min(shape_.direction_steps(direction), order_.longest());
      for (uint32_t first = 0; first < steps; first += shape_.block_steps()) {
        const StepBlock block(order_, direction == 1, first, std::min(first + shape_.block_steps(), steps));
        run_together(pool, team_, &barrier_, [&](uint32_t part) { run_block(part, direction, block); });
      }
    }
  }

 private:
  void run_block(uint32_t part, uint32_t direction, const StepBlock& block) {
    const float* const x = shared_.any() ? nullptr : input_rows(part, direction == 1, block);
    const Range rows = team_.rows(part, order_.alive(block.first()));
    const uint64_t width = shape_.row_floats();
    if (!team_.by_rows() && !shared_.any()) products_.input(part, x, block.rows(), memory_.gates, width);
    const GateColumnList columns = gate_columns(shape_, team_.units(part));
    for (uint32_t step = block.first(); step < block.last(); ++step) {
      const uint32_t end = std::min(rows.end, order_.alive(step));
      if (rows.begin < end) {
        const uint32_t row = block.begin(step) + rows.begin, count = end - rows.begin;
        float* const gates = memory_.gates + row * width;
        if (shared_.any())
          shared_.take(memory_.shared, columns, direction == 1, step, {rows.begin, end},
                       memory_.gates + block.begin(step) * width, width);
        else if (team_.by_rows())
          products_.input(part, x + uint64_t{row} * shape_.features, count, gates, width);
        const Rows before = step == 0 ? Rows{} : outputs(direction, step - 1);
        products_.recurrent(part, step == 0 ? nullptr : before.row(rows.begin), before.stride, count, gates);
        cells(part, direction, block, step, {rows.begin, end});
      }
      if (!team_.by_rows() && step + 1 < block.last()) barrier_.wait();
    }
  }

  void cells(uint32_t part, uint32_t direction, const StepBlock& block, uint32_t step, Range rows) {
    const Range units = team_.units(part);
    const bool reverse = direction == 1, lstm = shape_.cell == Cell::lstm;
    const uint64_t state = uint64_t{order_.samples()} * shape_.units;
    const Rows now = outputs(direction, step), before = step == 0 ? Rows{} : outputs(direction, step - 1);
    float* const saved = run_.saved == nullptr ? nullptr : run_.saved + shape_.saved_offset(direction);
    // Where gates are computed again, the states in front of a block are kept. Those of the first one are zeros.
    const uint32_t next = step + 1;
    const bool keeps = lstm && saved != nullptr && shape_.recompute && next % shape_.block_steps() == 0 &&
                       next < shape_.direction_steps(direction);
    float* const kept = keeps ? saved + next / shape_.block_steps() * state : nullptr;
    CellForward cell{};
    cell.stride = shape_.units;
    cell.units = units.size();
    cell.with_n = shape_.saves_n();
    for (uint32_t row = rows.begin; row < rows.end; ++row) {
      const uint64_t at = uint64_t{row} * shape_.units + units.begin;
      cell.gates = memory_.gates + uint64_t{block.begin(step) + row} * shape_.row_floats() + units.begin;
      cell.h = now.row(row) + units.begin;
      cell.copy = outside(direction, reverse, row, step, units.begin);
      if (lstm) {
        cell.state = memory_.c + at;
        cell.previous = step == 0 ? nullptr : cell.state;
      } else {
        cell.previous = step == 0 ? nullptr : before.row(row) + units.begin;
      }
      if (saved != nullptr && !shape_.recompute)
        cell.saved = saved + (uint64_t{step} * order_.samples() + row) * shape_.saved_blocks() * shape_.units + units.begin;
      cell_(cell);
      if (kept != nullptr) std::memcpy(kept + at, cell.state, units.size() * sizeof(float));
    }
  }

  struct Rows {
    float* first = nullptr;
    uint64_t stride = 0;
    float* row(uint64_t i) const { return first + i * stride; }
  };
  bool outputs_in_y() const { return !shape_.only_last_step && order_.whole(); }
  // Where the outputs of a step lie row by row.
  Rows outputs(uint32_t direction, uint32_t step) const {
    if (outputs_in_y()) {
      const uint64_t time = direction == 1 ? shape_.steps - 1 - step : step;
      return {run_.y + time * order_.samples() * shape_.y_features() + uint64_t{direction} * shape_.units,
              shape_.y_features()};
    }
    const uint64_t state = uint64_t{order_.samples()} * shape_.units;
    if (shape_.only_last_step && run_.saved != nullptr)
      return {run_.saved + shape_.saved_offset(direction) + shape_.saved_cell_floats(direction) + step * state,
              shape_.units};
    return {memory_.ring + step % 2 * state, shape_.units};
  }
  // Where else a row's output goes: into y.
  float* outside(uint32_t direction, bool reverse, uint32_t row, uint32_t step, uint32_t unit) const {
    const uint64_t column = uint64_t{direction} * shape_.units + unit;
    if (shape_.only_last_step) {
      const bool last = step + 1 == (reverse ? 1 : order_.length(row));
      return last ? run_.y + order_.sample(row) * shape_.y_features() + column : nullptr;
    }
    if (outputs_in_y()) return nullptr;
    const uint64_t time = order_.time(reverse, row, step);
    return run_.y + (time * order_.samples() + order_.sample(row)) * shape_.y_features() + column;
  }

  // The block's rows of x, one behind the other.
  const float* input_rows(uint32_t part, bool reverse, const StepBlock& block) {
    const uint64_t features = shape_.features;
    if (order_.whole()) {
      const uint64_t time = reverse ? shape_.steps - block.last() : block.first();
      return run_.x + time * order_.samples() * features;
    }
    gather_rows(order_, block, reverse, run_.x, features, features, team_, part, memory_.x);
    barrier_.wait();
    return memory_.x;
  }

  const RecurrentShape& shape_;
  const RecurrentRun& run_;
  const Team& team_;
  const RecurrentProducts& products_;
  const Memory& memory_;
  const SampleOrder& order_;
  const SharedRows shared_;
  Barrier barrier_;
  CellForwardFunction* const cell_;
};

constexpr RecurrentProducts::Forms forms{true, false, false};

}  // namespace

uint64_t recurrent_forward_scratch_bytes(const RecurrentShape& shape, uint32_t threads, Target target) {
  Carver carver(nullptr);
  (void)carve(shape, RecurrentProducts(shape, Team(shape, threads), forms, target), &carver);
  return carver.bytes();
}

void recurrent_forward(const RecurrentShape& shape, const RecurrentRun& run, ThreadPool* pool, std::byte* scratch,
                       Target target) {
  const Team team(shape, pool != nullptr ? pool->threads() : 1);
  RecurrentProducts products(shape, team, forms, target);
  Carver carver(scratch);
  const Memory memory = carve(shape, products, &carver);
  products.place(memory.products);
  const SampleOrder order(shape, run.samples, run.lengths, memory.order);
  Forward forward(shape, run, team, products, memory, order, target);
  forward.run(pool);
}

}  // namespace lt::cpu::highway
