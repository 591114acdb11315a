// Packing and multiplying; see recurrent_products.h.
#include "backends/cpu/highway/recurrent_products.h"

#include <algorithm>
#include <cstring>

namespace lt::cpu::highway {
namespace {

constexpr uint64_t line_floats = tensor_alignment / sizeof(float);

// panel_product.h's, for sides that are split in thirds.
uint64_t split_floats(uint32_t columns, uint32_t depth) {
  return bf16x3::split_elements(columns, depth) * sizeof(uint16_t) / sizeof(float);
}
void split_panels(const float* b, size_t b_stride, bool transposed, uint32_t columns, uint32_t depth, float* packed) {
  bf16x3::split_weights(b, b_stride, transposed, columns, depth, reinterpret_cast<uint16_t*>(packed));
}

}  // namespace

GateColumnList gate_columns(const RecurrentShape& shape, Range units) {
  if (units.size() == shape.units) return gate_column_pieces(shape, {0, shape.gate_columns()});
  GateColumnList result;
  for (uint32_t gate = 0; gate < shape.gates(); ++gate) {
    const uint32_t first = gate * shape.units + units.begin;
    const bool apart = shape.cell == Cell::gru && gate == 2;
    result.list[result.count++] = {{first, first + units.size()}, first, apart ? first + shape.units : first, apart};
  }
  return result;
}

GateColumnList gate_column_pieces(const RecurrentShape& shape, Range columns) {
  GateColumnList result;
  const uint32_t joined = shape.cell == Cell::gru ? 2 * shape.units : 4 * shape.units;
  if (columns.begin < joined) {
    const Range piece{columns.begin, std::min(columns.end, joined)};
    result.list[result.count++] = {piece, piece.begin, piece.begin, false};
  }
  if (columns.end > joined) {
    const Range piece{std::max(columns.begin, joined), columns.end};
    result.list[result.count++] = {piece, piece.begin, piece.begin + shape.units, true};
  }
  return result;
}

RecurrentProducts::RecurrentProducts(const RecurrentShape& shape, const Team& team, Forms forms, Target target)
    : shape_(shape),
      team_(team),
      forms_(forms),
      packed_floats_(for_target(panel_floats_table, target)),
      product_(for_target(panel_product_table, target)),
      pack_(for_target(panel_pack_table, target)) {
  for (uint32_t part = 0; part < team_.parts(); ++part) part_floats_ = std::max(part_floats_, offsets(part).end);
  weight_floats_ = part_floats_ * (team_.by_rows() ? 1 : team_.parts());
  bias_floats_ = align_up(uint64_t{shape.gate_columns()} + shape.units, line_floats);
  const auto rows = static_cast<uint32_t>(shape_.block_row_count());
  const uint32_t widest = std::max(shape_.features, shape_.units);
  if (shape.bf16x3 != 0) {
    const uint64_t most_rows = shape.shared_rows ? uint64_t{shape.steps} * shape.samples : rows;
    split_floats_ = bf16x3::scratch_floats(static_cast<uint32_t>(std::max<uint64_t>(most_rows, widest)),
                                           std::max({widest, rows, forms.dx ? shape.gate_columns() : 0}));
  }
  if (!forms.dh) return;
  block_size_ = {rows, 0, widest};
  for (uint32_t part = 0; part < team_.parts(); ++part) {
    gradient_floats_ = std::max(gradient_floats_, packed_floats(Kind::dweight, weight_columns(part).size(), rows));
    block_size_.columns = std::max(block_size_.columns, weight_columns(part).size());
  }
  if (shape_.unit != bf16::Unit::none) gradient_floats_ = bf16::GradientBlock::bytes(block_size_) / sizeof(float);
}

bf16::GradientBlock RecurrentProducts::gradient_block(uint32_t part) const {
  return {shape_.unit, block_size_, reinterpret_cast<std::byte*>(gradients_ + part * gradient_floats_)};
}

void RecurrentProducts::place(std::byte* scratch) {
  weights_ = reinterpret_cast<float*>(scratch);
  bias_ = weights_ + weight_floats_;
  bias_apart_ = bias_ + shape_.gate_columns();
  gradients_ = bias_ + bias_floats_;
  split_ = gradients_ + team_.parts() * gradient_floats_;
}

Range RecurrentProducts::weight_columns(uint32_t part) const {
  return share(shape_.gate_columns(), line_floats, part, team_.parts());
}

Range RecurrentProducts::features(uint32_t part) const {
  return team_.by_rows() ? Range{0, shape_.features} : share(shape_.features, line_floats, part, team_.parts());
}

RecurrentProducts::Offsets RecurrentProducts::offsets(uint32_t part) const {
  Offsets at{};
  uint64_t ih = 0, hh = 0;
  for (const GateColumns& piece : columns(part)) {
    ih += packed_floats(Kind::gates, piece.columns.size(), shape_.features);
    hh += packed_floats(Kind::gates, piece.columns.size(), shape_.units);
  }
  at.hh = forms_.gates ? ih : 0;
  at.dh = at.hh + (forms_.gates ? hh : 0);
  uint64_t dh = 0;
  for (const GateColumns& rows : gate_column_pieces(shape_, {0, shape_.gate_columns()}))
    dh += packed_floats(Kind::dh, team_.units(part).size(), rows.columns.size());
  at.dx = at.dh + (forms_.dh ? dh : 0);
  at.end = at.dx + (forms_.dx ? packed_floats(Kind::dx, features(part).size(), shape_.gate_columns()) : 0);
  return at;
}

void RecurrentProducts::pack(uint32_t part, const RecurrentWeightValues& weights) const {
  const uint32_t leading = shape_.gate_columns();
  const Offsets at = offsets(part);
  float* const own = weights_ + (this->weights(part) - weights_);
  // Where the weights are shared, the parts take turns in packing them.
  uint32_t item = 0;
  const auto mine = [&] { return !team_.by_rows() || item++ % team_.parts() == part; };
  if (forms_.gates) {
    float *ih = own + at.ih, *hh = own + at.hh;
    for (const GateColumns& piece : columns(part)) {
      const uint32_t n = piece.columns.size();
      if (mine()) pack_panels(Kind::gates, weights.ih + piece.columns.begin, leading, false, n, shape_.features, ih);
      if (mine()) pack_panels(Kind::gates, weights.hh + piece.columns.begin, leading, false, n, shape_.units, hh);
      ih += packed_floats(Kind::gates, n, shape_.features);
      hh += packed_floats(Kind::gates, n, shape_.units);
    }
    if (part == 0)
      for (uint32_t column = 0; column < leading; ++column) {
        const bool apart = shape_.cell == Cell::gru && column >= 2 * shape_.units;
        const float of_h = weights.bias_hh != nullptr ? weights.bias_hh[column] : 0;
        bias_[column] = (weights.bias_ih != nullptr ? weights.bias_ih[column] : 0) + (apart ? 0 : of_h);
        if (apart) bias_apart_[column - 2 * shape_.units] = of_h;
      }
  }
  if (forms_.dh && mine()) {
    const Range units = team_.units(part);
    float* to = own + at.dh;
    for (const GateColumns& rows : gate_column_pieces(shape_, {0, leading})) {
      pack_panels(Kind::dh, weights.hh + uint64_t{units.begin} * leading + rows.columns.begin, leading, true, units.size(),
                  rows.columns.size(), to);
      to += packed_floats(Kind::dh, units.size(), rows.columns.size());
    }
  }
  if (forms_.dx && mine()) {
    const Range own_features = features(part);
    pack_panels(Kind::dx, weights.ih + uint64_t{own_features.begin} * leading, leading, true, own_features.size(), leading,
                own + at.dx);
  }
}

uint64_t RecurrentProducts::packed_floats(Kind kind, uint32_t columns, uint32_t depth) const {
  return shape_.in_thirds(kind) ? split_floats(columns, depth) : packed_floats_(columns, depth);
}

void RecurrentProducts::pack_panels(Kind kind, const float* b, size_t b_stride, bool transposed, uint32_t columns,
                                    uint32_t depth, float* packed) const {
  if (shape_.in_thirds(kind)) return split_panels(b, b_stride, transposed, columns, depth, packed);
  pack_(b, b_stride, transposed, columns, depth, packed);
}

void RecurrentProducts::multiply(Kind kind, uint32_t part, const PanelProduct* pieces, uint32_t count) const {
  if (!shape_.in_thirds(kind)) {
    for (const PanelProduct* piece = pieces; piece != pieces + count; ++piece) product_(*piece);
    return;
  }
  const PanelProduct& all = *pieces;
  const bool transposed = kind == Kind::dweight;
  bf16x3::Columns columns[4];
  for (uint32_t i = 0; i < count; ++i)
    columns[i] = {reinterpret_cast<const uint16_t*>(pieces[i].packed), pieces[i].columns, pieces[i].c, pieces[i].bias,
                  pieces[i].accumulate};
  bf16x3::multiply({all.a, transposed ? all.a_k : all.a_row, all.rows, all.depth, transposed}, all.first, all.packed_depth,
                   columns, count, all.c_stride, split_ + part * split_floats_);
}

void RecurrentProducts::input(uint32_t part, const float* x, size_t rows, float* gates, size_t stride) const {
  PanelProduct product{}, pieces[4];
  product.rows = static_cast<uint32_t>(rows);
  product.depth = product.packed_depth = shape_.features;
  product.a = x;
  product.a_row = shape_.features;
  product.a_k = 1;
  product.packed = weights(part) + offsets(part).ih;
  product.c_stride = stride;
  const GateColumnList list = columns(part);
  for (uint32_t i = 0; i < std::min<size_t>(list.count, std::size(pieces)); ++i) {
    const GateColumns& piece = list.list[i];
    product.columns = piece.columns.size();
    product.c = gates + piece.x_column;
    product.bias = bias_ + piece.columns.begin;
    pieces[i] = product;
    product.packed += packed_floats(Kind::gates, product.columns, product.depth);
  }
  multiply(Kind::gates, part, pieces, list.count);
}

void RecurrentProducts::recurrent(uint32_t part, const float* h, size_t h_stride, size_t rows, float* gates) const {
  PanelProduct product{}, pieces[4];
  product.rows = static_cast<uint32_t>(rows);
  product.depth = product.packed_depth = shape_.units;
  product.a = h;
  product.a_row = h_stride;
  product.a_k = 1;
  product.packed = weights(part) + offsets(part).hh;
  product.c_stride = shape_.row_floats();
  const GateColumnList list = columns(part);
  for (uint32_t i = 0; i < std::min<size_t>(list.count, std::size(pieces)); ++i) {
    const GateColumns& piece = list.list[i];
    product.columns = piece.columns.size();
    product.c = gates + piece.h_column;
    product.bias = piece.apart ? bias_apart_ + (piece.columns.begin - 2 * shape_.units) : nullptr;
    product.accumulate = !piece.apart;
    if (h == nullptr && piece.apart)
      for (size_t row = 0; row < rows; ++row)
        std::memcpy(product.c + row * product.c_stride, product.bias, product.columns * sizeof(float));
    pieces[i] = product;
    product.packed += packed_floats(Kind::gates, product.columns, product.depth);
  }
  if (h != nullptr) multiply(Kind::gates, part, pieces, list.count);
}

void RecurrentProducts::dh(uint32_t part, const float* dgates, size_t rows, float* dh) const {
  const Range units = team_.units(part);
  PanelProduct product{};
  product.rows = static_cast<uint32_t>(rows);
  product.columns = units.size();
  product.a_row = shape_.row_floats();
  product.a_k = 1;
  product.packed = weights(part) + offsets(part).dh;
  product.c = dh + units.begin;
  product.c_stride = shape_.units;
  product.accumulate = shape_.cell == Cell::gru;
  for (const GateColumns& piece : gate_column_pieces(shape_, {0, shape_.gate_columns()})) {
    product.depth = product.packed_depth = piece.columns.size();
    product.a = dgates + piece.h_column;
    multiply(Kind::dh, part, &product, 1);
    product.packed += packed_floats(Kind::dh, product.columns, product.depth);
  }
}

void RecurrentProducts::dx(uint32_t part, const float* dgates, size_t stride, size_t rows, float* dx,
                           bool accumulate) const {
  const Range own = features(part);
  PanelProduct product{};
  product.rows = static_cast<uint32_t>(rows);
  product.columns = own.size();
  product.depth = product.packed_depth = shape_.gate_columns();
  product.a = dgates;
  product.a_row = stride;
  product.a_k = 1;
  product.packed = weights(part) + offsets(part).dx;
  product.c = dx + own.begin;
  product.c_stride = shape_.features;
  product.accumulate = accumulate;
  multiply(Kind::dx, part, &product, 1);
}

void RecurrentProducts::pack_gradients(uint32_t part, const float* dgates, size_t stride, uint32_t rows, uint32_t column,
                                       uint32_t columns) const {
  if (shape_.unit != bf16::Unit::none) return gradient_block(part).pack(dgates + column, stride, rows, columns);
  pack_panels(Kind::dweight, dgates + column, stride, false, columns, rows, gradients_ + part * gradient_floats_);
}

void RecurrentProducts::dweight(uint32_t part, const float* a, size_t a_stride, uint32_t a_columns, uint32_t first,
                                uint32_t count, uint32_t rows, Range columns, float* dweight, bool accumulate) const {
  if (shape_.unit != bf16::Unit::none)
    return gradient_block(part).multiply(
        a, a_stride, first, count, rows,
        {dweight + columns.begin, shape_.gate_columns(), a_columns, columns.size(), accumulate});
  PanelProduct product{};
  product.rows = a_columns;
  product.columns = columns.size();
  product.first = first;
  product.depth = count;
  product.packed_depth = rows;
  product.a = a;
  product.a_row = 1;
  product.a_k = a_stride;
  product.packed = gradients_ + part * gradient_floats_;
  product.c = dweight + columns.begin;
  product.c_stride = shape_.gate_columns();
  product.accumulate = accumulate;
  multiply(Kind::dweight, part, &product, 1);
}

}  // namespace lt::cpu::highway
