// Cases under Precision::int8: which there are, and the scales of their bytes. See op_fixture.h.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "src/base/int8.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {

bool fits(const OpCase& c, Precision precision) {
  if (precision != Precision::int8) return true;
  if (c.op.kind == OpKind::input) return c.op.x_dtype == DType::u8 && c.time_steps == 0;
  return c.inference && (c.op.kind == OpKind::conv2d || c.op.kind == OpKind::average_pool);
}

void OpRun::add_scales(Op* op) {
  op->scales = add("scales", DType::f32, 0, 3);
  op->x_scale = {0, case_.x_zero};
  op->y_scale = {1, static_cast<uint8_t>(op->has_relu ? 0 : 128)};
  op->residual_scale = {2, case_.residual_zero};
}

// Of x, y and the residual: such that results fill most of a byte's range and a few leave it. Bytes of x are 74 on either
// side of their middle on average, those of uniform weights 64, and a sum's deviation grows with the root of its products.
// By whole numbers a sum's factor is a power of two, and some sums lie half way between two bytes.
void OpRun::fill_scales(const Tensor& tensor) {
  const Op& op = case_.op;
  float scales[3] = {1.0f / 64, 1.0f / 64, 1.0f / 64};
  if (op.kind == OpKind::input) scales[1] = op.scale == 1 ? 2 : 0.025f;
  if (op.kind == OpKind::conv2d) {
    const float products = static_cast<float>(op.conv.kernel * op.conv.kernel * op.x_extent.channels);
    scales[1] = 0.02f * std::sqrt(products);
    if (case_.fill == Fill::integers)
      scales[1] = scales[0] * weight_scale(2) * std::exp2(std::ceil(std::log2(111 * std::sqrt(products))));
    scales[2] = 0.8f * scales[1];
  }
  std::memcpy(region_.get() + tensor.offset, scales, sizeof scales);
}

}  // namespace lt::ops
