// The backward pass: blocks of steps from the last to the first. In a block step after step backwards, the cell and the
// product that gives the gradient of the step before's outputs; then, while the gradients of the gates are near, what the
// block adds to the gradients of the weights and its rows of dx.
#include <algorithm>
#include <cstring>

#include "backends/cpu/highway/carver.h"
#include "backends/cpu/highway/recurrent.h"
#include "backends/cpu/highway/recurrent_cell.h"
#include "backends/cpu/highway/recurrent_rows.h"
#include "backends/cpu/highway/recurrent_samples.h"

namespace lt::cpu::highway {
namespace {

// What lies in scratch. dgates, x, h and dx are a block's; dh and dc the gradients on their way to the step before. gates
// and cells: where a block's gates are computed again. shared, dshared: products of the rows that steps share, and sums of
// their gradients (recurrent_rows.h).
struct Memory {
  uint32_t* order;
  float *dgates, *x, *h, *dx, *dh, *dc, *gates, *cells, *shared, *dshared;
  std::byte* products;
};

Memory carve(const RecurrentShape& shape, bool wants_dx, const RecurrentProducts& products, Carver* carver) {
  const uint64_t rows = shape.block_row_count(), state = uint64_t{shape.samples} * shape.units;
  Memory memory{};
  memory.order = carver->take<uint32_t>(SampleOrder::words(shape));
  memory.dgates = carver->take<float>(rows * shape.row_floats());
  memory.x = carver->take<float>(shape.has_lengths && !shape.shared_rows ? rows * shape.features : 0);
  memory.h = carver->take<float>(shape.has_lengths ? rows * shape.units : 0);
  memory.dx = carver->take<float>(shape.has_lengths && wants_dx && !shape.shared_rows ? rows * shape.features : 0);
  memory.dh = carver->take<float>(state);
  memory.dc = carver->take<float>(shape.cell == Cell::lstm ? state : 0);
  memory.gates = carver->take<float>(shape.recompute ? rows * shape.row_floats() : 0);
  memory.cells = carver->take<float>(shape.recompute ? rows * shape.units * shape.saved_blocks() : 0);
  memory.shared = carver->take<float>(shape.recompute ? SharedRows::floats(shape) : 0);
  memory.dshared = carver->take<float>(SharedRows::floats(shape));
  memory.products = carver->take<std::byte>(products.scratch_bytes());
  return memory;
}

RecurrentProducts::Forms forms(const RecurrentShape& shape, bool wants_dx) { return {shape.recompute, true, wants_dx}; }

class Backward {
 public:
  Backward(const RecurrentShape& shape, const RecurrentBackwardRun& run, const Team& team,
           const RecurrentProducts& products, const Memory& memory, const SampleOrder& order, Target target)
      : shape_(shape),
        run_(run),
        team_(team),
        products_(products),
        memory_(memory),
        order_(order),
        shared_(shape, order, run.forward.rows),
        barrier_(team.parts()),
        again_(for_target(shape.cell == Cell::lstm ? lstm_forward_table : gru_forward_table, target)),
        cell_(for_target(shape.cell == Cell::lstm ? lstm_backward_table : gru_backward_table, target)),
        column_sums_(for_target(column_sums_table, target)),
        add_row_(for_target(add_row_table, target)) {}

  void run(ThreadPool* pool) {
    for (uint32_t direction = 0; direction < shape_.directions; ++direction) {
      run_together(pool, team_, &barrier_, [&](uint32_t part) {
        products_.pack(part, run_.forward.weights[direction]);
        if (shared_.any())
          begin_shared(part);
        else if (direction == 0 && run_.dx != nullptr)
          zero_padding(order_, shape_.steps, shape_.features, team_, part, run_.dx);
      });
      const uint32_t steps = std::min(shape_.direction_steps(direction), order_.longest());
      const auto blocks = static_cast<uint32_t>(divide_up(steps, shape_.block_steps()));
      for (uint32_t i = blocks; i-- > 0;) {
        const uint32_t first = i * shape_.block_steps();
        const StepBlock block(order_, direction == 1, first, std::min(first + shape_.block_steps(), steps));
        run_together(pool, team_, &barrier_, [&](uint32_t part) { run_block(part, direction, block, i + 1 == blocks); });
      }
      if (shared_.any()) run_together(pool, team_, &barrier_, [&](uint32_t part) { finish_shared(part, direction); });
    }
  }

