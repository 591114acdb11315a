// Convolutions and linear layers of the own kernels as operations, forward and backward, against the reference device's:
// what the makers decide (types, what is joined to a product, scratch) and how their launches follow each other. All
// numbers are multiples of 1/8 and dropout's scale is 2, so that sums are exact; results of bfloat16 are rounded once.
#include <cmath>

#include "backends/cuda/own/own.h"
#include "backends/reference/ops.h"
#include "tests/cuda/own_kernels.h"

namespace lt::cuda {
namespace {

struct Case {
  const char* name;
  Extent x;
  uint32_t out;
  Window conv{0, 1, 0};  // kernel 0: a linear layer
  Window pool{0, 1, 0};
  bool bias = true, relu = true;
  float dropout = 0;
  bool drops = true;
  Precision precision = Precision::fp32;
  bool f32_result = false;  // logits
  bool accumulate = false;
  bool needs_dx = true;
  uint32_t samples = 3, micro_batch = 4;
};

constexpr const char* precision_names[] = {"fp32", "tf32", "bf16"};
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.name << ", " << precision_names[static_cast<int>(c.precision)] << ", samples " << c.samples << " of "
             << c.micro_batch;
}

uint32_t window_count(uint32_t extent, Window w) { return (extent + 2 * w.padding - w.kernel) / w.stride + 1; }

std::vector<float> eighths(uint64_t n, uint32_t seed) {
  std::vector<float> v = random_values(n, seed);
  for (float& value : v) value = std::round(value * 8) / 8;
  return v;
}

// The op with its tensors in `k`, for the precision or, for the reference, in float.
void build(OwnKernel& k, const Case& c, bool reference) {
  const DType type = c.precision == Precision::bf16 && !reference ? DType::bf16 : DType::f32;
  const DType y_type = c.f32_result ? DType::f32 : type;
  Op& op = k.op;
  op.kind = c.conv.kernel == 0 ? OpKind::linear : OpKind::conv2d;
  op.layer = "layer";
  op.layer_index = 4;
  op.x_extent = c.x;
  op.conv = c.conv;
  op.has_bias = c.bias;
  op.has_relu = c.relu;
  op.dropout = c.dropout;
  uint64_t weights = c.x.elements() * c.out;
  if (c.conv.kernel == 0) {
    op.y_extent = {1, 1, c.out};
  } else {
    op.conv_extent = op.y_extent = {window_count(c.x.height, c.conv), window_count(c.x.width, c.conv), c.out};
    weights = uint64_t{c.conv.kernel} * c.conv.kernel * c.x.channels * c.out;
  }
  if (c.pool.kernel != 0) {
    op.has_pool = true;
    op.pool = c.pool;
    op.y_extent = {window_count(op.conv_extent.height, c.pool), window_count(op.conv_extent.width, c.pool), c.out};
  }
  const uint64_t x_elements = c.micro_batch * c.x.elements(), y_elements = c.micro_batch * op.y_extent.elements();
  k.program.weight_layout = WeightLayout::out_in;
  op.x = k.add(type, x_elements);
  op.weight = k.add(type, weights);
  if (c.bias) op.bias = k.add(DType::f32, c.out);
  op.y = k.add(y_type, y_elements);
  if (op.has_pool) op.argmax = k.add_bytes(y_elements);
  if (c.dropout > 0) op.mask = k.add_bytes(c.micro_batch * mask_row_bytes(op.y_extent.elements()));
  op.dy = k.add(y_type, y_elements);
  op.dweight = k.add(DType::f32, weights);
  if (c.bias) op.dbias = k.add(DType::f32, c.out);
  if (c.needs_dx) op.dx = k.add(type, x_elements);
  k.set(op.x, eighths(x_elements, 1));
  k.set(op.weight, eighths(weights, 2));
  if (c.bias) k.set(op.bias, eighths(c.out, 3));
  k.set(op.dy, eighths(y_elements, 4));
  k.set(op.dweight, eighths(weights, 5));
  if (c.bias) k.set(op.dbias, eighths(c.out, 6));
  k.state.seed = 21;
  k.state.step = 9;
}

// The samples' part, on both sides; and what lies behind it is untouched.
void compare(OwnKernel& own, TensorId own_id, OwnKernel& reference, TensorId reference_id, uint64_t elements,
             const char* what) {
  if (own_id == no_tensor) return;
  const DType type = own.program.tensors[own_id].dtype;
  if (type == DType::u8) {
    std::vector<uint8_t> a = own.bytes(own_id), e = reference.bytes(reference_id);
    for (size_t i = elements; i < a.size(); ++i) ASSERT_EQ(a[i], 0xee) << what << ", byte " << i;
    a.resize(elements);
    e.resize(elements);
    EXPECT_EQ(a, e) << what;
    return;
  }
  std::vector<float> a = own.values(own_id), e = reference.values(reference_id);
  const std::vector<uint8_t> behind = own.bytes(own_id);
  for (size_t i = elements * dtype_bytes(type); i < behind.size(); ++i)
    ASSERT_EQ(behind[i], 0xee) << what << ", byte " << i;
  a.resize(elements);
  e.resize(elements);
  expect_near(a, e, type == DType::bf16 ? 0x1p-8 : 0, what);
}

void check(const Case& c) {
  SCOPED_TRACE(testing::Message() << c << ", " << emulation::describe_options());
  OwnKernel own, reference;
  build(own, c, false);
  build(reference, c, true);
  const bool linear = c.conv.kernel == 0;
  const uint64_t y_row = own.op.y_extent.elements();

  KernelRequest request = own.request(c.micro_batch);
  request.precision = c.precision;
  const auto forward = linear ? make_own_linear(request) : make_own_conv2d(request);
  ASSERT_NE(forward, nullptr) << last_error();
  own.reserve_scratch(forward->scratch_bytes());
  Site site = own.site();
  site.samples = c.samples;
  site.sample_offset = 2;
  site.accumulate = c.accumulate;
  site.dropout = c.drops;
  ASSERT_EQ(forward->enqueue(site), Status::ok);

  RunArguments arguments;
  arguments.samples = c.samples;
  arguments.sample_offset = 2;
  arguments.training = true;
  arguments.accumulate = c.accumulate;
  arguments.dropout = c.drops;
  arguments.seed = 21;
  arguments.step = 9;
  const reference::Context context{&reference.program, &arguments, reference.site().region};
  reference.reserve_scratch(linear ? reference::linear_scratch_bytes(reference.op)
                                   : reference::conv2d_scratch_bytes(reference.op));
  if (linear)
    reference::linear(reference.op, context);
  else
    reference::conv2d(reference.op, context);
  compare(own, own.op.y, reference, reference.op.y, c.samples * y_row, "y");
  compare(own, own.op.argmax, reference, reference.op.argmax, c.samples * y_row, "argmax");
  compare(own, own.op.mask, reference, reference.op.mask, c.samples * mask_row_bytes(y_row), "mask");
  if (testing::Test::HasFailure()) return;

  own.op.kind = reference.op.kind = linear ? OpKind::linear_backward : OpKind::conv2d_backward;
  if (c.needs_dx) std::memset(own.at<void>(own.op.dx), 0xee, own.program.tensors[own.op.dx].bytes);
  const auto backward = linear ? make_own_linear_backward(request) : make_own_conv2d_backward(request);
  ASSERT_NE(backward, nullptr) << last_error();
  own.reserve_scratch(backward->scratch_bytes());
  site = own.site();
  site.samples = c.samples;
  site.accumulate = c.accumulate;
  site.dropout = c.drops;
  ASSERT_EQ(backward->enqueue(site), Status::ok);
  reference.reserve_scratch(linear ? reference::linear_backward_scratch_bytes(reference.op, c.micro_batch)
                                   : reference::conv2d_backward_scratch_bytes(reference.op));
  if (linear)
    reference::linear_backward(reference.op, context);
  else
    reference::conv2d_backward(reference.op, context);
  compare(own, own.op.dweight, reference, reference.op.dweight, own.values(own.op.dweight).size(), "dweight");
  compare(own, own.op.dbias, reference, reference.op.dbias, c.out, "dbias");
  compare(own, own.op.dx, reference, reference.op.dx, c.samples * c.x.elements(), "dx");
}

std::vector<Case> cases() {
  const Window none{0, 1, 0}, halves{2, 2, 0}, overlapping{3, 2, 1};
  return {
      {"conv1 of MNIST, small", {8, 8, 1}, 12, {5, 1, 2}, halves},
      {"pool, no ReLU, no dx", {9, 10, 3}, 10, {3, 1, 1}, halves, true, false, 0, true, {}, false, false, false},
      {"pool, ReLU, dropout joined", {6, 6, 4}, 16, {3, 1, 1}, halves, true, true, 0.5f},
      {"pool, ReLU, dropout of channels not in whole bytes", {6, 6, 5}, 10, {3, 1, 1}, halves, true, true, 0.5f},
      {"dropout without a pool, channels not in whole bytes", {6, 5, 5}, 10, {3, 1, 0}, none, true, true, 0.5f},
      {"overlapping pool and all that follows", {7, 7, 8}, 12, {3, 1, 1}, overlapping, true, true, 0.5f},
      {"stride, accumulate", {9, 9, 8}, 20, {3, 2, 1}, none, true, true, 0, true, {}, false, true},
      {"dropout turned off", {6, 6, 4}, 16, {3, 1, 1}, halves, true, true, 0.5f, false},
      {"a bare convolution", {6, 7, 8}, 9, {3, 1, 1}, none, false, false},
      {"fc1, small", {3, 3, 16}, 72, none, none, true, true, 0.5f},
      {"logits", {1, 1, 40}, 10, none, none, false, false, 0, true, {}, true},
      {"logits with a bias, accumulate", {1, 1, 100}, 10, none, none, true, false, 0, true, {}, true, true},
      {"many samples", {1, 1, 24}, 33, none, none, true, true, 0, true, {}, false, false, true, 70, 70},
  };
}

TEST(CudaProduct, EqualsTheReference) {
  for (const Case& base : cases())
    for (Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
      Case c = base;
      c.precision = precision;
      if (precision != Precision::bf16) c.f32_result = false;
      check(c);
      if (HasFailure()) return;
      if (c.samples != c.micro_batch) {
        c.samples = c.micro_batch;
        check(c);
        if (HasFailure()) return;
      }
    }
}

// y = relu(x weight + bias + residual), the residual apart or in y, cut along k or not. All terms are eighths.
void check_sum(Precision precision, uint32_t channels, uint32_t out, bool in_y, bool in_parts) {
  SCOPED_TRACE(testing::Message() << precision_names[static_cast<int>(precision)] << ", " << channels << " to " << out
                                  << (in_y ? ", in y" : "") << ", " << emulation::describe_options());
  Case c{"sum", {5, 4, channels}, out, {3, 1, 1}};
  c.precision = precision;
  OwnKernel own, reference;
  for (OwnKernel* k : {&own, &reference}) {
    build(*k, c, k == &reference);
    const uint64_t y_elements = c.micro_batch * k->op.y_extent.elements();
    k->program.inference = true;
    k->op.residual = in_y ? k->op.y : k->add(k->program.tensors[k->op.y].dtype, y_elements);
    k->set(k->op.residual, eighths(y_elements, 7));
  }
  KernelRequest request = own.request(c.micro_batch);
  request.precision = precision;
  request.multiprocessors = in_parts ? 132 : 1;
  const auto kernel = make_own_conv2d(request);
  ASSERT_NE(kernel, nullptr) << last_error();
  const std::string name = kernel->name();
  EXPECT_EQ(name.substr(name.size() - 2) != "/1", in_parts) << name;
  own.reserve_scratch(kernel->scratch_bytes());
  Site site = own.site();
  site.samples = c.samples;
  site.training = false;
  ASSERT_EQ(kernel->enqueue(site), Status::ok);
  RunArguments arguments;
  arguments.samples = c.samples;
  reference.reserve_scratch(reference::conv2d_scratch_bytes(reference.op));
  reference::conv2d(reference.op, {&reference.program, &arguments, reference.site().region});
  std::vector<float> found = own.values(own.op.y), expected = reference.values(reference.op.y);
  const uint64_t elements = c.samples * own.op.y_extent.elements();
  found.resize(elements);
  expected.resize(elements);
  expect_near(found, expected, precision == Precision::bf16 ? 0x1p-8 : 0, "y");
}

TEST(CudaProduct, ResidualsAreAdded) {
  emulation::for_each_order(
      [] {
        for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16})
          for (const bool in_y : {false, true})
            for (const uint32_t out : {16u, 10u}) {
              check_sum(precision, 8, out, in_y, false);
              check_sum(precision, 64, out, in_y, true);
              if (testing::Test::HasFailure()) return;
            }
      },
      1);
}

TEST(CudaProduct, EveryOrderOfThreads) {
  emulation::for_each_order(
      [] {
        for (const Case& base : cases()) {
          Case c = base;
          c.precision = Precision::bf16;
          if (c.samples < 10) check(c);
          if (HasFailure()) return;
        }
      },
      1);
}

TEST(CudaProduct, TensorsOfAnotherTypeAreRefused) {
  for (Precision precision : {Precision::fp32, Precision::bf16}) {
    Case c = cases().front();
    c.precision = precision == Precision::fp32 ? Precision::bf16 : Precision::fp32;
    OwnKernel own;
    build(own, c, false);
    KernelRequest request = own.request(c.micro_batch);
    request.precision = precision;
    EXPECT_EQ(make_own_conv2d(request), nullptr);
    EXPECT_EQ(std::string(last_error()).substr(0, 6), "layer:");
    own.op.kind = OpKind::conv2d_backward;
    EXPECT_EQ(make_own_conv2d_backward(request), nullptr);
  }
}

}  // namespace
}  // namespace lt::cuda
