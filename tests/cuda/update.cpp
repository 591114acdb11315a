// The optimizers' steps against the reference device's, and bfloat16 itself.
#include <cmath>
#include <limits>

#include "backends/cuda/own/own.h"
#include "backends/reference/ops.h"
#include "tests/cuda/own_kernels.h"

namespace lt::cuda {
namespace {

enum class Stop { none, non_finite, halted };

void check_update(OpKind kind, uint64_t elements, bool copies, Stop stop) {
  SCOPED_TRACE(testing::Message() << op_kind_name(kind) << " of " << elements << ", " << emulation::describe_options());
  OwnKernel k;
  k.op.kind = kind;
  k.op.parameter_elements = elements;
  k.op.parameters = k.add(DType::f32, elements);
  k.op.gradients = k.add(DType::f32, elements);
  if (kind != OpKind::update_sgd) k.op.state = k.add(DType::f32, elements);
  if (kind == OpKind::update_adam) k.op.state2 = k.add(DType::f32, elements);
  if (copies) k.op.copies = k.add(DType::bf16, elements);
  k.op.statistics = k.add_bytes(sizeof(Statistics));
  const std::vector<float> w = k.set(k.op.parameters, random_values(elements, 1));
  const std::vector<float> g = k.set(k.op.gradients, random_values(elements, 2));
  std::vector<float> m, v;
  if (k.op.state != no_tensor) m = k.set(k.op.state, random_values(elements, 3));
  if (k.op.state2 != no_tensor) v = k.set(k.op.state2, random_values(elements, 4, 0, 1));
  *k.at<Statistics>(k.op.statistics) = {1, 1, stop == Stop::non_finite ? 1u : 0u};
  k.state.step = 3;
  k.state.learning_rate = 0.05f;
  k.state.momentum = 0.9f;
  k.state.beta1 = 0.9f;
  k.state.beta2 = 0.999f;
  k.state.epsilon = 1e-3f;
  k.state.halted = stop == Stop::halted ? 1 : 0;

  OwnKernel r;
  r.op = k.op;
  r.op.parameters = r.add(DType::f32, elements);
  r.op.gradients = r.add(DType::f32, elements);
  r.op.state = r.add(DType::f32, elements);
  r.op.state2 = r.add(DType::f32, elements);
  r.op.statistics = r.op.copies = no_tensor;
  r.set(r.op.parameters, w);
  r.set(r.op.gradients, g);
  r.set(r.op.state, m);
  r.set(r.op.state2, v);
  RunArguments arguments;
  arguments.step = 3;
  arguments.learning_rate = 0.05f;
  arguments.momentum = 0.9f;
  arguments.epsilon = 1e-3f;
  const reference::Context context{&r.program, &arguments, r.site().region};
  if (stop == Stop::none) reference::update(r.op, context);

  const auto kernel = make_own_update(k.request(1));
  ASSERT_NE(kernel, nullptr);
  ASSERT_EQ(kernel->enqueue(k.site()), Status::ok);
  expect_near(k.values(k.op.parameters), r.values(r.op.parameters), 3e-7, "parameters");
  if (!m.empty()) expect_near(k.values(k.op.state), r.values(r.op.state), 3e-7, "state");
  if (!v.empty()) expect_near(k.values(k.op.state2), r.values(r.op.state2), 3e-7, "state2");
  EXPECT_EQ(k.values(k.op.gradients), g);
  if (!copies) return;
  if (stop != Stop::none) {
    EXPECT_EQ(k.bytes(k.op.copies), std::vector<uint8_t>(elements * 2, 0xee));
  }
  const auto expect_copies = [&] {
    const std::vector<float> now = k.values(k.op.parameters), copied = k.values(k.op.copies);
    for (uint64_t i = 0; i < elements; ++i) ASSERT_EQ(copied[i], to_float(to_bf16(now[i]))) << i;
  };
  if (stop == Stop::none) expect_copies();
  k.set(k.op.parameters, g);
  ASSERT_EQ(enqueue_parameter_copies(k.site(), k.op), Status::ok);
  expect_copies();
}

TEST(CudaUpdate, EqualsTheReference) {
  emulation::for_each_order(
      [] {
        for (const OpKind kind : {OpKind::update_sgd, OpKind::update_momentum, OpKind::update_adam})
          for (const uint64_t elements : {1, 16, 1023, 9002})  // the last more than all blocks have at once
            for (const bool copies : {false, true}) check_update(kind, elements, copies, Stop::none);
      },
      1);
}

TEST(CudaUpdate, AfterALossThatIsNotFiniteNothingChanges) {
  for (const OpKind kind : {OpKind::update_sgd, OpKind::update_momentum, OpKind::update_adam})
    for (const Stop stop : {Stop::non_finite, Stop::halted}) check_update(kind, 50, true, stop);
}

TEST(CudaBf16, RoundsToTheNearestAndHalvesToEven) {
  EXPECT_EQ(to_bf16(1.0f).bits, 0x3f80);
  EXPECT_EQ(to_bf16(0x1.01p0f).bits, 0x3f80) << "half way, down to even";
  EXPECT_EQ(to_bf16(0x1.03p0f).bits, 0x3f82) << "half way, up to even";
  EXPECT_EQ(to_bf16(0x1.010002p0f).bits, 0x3f81);
  EXPECT_EQ(to_bf16(-0x1.03p0f).bits, 0xbf82);
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()).bits, 0x7f80) << "infinity";
  EXPECT_EQ(to_bf16(INFINITY).bits, 0x7f80);
  EXPECT_TRUE(std::isnan(to_float(to_bf16(NAN))));
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::bit_cast<float>(0x7f800001u))))) << "a NaN of low bits alone";
  EXPECT_EQ(to_bf16_pair(1.0f, -2.0f), 0xc0003f80u);
}

}  // namespace
}  // namespace lt::cuda