 private:
  // Rows of a block that have a step before them, and the outputs of that one. Rows lie `stride` apart.
  struct Before {
    uint32_t first, count;
    const float* h;
    uint64_t stride;
    const float* row(uint64_t block_row) const { return h + (block_row - first) * stride; }
  };

  void run_block(uint32_t part, uint32_t direction, const StepBlock& block, bool first_block) {
    const bool reverse = direction == 1;
    const Before before = outputs_before(part, direction, block);
    const float* const x = shared_.any() ? nullptr : input_rows(part, reverse, block);
    if (!order_.whole()) barrier_.wait();
    const Range rows = team_.rows(part, order_.alive(block.first()));
    if (shape_.recompute) compute_again(part, direction, block, x, before, rows);
    for (uint32_t step = block.last(); step-- > block.first();) {
      const Range now{rows.begin, std::min(rows.end, order_.alive(step))};
      if (now.begin < now.end) cells(part, direction, block, step, now);
      if (!team_.by_rows()) barrier_.wait();
      if (step > 0 && now.begin < now.end)
        products_.dh(part, memory_.dgates + (block.begin(step) + now.begin) * shape_.row_floats(), now.size(),
                     memory_.dh + uint64_t{now.begin} * shape_.units);
    }
    if (team_.by_rows()) barrier_.wait();
    add_to_weights(part, direction, block, x, before, run_.accumulate || !first_block);
    if (shared_.any())
      shared_.add(block, reverse, products_.weight_columns(part), memory_.dgates, shape_.row_floats(), add_row_,
                  memory_.dshared);
    else if (run_.dx != nullptr)
      input_gradients(part, direction, block);
  }

  void cells(uint32_t part, uint32_t direction, const StepBlock& block, uint32_t step, Range rows) {
    const Range units = team_.units(part);
    const bool reverse = direction == 1, lstm = shape_.cell == Cell::lstm;
    CellBackward cell{};
    cell.stride = shape_.units;
    cell.units = units.size();
    cell.with_n = shape_.saves_n();
    for (uint32_t row = rows.begin; row < rows.end; ++row) {
      const uint64_t state = uint64_t{row} * shape_.units + units.begin;
      const bool last = step + 1 == (shape_.only_last_step && reverse ? 1 : order_.length(row));
      cell.saved = cell_row(direction, block, row, step) + units.begin;
      if (lstm) {
        cell.previous = state_before(direction, block, row, step, units.begin);
        cell.dc = last ? nullptr : memory_.dc + state;
        cell.dc_previous = memory_.dc + state;
      } else {
        cell.previous = step == 0 ? nullptr : output(direction, row, step - 1) + units.begin;
        cell.h = output(direction, row, step) + units.begin;
        cell.dprevious = memory_.dh + state;
      }
      cell.dh = last ? nullptr : memory_.dh + state;
      cell.dy = nullptr;
      if (!shape_.only_last_step)
        cell.dy = run_.dy + y_row(reverse, row, step) + uint64_t{direction} * shape_.units + units.begin;
      else if (last)
        cell.dy = run_.dy + order_.sample(row) * shape_.y_features() + uint64_t{direction} * shape_.units + units.begin;
      cell.dgates = memory_.dgates + (block.begin(step) + row) * shape_.row_floats() + units.begin;
      cell_(cell);
    }
  }

