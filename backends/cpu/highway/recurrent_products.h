// The matrix products of a recurrent layer with its weights, each part's packed (panel_product.h) in scratch, for one
// direction at a time. Rows of gates and of their gradients are RecurrentShape::row_floats() apart where no stride is
// given.
//
// Where parts have units of their own, a part computes these units' gates, the gradients of these units' outputs and its
// share of the features of dx; where rows are shared, all of them for the rows that it is given.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/bf16/gradient_block.h"
#include "backends/cpu/bf16x3/product.h"
#include "backends/cpu/highway/panel_product.h"
#include "backends/cpu/highway/recurrent_team.h"

namespace lt::cpu::highway {

// One direction's weights, [in][gate * units]; biases may be null.
struct RecurrentWeightValues {
  const float *ih = nullptr, *hh = nullptr, *bias_ih = nullptr, *bias_hh = nullptr;
};

// Columns of the weights that one product takes, and where they go in a row of gates.
struct GateColumns {
  Range columns;
  uint32_t x_column, h_column;
  bool apart;  // the recurrent product is not added to the input's: GRU's n
};

struct GateColumnList {
  GateColumns list[4];
  uint32_t count = 0;
  const GateColumns* begin() const { return list; }
  const GateColumns* end() const { return list + count; }
};

// The gates of some units.
GateColumnList gate_columns(const RecurrentShape& shape, Range units);
// Any columns of the weights, in as many pieces as the rows of gates need.
GateColumnList gate_column_pieces(const RecurrentShape& shape, Range columns);

class RecurrentProducts {
 public:
  // Which of the weights' forms are packed: for the gates, for gradients of outputs and for those of the input.
  struct Forms {
    bool gates, dh, dx;
  };
  RecurrentProducts(const RecurrentShape& shape, const Team& team, Forms forms, Target target);

  uint64_t scratch_bytes() const {
    return (weight_floats_ + bias_floats_ + team_.parts() * (gradient_floats_ + split_floats_)) * sizeof(float);
  }
  void place(std::byte* scratch);

  // Packs this part's share. All parts have to have done so before any multiplies.
  void pack(uint32_t part, const RecurrentWeightValues& weights) const;

  // gates = bias + x ih, and gates += h hh, GRU's n into its block of the recurrent part. h null: zeros. `stride` is that
  // of rows of gates, here and below.
  void input(uint32_t part, const float* x, size_t rows, float* gates, size_t stride) const;
  void recurrent(uint32_t part, const float* h, size_t h_stride, size_t rows, float* gates) const;
  // dh = dgates hh^T, added to what is there for GRU.
  void dh(uint32_t part, const float* dgates, size_t rows, float* dh) const;
  // The columns of dx that this part computes.
  Range features(uint32_t part) const;
  void dx(uint32_t part, const float* dgates, size_t stride, size_t rows, float* dx, bool accumulate) const;
  // The columns of the gradients of the weights that this part computes, whoever computed the gates.
  Range weight_columns(uint32_t part) const;
  // Packs a block's gradients of some gates, from `column` of a row of dgates on; then, in these columns of a gradient of
  // weights, dweight (+)= a^T times the rows from `first` on. a: [row][a_columns].
  void pack_gradients(uint32_t part, const float* dgates, size_t stride, uint32_t rows, uint32_t column,
                      uint32_t columns) const;
  void dweight(uint32_t part, const float* a, size_t a_stride, uint32_t a_columns, uint32_t first, uint32_t count,
               uint32_t rows, Range columns, float* dweight, bool accumulate) const;

 private:
  // Floats from the beginning of a part's weights.
  struct Offsets {
    uint64_t ih, hh, dh, dx, end;
  };
  Offsets offsets(uint32_t part) const;
  const float* weights(uint32_t part) const { return weights_ + (team_.by_rows() ? 0 : part * part_floats_); }
  using Kind = RecurrentProduct;
  uint64_t packed_floats(Kind kind, uint32_t columns, uint32_t depth) const;
  void pack_panels(Kind kind, const float* b, size_t b_stride, bool transposed, uint32_t columns, uint32_t depth,
                   float* packed) const;
  // Multiplies the same rows by each piece of packed columns. Of dweight the rows of k lie a_k apart.
  void multiply(Kind kind, uint32_t part, const PanelProduct* pieces, uint32_t count) const;
  GateColumnList columns(uint32_t part) const { return gate_columns(shape_, team_.units(part)); }
  bf16::GradientBlock gradient_block(uint32_t part) const;
  RecurrentShape shape_;
  Team team_;
  Forms forms_;
  PanelFloatsFunction* packed_floats_;
  uint64_t part_floats_ = 0, weight_floats_ = 0, bias_floats_ = 0, gradient_floats_ = 0;
  uint64_t split_floats_ = 0;               // of a part's left sides in thirds
  bf16::GradientBlock::Size block_size_{};  // of a part's gradients in bfloat16
  float *weights_ = nullptr, *bias_ = nullptr, *bias_apart_ = nullptr, *gradients_ = nullptr, *split_ = nullptr;
  PanelProductFunction* product_;
  PanelPackFunction* pack_;
};

}  // namespace lt::cpu::highway
