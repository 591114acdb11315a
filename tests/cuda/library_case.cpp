// See library_case.h.
#include "tests/cuda/library_case.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cuda/cublaslt/table.h"
#include "backends/cuda/cudnn/table.h"
#include "backends/reference/ops.h"
#include "tests/cuda/fake.h"
#include "tests/cuda/fake_cublaslt.h"
#include "tests/cuda/fake_cudnn.h"
#include "tests/cuda/fake_numbers.h"
#include "tests/cuda/own_kernels.h"
#include "tests/cuda/plain_device.h"

namespace lt::cuda {
namespace {

constexpr uint64_t guard_bytes = 256;
constexpr uint8_t guard_byte = 0xff;  // a NaN in either format
constexpr uint64_t region_alignment = 4096;

const CublasLtTable cublaslt = fake::cublaslt_table();
const CudnnTable cudnn = fake::cudnn_table();

fake::Number number(DType type) { return type == DType::bf16 ? fake::Number::bf16 : fake::Number::f32; }

uint32_t window_steps(uint32_t size, Window window) {
  return (size + 2 * window.padding - window.kernel) / window.stride + 1;
}

}  // namespace

LibraryRun::LibraryRun(const LibraryCase& library_case) : case_(library_case) {
  Op op;
  op.kind = case_.is_conv ? OpKind::conv2d : OpKind::linear;
  op.layer = "layer";
  op.layer_index = 1;
  op.x_extent = case_.x;
  op.conv = case_.conv;
  op.has_bias = case_.has_bias;
  op.has_relu = case_.has_relu;
  op.dropout = case_.dropout;
  op.has_pool = case_.pool.kernel != 0;
  op.pool = case_.pool;
  op.y_extent = {1, 1, case_.out};
  uint64_t fan_in = case_.x.elements();
  if (case_.is_conv) {
    op.conv_extent = {window_steps(case_.x.height, op.conv), window_steps(case_.x.width, op.conv), case_.out};
    op.y_extent = op.conv_extent;
    if (op.has_pool)
      op.y_extent = {window_steps(op.conv_extent.height, op.pool), window_steps(op.conv_extent.width, op.pool), case_.out};
    fan_in = uint64_t{op.conv.kernel} * op.conv.kernel * case_.x.channels;
  }
  const bool bf16 = case_.precision == Precision::bf16;
  const DType type = bf16 ? DType::bf16 : DType::f32, y_type = case_.logits ? DType::f32 : type;
  const uint64_t x_elements = case_.x.elements(), y_elements = op.y_extent.elements();
  program_.micro_batch = case_.micro_batch;
  program_.weight_layout = WeightLayout::out_in;
  op.x = add("x", type, x_elements, 0);
  op.weight = add("weight", type, 0, fan_in * case_.out);
  if (case_.has_bias) op.bias = add("bias", DType::f32, 0, case_.out);
  op.y = add("y", y_type, y_elements, 0);
  if (op.has_pool) op.argmax = add("argmax", DType::u8, y_elements, 0);
  if (op.dropout != 0) op.mask = add("mask", DType::u8, mask_row_bytes(y_elements), 0);
  if (case_.has_residual) op.residual = add("residual", type, y_elements, 0);
  program_.ops.push_back(op);
  op.residual = no_tensor;
  op.kind = case_.is_conv ? OpKind::conv2d_backward : OpKind::linear_backward;
  op.dy = add("dy", y_type, y_elements, 0);
  op.dweight = add("dweight", DType::f32, 0, fan_in * case_.out);
  if (case_.has_bias) op.dbias = add("dbias", DType::f32, 0, case_.out);
  if (case_.needs_dx) op.dx = add("dx", type, x_elements, 0);
  program_.ops.push_back(op);
}

LibraryRun::~LibraryRun() {
  for (const std::byte* range : ranges_) plain::remove_device_range(range);
  forward_.reset();
  backward_.reset();
  close_cublaslt(cublaslt, libraries_.cublaslt_handle);
  close_cudnn(cudnn, libraries_.cudnn_handle);
}

TensorId LibraryRun::add(const char* name, DType type, uint64_t sample_elements, uint64_t elements) {
  Tensor tensor;
  tensor.name = name;
  tensor.dtype = type;
  tensor.sample_elements = sample_elements;
  tensor.bytes = (sample_elements == 0 ? elements : sample_elements * case_.micro_batch) * dtype_bytes(type);
  program_.tensors.push_back(tensor);
  return static_cast<TensorId>(program_.tensors.size() - 1);
}

KernelRequest LibraryRun::request(uint32_t op) const {
  return {&program_, &program_.ops[op], case_.micro_batch, case_.precision, case_.deterministic, 132, 90, libraries_};
}

bool LibraryRun::make(Maker make_forward, Maker make_backward) {
  if (libraries_.cublaslt == nullptr) {
    if (!ok(open_cublaslt(cublaslt, &libraries_.cublaslt_handle))) return false;
    libraries_.cublaslt = &cublaslt;
  }
  if (libraries_.cudnn == nullptr) {
    if (!ok(open_cudnn(cudnn, &libraries_.cudnn_handle))) return false;
    libraries_.cudnn = &cudnn;
  }
  forward_ = make_forward(request(0));
  if (forward_ == nullptr) return false;
  backward_ = make_backward(request(1));
  return backward_ != nullptr;
}

float LibraryRun::value(TensorId id, uint64_t i) const {
  const Tensor& tensor = program_.tensors[id];
  return fake::load(region_ + tensor.offset, i, number(tensor.dtype));
}

void LibraryRun::set_value(TensorId id, uint64_t i, float value) {
  const Tensor& tensor = program_.tensors[id];
  fake::store(region_ + tensor.offset, i, number(tensor.dtype), static_cast<double>(value));
}

uint64_t LibraryRun::elements(TensorId id, uint32_t samples) const {
  const Tensor& tensor = program_.tensors[id];
  return tensor.sample_elements == 0 ? tensor.bytes / dtype_bytes(tensor.dtype) : tensor.sample_elements * samples;
}

// Sets the elements of the run's samples alone: further ones stay NaN.
void LibraryRun::fill_tensor(TensorId id, uint32_t seed) {
  if (id == no_tensor) return;
  uint32_t random = seed;
  for (uint64_t i = 0; i < elements(id, case_.samples); ++i) {
    random = random * 1664525 + 1013904223;
    set_value(id, i, static_cast<float>(static_cast<int32_t>(random >> 24) - 128) / 128 + 1.0f / 256);
  }
}

void LibraryRun::fill() {
  uint64_t offset = guard_bytes;
  const auto place = [&offset](uint64_t bytes) {
    const uint64_t at = offset;
    offset += (bytes + tensor_alignment - 1) / tensor_alignment * tensor_alignment + guard_bytes;
    return at;
  };
  for (Tensor& tensor : program_.tensors) tensor.offset = place(tensor.bytes);
  program_.scratch_bytes = std::max(forward_->scratch_bytes(), backward_->scratch_bytes());
  while (offset % guard_bytes != tensor_alignment) offset += tensor_alignment;  // no better aligned than it must be
  program_.scratch_offset = place(program_.scratch_bytes);
  for (const std::byte* range : ranges_) plain::remove_device_range(range);
  ranges_.clear();
  region_storage_.assign(offset + region_alignment, std::byte{guard_byte});
  const auto address = reinterpret_cast<uintptr_t>(region_storage_.data());
  region_ = region_storage_.data() + (region_alignment - address % region_alignment) % region_alignment;
  region_bytes_ = offset;
  // Each by itself: a call that leaves one tensor for the next is refused.
  const auto add_range = [this](uint64_t at, uint64_t bytes) {
    ranges_.push_back(region_ + at);
    plain::add_device_range(region_ + at, bytes);
  };
  for (const Tensor& tensor : program_.tensors) add_range(tensor.offset, tensor.bytes);
  add_range(program_.scratch_offset, program_.scratch_bytes);
  state_ = std::make_unique<StepState>();
  state_->seed = 7;
  state_->step = 3;
  const Op& op = program_.ops[1];
  fill_tensor(op.x, 1);
  fill_tensor(op.weight, 2);
  fill_tensor(op.bias, 3);
  fill_tensor(op.dy, 4);
  fill_tensor(program_.ops[0].residual, 7);
  if (case_.accumulate) {
    fill_tensor(op.dweight, 5);
    fill_tensor(op.dbias, 6);
  }
}

Site LibraryRun::site() const {
  Site site;
  site.launcher = emulated_launcher();
  site.launcher.stream = plain::stream();
  site.program = &program_;
  site.region = region_;
  site.state = state_.get();
  site.samples = site.batch_samples = case_.samples;
  site.training = case_.training;
  site.accumulate = case_.accumulate;
  return site;
}

Status LibraryRun::enqueue_forward() { return forward_->enqueue(site()); }
Status LibraryRun::enqueue_backward() { return backward_->enqueue(site()); }

// The same operation on the reference, in float, from the device's inputs; what the forward pass keeps is the device's too.
void LibraryRun::reference(bool backward) {
  reference_program_ = program_;
  uint64_t offset = 0;
  for (Tensor& tensor : reference_program_.tensors) {
    const uint64_t bytes = tensor.bytes / dtype_bytes(tensor.dtype) * (tensor.dtype == DType::u8 ? 1 : sizeof(float));
    tensor.offset = offset;
    offset += (bytes + tensor_alignment - 1) / tensor_alignment * tensor_alignment;
    if (tensor.dtype == DType::bf16) tensor.dtype = DType::f32;
  }
  const Op& op = reference_program_.ops[backward ? 1 : 0];
  reference_program_.scratch_offset = offset;
  offset += case_.is_conv ? std::max(reference::conv2d_scratch_bytes(op), reference::conv2d_backward_scratch_bytes(op))
                          : std::max(reference::linear_scratch_bytes(op),
                                     reference::linear_backward_scratch_bytes(op, case_.micro_batch));
  reference_region_.assign(offset, std::byte{0});
  for (TensorId id = 0; id < program_.tensors.size(); ++id) {
    const Tensor &from = program_.tensors[id], &to = reference_program_.tensors[id];
    std::byte* place = reference_region_.data() + to.offset;
    if (from.dtype == DType::u8)
      std::memcpy(place, region_ + from.offset, from.bytes);
    else
      for (uint64_t i = 0; i < elements(id, case_.micro_batch); ++i) reinterpret_cast<float*>(place)[i] = value(id, i);
  }
  RunArguments arguments;
  arguments.samples = arguments.batch_samples = case_.samples;
  arguments.training = case_.training;
  arguments.accumulate = case_.accumulate;
  arguments.seed = state_->seed;
  arguments.step = state_->step;
  const reference::Context context = {&reference_program_, &arguments, reference_region_.data()};
  if (case_.is_conv)
    (backward ? reference::conv2d_backward : reference::conv2d)(op, context);
  else
    (backward ? reference::linear_backward : reference::linear)(op, context);
}

void LibraryRun::compare(TensorId id, const char* what) const {
  if (id == no_tensor) return;
  // Float: sums of n products in any order. bfloat16: two roundings to 8 bits, of the product and of what is made of it.
  const bool is_gradient = id == program_.ops[1].dweight || id == program_.ops[1].dbias;
  const bool rounds = program_.tensors[id].dtype == DType::bf16 || (is_gradient && case_.rounds_gradients);
  const double limit = rounds ? 2e-5 : 1e-12;
  const auto* expected = reinterpret_cast<const float*>(reference_region_.data() + reference_program_.tensors[id].offset);
  double errors = 0, squares = 0;
  for (uint64_t i = 0; i < elements(id, case_.samples); ++i) {
    const double difference = static_cast<double>(value(id, i)) - static_cast<double>(expected[i]);
    ASSERT_FALSE(std::isnan(difference)) << what << "[" << i << "] is " << value(id, i) << ", not " << expected[i];
    errors += difference * difference;
    squares += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
  }
  EXPECT_TRUE(squares > 0 || elements(id, case_.samples) < 64) << what;  // a few may be zero by chance
  EXPECT_LE(errors, limit * squares) << what;
}

void LibraryRun::check_guards() const {
  std::vector<bool> used(region_bytes_, false);
  const auto use = [&used](uint64_t offset, uint64_t bytes) {
    std::fill(used.begin() + static_cast<int64_t>(offset), used.begin() + static_cast<int64_t>(offset + bytes), true);
  };
  for (TensorId id = 0; id < program_.tensors.size(); ++id) {
    const Tensor& tensor = program_.tensors[id];
    use(tensor.offset, elements(id, case_.samples) * dtype_bytes(tensor.dtype));  // samples past the run's are guards too
  }
  use(program_.scratch_offset, program_.scratch_bytes);
  for (uint64_t i = 0; i < region_bytes_; ++i)
    ASSERT_TRUE(used[i] || region_[i] == std::byte{guard_byte}) << "byte " << i << " was written";
}

void LibraryRun::expect_equals_reference() {
  fill();
  const Op& op = program_.ops[1];
  ASSERT_EQ(enqueue_forward(), Status::ok) << last_error();
  reference(false);
  compare(op.y, "y");
  check_guards();
  if (case_.training) {
    reference(true);
    ASSERT_EQ(enqueue_backward(), Status::ok) << last_error();
    compare(op.dweight, "dweight");
    compare(op.dbias, "dbias");
    compare(op.dx, "dx");
    check_guards();
  }
  for (const std::string& complaint : fake::take_complaints()) ADD_FAILURE() << complaint;
}

}  // namespace lt::cuda