  // The forward pass of a block, all of its outputs being known.
  void compute_again(uint32_t part, uint32_t direction, const StepBlock& block, const float* x, const Before& before,
                     Range rows) {
    const uint64_t width = shape_.row_floats();
    const GateColumnList columns = gate_columns(shape_, team_.units(part));
    const auto multiply = [&](uint32_t row, uint32_t count) {
      products_.input(part, x + uint64_t{row} * shape_.features, count, memory_.gates + row * width, width);
    };
    const auto take = [&](uint32_t step, Range some) {
      shared_.take(memory_.shared, columns, direction == 1, step, some, memory_.gates + block.begin(step) * width, width);
    };
    const auto add_recurrent = [&](uint32_t row, uint32_t count, bool has_before) {
      if (count != 0)
        products_.recurrent(part, has_before ? before.row(row) : nullptr, before.stride, count,
                            memory_.gates + row * shape_.row_floats());
    };
    if (!team_.by_rows()) {
      if (!shared_.any()) multiply(0, block.rows());
      for (uint32_t step = block.first(); shared_.any() && step < block.last(); ++step) take(step, {0, order_.alive(step)});
      add_recurrent(0, before.first, false);
      add_recurrent(before.first, before.count, true);
      add_recurrent(before.first + before.count, block.rows() - before.first - before.count, false);
    }
    const Range units = team_.units(part);
    CellForward cell{};
    cell.stride = shape_.units;
    cell.units = units.size();
    cell.with_n = shape_.saves_n();
    for (uint32_t step = block.first(); step < block.last(); ++step) {
      const uint32_t end = std::min(rows.end, order_.alive(step));
      if (team_.by_rows() && rows.begin < end) {
        if (shared_.any())
          take(step, {rows.begin, end});
        else
          multiply(block.begin(step) + rows.begin, end - rows.begin);
        add_recurrent(block.begin(step) + rows.begin, end - rows.begin, step > 0);
      }
      for (uint32_t row = rows.begin; row < end; ++row) {
        cell.gates = memory_.gates + (block.begin(step) + row) * shape_.row_floats() + units.begin;
        cell.saved = cell_row(direction, block, row, step) + units.begin;
        cell.previous = shape_.cell == Cell::lstm ? state_before(direction, block, row, step, units.begin)
                        : step == 0               ? nullptr
                                                  : output(direction, row, step - 1) + units.begin;
        again_(cell);
      }
    }
  }

  void add_to_weights(uint32_t part, uint32_t direction, const StepBlock& block, const float* x, const Before& before,
                      bool accumulate) {
    const RecurrentGradients& to = run_.dweights[direction];
    const float* const dgates = memory_.dgates;
    const uint64_t width = shape_.row_floats();
    for (const GateColumns& piece : gate_column_pieces(shape_, products_.weight_columns(part))) {
      const uint32_t columns = piece.columns.size(), first = piece.columns.begin;
      if (!shared_.any() || !piece.apart)
        products_.pack_gradients(part, dgates, width, block.rows(), piece.x_column, columns);
      if (!shared_.any())
        products_.dweight(part, x, shape_.features, shape_.features, 0, block.rows(), block.rows(), piece.columns, to.ih,
                          accumulate);
      if (piece.apart) products_.pack_gradients(part, dgates, width, block.rows(), piece.h_column, columns);
      if (before.count != 0)
        products_.dweight(part, before.h, before.stride, shape_.units, before.first, before.count, block.rows(),
                          piece.columns, to.hh, accumulate);
      else if (!accumulate)
        for (uint32_t unit = 0; unit < shape_.units; ++unit)
          std::fill_n(to.hh + uint64_t{unit} * shape_.gate_columns() + first, columns, 0.0f);
      if (to.bias_ih != nullptr)
        column_sums_(dgates + piece.x_column, width, block.rows(), columns, accumulate, to.bias_ih + first);
      if (to.bias_hh == nullptr) continue;
      if (to.bias_ih != nullptr && !piece.apart && !run_.accumulate)
        std::copy_n(to.bias_ih + first, columns, to.bias_hh + first);
      else
        column_sums_(dgates + piece.h_column, width, block.rows(), columns, accumulate, to.bias_hh + first);
    }
  }

