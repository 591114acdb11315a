// Sizes of a recurrent layer on the CPU, and what its passes keep and need. Plain numbers; any thread.
//
// saved, for each direction: what the cell saves (recurrent_cell.h) as [step][row][block of units], then, where y is no
// sequence, the outputs as [step][row][unit]. Where gates are recomputed, the cell's part holds in its place the cell
// states in front of every block of steps, [block][row][unit] (LSTM only). Steps are counted along the direction, rows in
// the order of SampleOrder.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/cpu/bf16/unit.h"
#include "src/base/checked.h"
#include "src/op.h"

namespace lt::cpu::highway {

// The products of a layer, as a set's members: of the gates, and of the gradients of outputs, of the input and of weights.
enum class RecurrentProduct : uint8_t { gates = 1, dh = 2, dx = 4, dweight = 8 };
inline constexpr uint8_t all_recurrent_products = 15;

struct RecurrentShape {
  Cell cell = Cell::gru;
  uint32_t steps = 0, features = 0, units = 0, directions = 1;
  uint32_t samples = 0;         // at most
  bool only_last_step = false;  // y is [sample][direction * units], no sequence
  bool has_lengths = false;
  bool recompute = false;  // gates are not kept for the backward pass but computed again
  // Not none: rows of x and of the outputs are rounded to bfloat16 for the gradients of weights, and so are those of gates.
  bf16::Unit unit = bf16::Unit::none;
  bool shared_rows = false;  // x has each different row once: Op::rows
  uint8_t bf16x3 = 0;        // which products are of thirds, on AMX: ../bf16x3; not dweight beside `unit`

  bool in_thirds(RecurrentProduct product) const { return (bf16x3 & static_cast<uint8_t>(product)) != 0; }
  uint32_t gates() const { return cell == Cell::lstm ? 4 : 3; }
  uint32_t gate_columns() const { return gates() * units; }
  // A row of gates before the cell, and of their gradients: four blocks of units for either cell.
  uint64_t row_floats() const { return uint64_t{4} * units; }
  // GRU's n is computed back from the outputs where they are kept as they were; a y may be rounded to bfloat16 meanwhile.
  bool saves_n() const { return cell == Cell::gru && !only_last_step; }
  uint32_t saved_blocks() const { return cell == Cell::lstm || saves_n() ? 4 : 3; }
  uint64_t y_features() const { return uint64_t{directions} * units; }

  // The last step of the backward direction is its first.
  uint32_t direction_steps(uint32_t direction) const { return only_last_step && direction == 1 ? 1 : steps; }
  // Steps whose input products are computed together, and whose gradients are added to the weights' together: enough rows
  // to pay for the weights' gradients' way through the caches, few enough to stay in a second cache.
  uint32_t block_steps() const { return std::clamp<uint32_t>(block_rows / samples, 1, std::min(steps, most_block_steps)); }
  uint64_t block_row_count() const { return uint64_t{block_steps()} * samples; }
  uint32_t blocks(uint32_t direction) const {
    return static_cast<uint32_t>(divide_up(direction_steps(direction), block_steps()));
  }

  // Floats of a direction's parts of saved.
  uint64_t saved_cell_floats(uint32_t direction) const {
    const uint64_t row = uint64_t{samples} * units;
    if (recompute) return cell == Cell::lstm ? align_up(blocks(direction) * row, line_floats) : 0;
    return align_up(direction_steps(direction) * row * saved_blocks(), line_floats);
  }
  uint64_t saved_output_floats(uint32_t direction) const {
    return only_last_step ? align_up(uint64_t{direction_steps(direction)} * samples * units, line_floats) : 0;
  }
  uint64_t saved_offset(uint32_t direction) const {
    return direction == 0 ? 0 : saved_cell_floats(0) + saved_output_floats(0);
  }
  uint64_t saved_bytes() const {
    uint64_t floats = 0;
    for (uint32_t d = 0; d < directions; ++d) floats += saved_cell_floats(d) + saved_output_floats(d);
    return floats * sizeof(float);
  }

  static constexpr uint32_t most_block_steps = 64;

 private:
  static constexpr uint32_t block_rows = 256;
  static constexpr uint64_t line_floats = tensor_alignment / sizeof(float);
};

}  // namespace lt::cpu::highway