  // In front of a direction's blocks, its weights being packed by this part.
  void begin_shared(uint32_t part) {
    shared_.clear(share(shared_.count(), 1, part, team_.parts()), memory_.dshared);
    if (!shape_.recompute) return;
    barrier_.wait();  // all are packed
    const Range rows = team_.rows(part, shared_.count());
    products_.input(part, run_.forward.x + uint64_t{rows.begin} * shape_.features, rows.size(),
                    memory_.shared + rows.begin * shared_.stride(), shared_.stride());
  }

  // And behind them, all sums being known.
  void finish_shared(uint32_t part, uint32_t direction) {
    const uint64_t features = shape_.features;
    const uint32_t count = shared_.count(), most = static_cast<uint32_t>(shape_.block_row_count());
    for (const GateColumns& piece : gate_column_pieces(shape_, products_.weight_columns(part)))
      for (uint32_t first = 0; first < count; first += most) {
        const uint32_t rows = std::min(most, count - first);
        products_.pack_gradients(part, memory_.dshared + first * shared_.stride(), shared_.stride(), rows,
                                 piece.columns.begin, piece.columns.size());
        products_.dweight(part, run_.forward.x + first * features, features, shape_.features, 0, rows, rows, piece.columns,
                          run_.dweights[direction].ih, run_.accumulate || first != 0);
      }
    if (run_.dx == nullptr) return;
    const Range rows = team_.rows(part, count);
    products_.dx(part, memory_.dshared + rows.begin * shared_.stride(), shared_.stride(), rows.size(),
                 run_.dx + rows.begin * features, direction != 0);
  }

  void input_gradients(uint32_t part, uint32_t direction, const StepBlock& block) {
    const uint64_t features = shape_.features;
    const bool reverse = direction == 1;
    const Range rows = team_.by_rows() ? share(block.rows(), 1, part, team_.parts()) : Range{0, block.rows()};
    const float* const dgates = memory_.dgates + rows.begin * shape_.row_floats();
    if (order_.whole()) {
      const uint64_t time = reverse ? shape_.steps - block.last() : block.first();
      products_.dx(part, dgates, shape_.row_floats(), rows.size(),
                   run_.dx + (time * order_.samples() + rows.begin) * features, direction != 0);
      return;
    }
    products_.dx(part, dgates, shape_.row_floats(), rows.size(), memory_.dx + rows.begin * features, false);
    const Range own = products_.features(part);
    for (uint32_t step = block.first(); step < block.last(); ++step)
      for (uint32_t row = 0; row < order_.alive(step); ++row) {
        const uint32_t block_row = block.begin(step) + row;
        if (block_row < rows.begin || block_row >= rows.end) continue;
        const float* const from = memory_.dx + block_row * features;
        const uint64_t time = order_.time(reverse, row, step);
        float* const to = run_.dx + (time * order_.samples() + order_.sample(row)) * features;
        for (uint32_t i = own.begin; i < own.end; ++i) to[i] = direction == 0 ? from[i] : to[i] + from[i];
      }
  }

  // A row of what the cell saved, or of what was computed again.
  float* cell_row(uint32_t direction, const StepBlock& block, uint32_t row, uint32_t step) const {
    const uint64_t floats = uint64_t{shape_.saved_blocks()} * shape_.units;
    return shape_.recompute ? memory_.cells + (uint64_t{step - block.first()} * order_.samples() + row) * floats
                            : saved(direction) + (uint64_t{step} * order_.samples() + row) * floats;
  }
  // LSTM: the cell state in front of a step; null: zeros.
  const float* state_before(uint32_t direction, const StepBlock& block, uint32_t row, uint32_t step, uint32_t unit) const {
    if (step == 0) return nullptr;
    if (shape_.recompute && step == block.first())
      return saved(direction) + (uint64_t{step / shape_.block_steps()} * order_.samples() + row) * shape_.units + unit;
    return cell_row(direction, block, row, step - 1) + uint64_t{3} * shape_.units + unit;
  }
  float* saved(uint32_t direction) const { return run_.forward.saved + shape_.saved_offset(direction); }
  float* saved_outputs(uint32_t direction, uint32_t step) const {
    return saved(direction) + shape_.saved_cell_floats(direction) + uint64_t{step} * order_.samples() * shape_.units;
  }
  uint64_t y_row(bool reverse, uint32_t row, uint32_t step) const {
    return (uint64_t{order_.time(reverse, row, step)} * order_.samples() + order_.sample(row)) * shape_.y_features();
  }
  const float* output(uint32_t direction, uint32_t row, uint32_t step) const {
    if (shape_.only_last_step) return saved_outputs(direction, step) + uint64_t{row} * shape_.units;
    return run_.forward.y + y_row(direction == 1, row, step) + uint64_t{direction} * shape_.units;
  }

  // Where samples differ in length, this part's share of the rows is copied; all have to have done so before they are read.
  Before outputs_before(uint32_t part, uint32_t direction, const StepBlock& block) {
    const bool reverse = direction == 1;
    const uint32_t without = block.first() == 0 ? order_.alive(0) : 0, from = std::max(block.first(), 1u);
    Before before{without, block.rows() - without, memory_.h, shape_.units};
    if (!order_.whole()) {
      for (uint32_t step = from; step < block.last(); ++step) {
        const Range rows = share(order_.alive(step), 1, part, team_.parts());
        for (uint32_t row = rows.begin; row < rows.end; ++row)
          std::memcpy(memory_.h + uint64_t{block.begin(step) + row - without} * shape_.units,
                      output(direction, row, step - 1), shape_.units * sizeof(float));
      }
    } else if (before.count != 0) {
      // Against the direction's sense in a reverse one, whose rows lie in the order of time: the first step comes last.
      if (reverse) before.first = 0;
      before.h = output(direction, 0, reverse ? block.last() - 2 : from - 1);
      before.stride = shape_.only_last_step ? shape_.units : shape_.y_features();
    }
    return before;
  }

  // The block's rows of x, one behind the other; copied as above.
  const float* input_rows(uint32_t part, bool reverse, const StepBlock& block) {
    const uint64_t features = shape_.features;
    if (order_.whole()) {
      const uint64_t time = reverse ? shape_.steps - block.last() : block.first();
      return run_.forward.x + time * order_.samples() * features;
    }
    gather_rows(order_, block, reverse, run_.forward.x, features, features, team_, part, memory_.x);
    return memory_.x;
  }

  const RecurrentShape& shape_;
  const RecurrentBackwardRun& run_;
  const Team& team_;
  const RecurrentProducts& products_;
  const Memory& memory_;
  const SampleOrder& order_;
  const SharedRows shared_;
  Barrier barrier_;
  CellForwardFunction* const again_;
  CellBackwardFunction* const cell_;
  ColumnSumsFunction* const column_sums_;
  AddRow* const add_row_;
};

}  // namespace

uint64_t recurrent_backward_scratch_bytes(const RecurrentShape& shape, bool wants_dx, uint32_t threads, Target target) {
  Carver carver(nullptr);
  (void)carve(shape, wants_dx, RecurrentProducts(shape, Team(shape, threads), forms(shape, wants_dx), target), &carver);
  return carver.bytes();
}

void recurrent_backward(const RecurrentShape& shape, const RecurrentBackwardRun& run, ThreadPool* pool, std::byte* scratch,
                        Target target) {
  const bool wants_dx = run.dx != nullptr;
  const Team team(shape, pool != nullptr ? pool->threads() : 1);
  RecurrentProducts products(shape, team, forms(shape, wants_dx), target);
  Carver carver(scratch);
  const Memory memory = carve(shape, wants_dx, products, &carver);
  products.place(memory.products);
  const SampleOrder order(shape, run.forward.samples, run.forward.lengths, memory.order);
  Backward backward(shape, run, team, products, memory, order, target);
  backward.run(pool);
}

}  // namespace lt::cpu::highway
