// A program of one or two operations in a region with guard zones. See op_fixture.h.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "src/base/checked.h"
#include "src/base/philox.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

// Bytes of 1s: NaN where floats are read, a place outside every window, a mask that passes all.
constexpr int untouched = 0xFF;
constexpr uint64_t guard_bytes = 2 * tensor_alignment;

bool is_output(const std::string& name, bool backward) {
  for (const char* output : {"y", "argmax", "mask", "saved", "rows"})
    if (!backward && name == output) return true;
  if (!backward) return false;
  if (name == "dx") return true;
  for (const std::string& part : part_names())
    if (name == "d" + part) return true;
  return false;
}

bool is_loss(OpKind kind) { return kind == OpKind::softmax_cross_entropy || kind == OpKind::ctc; }

// Kinds whose one operation changes its tensors in place or writes what other kinds read.
bool writes(OpKind kind, const std::string& name) {
  if (name.starts_with("staging")) return true;  // where a device has a place of its own for the host's samples
  if (is_loss(kind)) return name == "dx" || name == "statistics";
  return name == "parameters" || name == "state" || name == "state2" || name == "copies" || name == "last_steps";
}

uint32_t hash(const std::string& name) {
  uint32_t h = 2166136261u;  // FNV-1a
  for (char c : name) h = (h ^ static_cast<uint8_t>(c)) * 16777619u;
  return h;
}

float rounded_to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (!std::isnan(value)) bits += 0x7fffu + (bits >> 16 & 1);
  bits &= 0xffff0000u;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float read_element(const uint8_t* first, uint64_t i, DType type) {
  float value = 0;
  if (type == DType::f32) {
    std::memcpy(&value, first + 4 * i, 4);
  } else if (type == DType::i32) {
    int32_t whole;
    std::memcpy(&whole, first + 4 * i, 4);
    value = static_cast<float>(whole);
  } else if (type == DType::u8) {
    value = first[i];
  } else
    std::memcpy(reinterpret_cast<uint8_t*>(&value) + 2, first + 2 * i, 2);
  return value;
}

void write_element(uint8_t* first, uint64_t i, DType type, float value) {
  if (type == DType::f32) {
    std::memcpy(first + 4 * i, &value, 4);
  } else if (type == DType::u8) {
    first[i] = static_cast<uint8_t>(value);
  } else {
    value = rounded_to_bf16(value);
    std::memcpy(first + 2 * i, reinterpret_cast<const uint8_t*>(&value) + 2, 2);
  }
}

}  // namespace

void OpRun::FreeRegion::operator()(std::byte* region) const { std::free(region); }

OpRun::OpRun(const Device& device, const OpCase& op_case) : case_(op_case) {
  program_.micro_batch = case_.micro_batch;
  program_.inference = case_.inference;
  program_.weight_layout = device.weight_layout();
  if (case_.precision == Precision::bf16) narrow_ = DType::bf16;
  if (case_.precision == Precision::int8) narrow_ = DType::u8;
  if (case_.op.has_lengths)
    for (uint32_t i = 0; i < case_.samples; ++i)
      lengths_.push_back(1 + philox4x32({{i, 0, 0, 11}}, case_.seed).v[0] % case_.op.x_extent.height);
  add_tensors();
  uint64_t saved_bytes = 0;
  for (const Op& op : program_.ops) {
    OpNeeds needs;
    status_ = device.prepare(program_, op, &needs);
    if (!ok(status_)) return;
    program_.scratch_bytes = std::max(program_.scratch_bytes, needs.scratch_bytes);
    if (&op == &program_.ops.front()) saved_bytes = needs.saved_bytes;
    needs_ = needs;
    if (std::strstr(needs.kernel, "winograd") != nullptr || std::strstr(needs.kernel, "bf16 conv2d") != nullptr)
      sums_exactly_ = false;
  }
  if (saved_bytes != 0) {
    const TensorId saved = add("saved", DType::u8, 0, saved_bytes);
    for (Op& op : program_.ops) op.saved = saved;
  }
  in_host_memory_ = device.host_regions();
  lay_out();
  status_ = device.attach(program_, in_host_memory_ ? region_.get() : nullptr, &executor_);
}

// Between the device's region and its likeness in the host's memory.
Status OpRun::exchange(bool to_device) {
  if (in_host_memory_) return Status::ok;
  const auto whole = static_cast<TensorId>(program_.tensors.size() - 1);
  if (to_device) return executor_->upload(whole, 0, region_.get(), program_.region_bytes);
  LT_TRY(executor_->download(whole, 0, region_.get(), program_.region_bytes));
  return executor_->synchronize();
}

OpRun::~OpRun() = default;

const std::vector<std::string>& part_names() {
  static const std::vector<std::string> names = {"weight",    "bias",        "weight_ih_0", "weight_hh_0", "bias_ih_0",
                                                 "bias_hh_0", "weight_ih_1", "weight_hh_1", "bias_ih_1",   "bias_hh_1"};
  return names;
}

bool OpRun::is_weight(const std::string& name) { return name.starts_with("weight") || name.starts_with("dweight"); }

bool OpRun::is_narrow(const std::string& name) const {
  if (is_loss(case_.op.kind)) return name == "dx";
  if (case_.op.vocabulary != 0) return name == "y" || name == "dy";
  if (name == "y" && case_.logits) return false;
  if (narrow_ == DType::u8 && (name.starts_with("weight") || (name == "y" && case_.op.kind == OpKind::average_pool)))
    return false;
  return name == "x" || name == "y" || name == "residual" || name == "dx" || name == "dy" || name.starts_with("weight") ||
         name == "copies";
}

TensorId OpRun::add(const std::string& name, DType dtype, uint64_t sample_elements, uint64_t elements) {
  if (narrow_ != DType::f32 && is_narrow(name) && dtype != DType::i32) dtype = narrow_;
  Tensor tensor;
  tensor.name = name;
  tensor.dtype = dtype;
  tensor.sample_elements = sample_elements;
  if (sample_elements != 0 && (name == "x" || name == "dx")) tensor.time_steps = case_.time_steps;
  if (sample_elements != 0 && (name == "y" || name == "dy") && !case_.op.only_last_step)
    tensor.time_steps = case_.time_steps;
  if (name.starts_with("staging")) tensor.segment = Segment::staging;
  if (case_.inference && (name == "weight" || name == "bias" || name == "scales")) tensor.segment = Segment::parameters;
  tensor.bytes = (sample_elements == 0 ? elements : sample_elements * case_.micro_batch) * dtype_bytes(dtype);
  program_.tensors.push_back(tensor);
  return static_cast<TensorId>(program_.tensors.size() - 1);
}

void OpRun::add_tensors() {
  Op op = case_.op;
  op.layer = "layer";
  op.layer_index = 2;
  if (!lengths_.empty()) op.staging_lengths = add("staging_lengths", DType::i32, 1, 0);
  const uint64_t x_elements = op.x_extent.elements() * op.rows_per_sample,
                 y_elements = op.y_extent.elements() * op.rows_per_sample;
  bool backward = false, product = false, recurrent = false;
  uint64_t weight_elements = 0;
  switch (op.kind) {
    case OpKind::input:
      op.y = add("y", op.x_dtype == DType::i32 ? DType::i32 : DType::f32, y_elements, 0);
      op.staging_x = add("staging_x", op.x_dtype, x_elements, 0);
      raw_x_.resize(case_.samples * x_elements * dtype_bytes(op.x_dtype));
      break;
    case OpKind::embedding_backward:
    case OpKind::embedding:
    case OpKind::embedding_catch_up: add_embedding(&op); return;
    case OpKind::ctc:
    case OpKind::softmax_cross_entropy:
      op.x = add("x", DType::f32, x_elements, 0);
      if (case_.needs_dx) op.dx = add("dx", DType::f32, x_elements, 0);
      op.statistics = add("statistics", DType::u8, 0, sizeof(Statistics));
      op.staging_labels = add("staging_labels", DType::i32, op.label_count, 0);
      labels_.resize(uint64_t{case_.samples} * op.label_count);
      break;
    case OpKind::update_adam: op.state2 = add("state2", DType::f32, 0, op.parameter_elements); [[fallthrough]];
    case OpKind::update_momentum: op.state = add("state", DType::f32, 0, op.parameter_elements); [[fallthrough]];
    case OpKind::update_sgd:
      op.parameters = add("parameters", DType::f32, 0, op.parameter_elements);
      op.gradients = add("gradients", DType::f32, 0, op.parameter_elements);
      if (narrow_ == DType::bf16) op.copies = add("copies", DType::bf16, 0, op.parameter_elements);
      op.statistics = add("statistics", DType::u8, 0, sizeof(Statistics));
      break;
    case OpKind::conv2d_backward:
    case OpKind::linear_backward: backward = true; [[fallthrough]];
    case OpKind::conv2d:
    case OpKind::linear:
      product = true;
      weight_elements = op.kind == OpKind::linear || op.kind == OpKind::linear_backward
                            ? op.x_extent.elements() * op.y_extent.elements()
                            : uint64_t{op.conv.kernel} * op.conv.kernel * op.x_extent.channels * op.conv_extent.channels;
      break;
    case OpKind::activation_backward: backward = true; [[fallthrough]];
    case OpKind::activation:
    case OpKind::average_pool: break;
    case OpKind::recurrent_backward: backward = true; [[fallthrough]];
    case OpKind::recurrent: recurrent = true; break;
  }
  if (product || backward || recurrent || op.kind == OpKind::activation || op.kind == OpKind::average_pool) {
    op.x = add("x", DType::f32, x_elements, 0);
    op.y = add("y", DType::f32, y_elements, 0);
    if (case_.residual == OpCase::Residual::in_y) op.residual = op.y;
    if (case_.residual == OpCase::Residual::apart) op.residual = add("residual", DType::f32, y_elements, 0);
    if (case_.rows_once) op.rows = add("rows", DType::i32, 0, uint64_t{op.x_extent.height} * case_.micro_batch + 1);
    if (op.has_pool && !case_.inference) op.argmax = add("argmax", DType::u8, y_elements, 0);
    if (op.dropout != 0) op.mask = add("mask", DType::u8, mask_row_bytes(y_elements), 0);
    const uint64_t bias_elements = product ? op.y_extent.channels : 0;
    if (product) op.weight = add("weight", DType::f32, 0, weight_elements);
    if (product && op.has_bias) op.bias = add("bias", DType::f32, 0, bias_elements);
    if (recurrent) add_recurrent("", op, op.weights);
    if (backward) {
      Op forward = op;
      forward.kind = op.kind == OpKind::conv2d_backward   ? OpKind::conv2d
                     : op.kind == OpKind::linear_backward ? OpKind::linear
                     : recurrent                          ? OpKind::recurrent
                                                          : OpKind::activation;
      program_.ops.push_back(forward);
      // As the plan does: what the backward operation does not read is not kept for it.
      if (!product && !recurrent) op.x = no_tensor;
      if (recurrent ? op.only_last_step : !op.has_relu || op.dropout != 0) op.y = no_tensor;
      op.dy = add("dy", DType::f32, y_elements, 0);
      if (case_.needs_dx) op.dx = add("dx", DType::f32, x_elements, 0);
      if (product) op.dweight = add("dweight", DType::f32, 0, weight_elements);
      if (product && op.has_bias) op.dbias = add("dbias", DType::f32, 0, bias_elements);
      if (recurrent) add_recurrent("d", op, op.dweights);
    }
  }
  if (case_.precision == Precision::int8) add_scales(&op);
  program_.ops.push_back(op);
  const bool update = op.parameters != no_tensor;
  program_.forward_end = backward ? 1 : update ? 0 : 1;
  program_.backward_end = update ? 0 : static_cast<uint32_t>(program_.ops.size());
  program_.step_end = static_cast<uint32_t>(program_.ops.size());
}

void OpRun::lay_out() {
  uint64_t offset = guard_bytes;
  for (Tensor& tensor : program_.tensors) {
    tensor.offset = offset;
    tensor.last_op = static_cast<uint32_t>(program_.ops.size() - 1);
    offset = align_up(offset + tensor.bytes + guard_bytes, tensor_alignment);
  }
  program_.scratch_offset = offset;
  program_.region_bytes = align_up(offset + program_.scratch_bytes + guard_bytes, 4096);
  if (!in_host_memory_) {  // by which all of the region is copied
    Tensor whole;
    whole.name = "the region";
    whole.bytes = program_.region_bytes;
    whole.part_of = 0;
    program_.tensors.push_back(whole);
  }
  region_.reset(static_cast<std::byte*>(std::aligned_alloc(4096, program_.region_bytes)));
  std::memset(region_.get(), untouched, program_.region_bytes);
}

void OpRun::fill() {
  std::memset(region_.get(), untouched, program_.region_bytes);
  for (const Tensor& tensor : program_.tensors)
    if (tensor.part_of == no_tensor && tensor.segment != Segment::staging) fill_tensor(tensor);
  for (size_t i = 0; i < raw_x_.size(); ++i)
    raw_x_[i] = static_cast<uint8_t>(philox4x32({{static_cast<uint32_t>(i), 0, 0, 7}}, case_.seed).v[0]);
  if (case_.op.x_dtype == DType::f32)
    for (size_t i = 0; i < raw_x_.size() / sizeof(float); ++i) {
      const float value = static_cast<float>(raw_x_[i * sizeof(float)]) * 0.37f - 20;
      std::memcpy(raw_x_.data() + i * sizeof(float), &value, sizeof value);
    }
  fill_labels();
}

void OpRun::fill_tensor(const Tensor& tensor) {
  const OpKind kind = case_.op.kind;
  const bool is_recurrent = kind == OpKind::recurrent || kind == OpKind::recurrent_backward;
  const std::string& name = tensor.name;
  if (name == "statistics") {
    Statistics start;  // what came before: of other micro-batches, or of the loss in front of an update
    if (is_loss(kind)) start = {17.5, 3, 1};
    if (!is_loss(kind)) start.non_finite = case_.loss_is_finite ? 0 : 1;
    std::memcpy(region_.get() + tensor.offset, &start, sizeof start);
    return;
  }
  if (is_recurrent && name == "rows") return fill_rows(tensor);
  if (name == "scales") return fill_scales(tensor);
  const bool added_to = case_.accumulate && (name.starts_with("dweight") || name.starts_with("dbias"));
  if (name == "last_steps" || (name == "x" && tensor.dtype == DType::i32)) return fill_whole_numbers(tensor);
  const bool summand = name == "y" && case_.residual == OpCase::Residual::in_y;
  const bool output = (is_output(name, false) && !summand) || (is_output(name, true) && !added_to);
  const bool bytes = tensor.dtype == DType::u8 && narrow_ == DType::u8;
  if (output || (tensor.dtype != DType::f32 && tensor.dtype != DType::bf16 && !bytes)) return;
  // Samples past the run's stay NaN.
  const uint64_t n =
      tensor.sample_elements != 0 ? tensor.sample_elements * case_.samples : tensor.bytes / dtype_bytes(tensor.dtype);
  auto* const to = reinterpret_cast<uint8_t*>(region_.get() + tensor.offset);
  const Places place = places(tensor);
  const uint32_t stream = hash(name);
  const bool is_x = name == "x", is_parameter = name.starts_with("weight") || name.starts_with("bias");
  for (uint64_t i = 0; i < n; ++i) {
    const Philox4 bits = philox4x32({{static_cast<uint32_t>(i), 0, stream, 1}}, case_.seed);
    float value = philox_uniform(bits.v[0]) * 2 - 1;
    if (is_loss(kind) && is_x) value *= 6;
    // About what a layer is started with: gates that are not all saturated.
    if (is_recurrent && is_parameter) value *= 1.5f / std::sqrt(static_cast<float>(case_.op.units));
    if (name == "state2") value = value * value * 0.01f;  // a mean of squares
    if (case_.fill == Fill::integers) value = static_cast<float>(static_cast<int>(bits.v[0] % 5) - 2);
    if (is_x && case_.poison != Poison::none && bits.v[1] % 37 == 0)
      value = case_.poison == Poison::nan ? std::numeric_limits<float>::quiet_NaN()
                                          : (bits.v[2] & 1 ? 1 : -1) * std::numeric_limits<float>::infinity();
    if (bytes) value = static_cast<float>(bits.v[0] & 255);
    write_element(to, place(i), tensor.dtype, value);
  }
}

RunArguments OpRun::arguments() const {
  RunArguments arguments;
  arguments.samples = case_.samples;
  arguments.sample_offset = case_.sample_offset;
  arguments.batch_samples = case_.batch_samples;
  arguments.training = case_.training;
  arguments.accumulate = case_.accumulate;
  arguments.dropout = case_.dropout;
  arguments.seed = case_.seed;
  arguments.step = case_.step;
  arguments.learning_rate = 0.0625f;
  arguments.momentum = 0.875f;
  arguments.x = raw_x_.empty() ? nullptr : raw_x_.data();
  arguments.labels = labels_.empty() ? nullptr : labels_.data();
  arguments.lengths = lengths_.empty() ? nullptr : lengths_.data();
  return arguments;
}

// As whoever loads a model does, by which kernels learn that there are new ones.
Status OpRun::give_weights() {
  for (TensorId id = 0; id < program_.tensors.size(); ++id) {
    const Tensor& t = program_.tensors[id];
    if (t.segment != Segment::parameters) continue;
    const std::vector<std::byte> values(region_.get() + t.offset, region_.get() + t.offset + t.bytes);
    LT_TRY(executor_->upload(id, 0, values.data(), values.size()));
  }
  return Status::ok;
}

void OpRun::run(uint32_t first, uint32_t last, const RunArguments& arguments) {
  std::memset(region_.get() + program_.scratch_offset, untouched, program_.scratch_bytes);
  Status status = exchange(true);
  if (ok(status) && case_.inference) status = give_weights();
  if (ok(status)) status = executor_->run(first, last, arguments);
  if (ok(status)) status = executor_->synchronize();
  if (ok(status)) status = exchange(false);
  if (!ok(status)) {
    Finding() << case_.name << ": " << last_error();
    return;
  }
  check_guards(case_.name.c_str());
}

void OpRun::run_forward() {
  const std::vector<std::byte> before(region_.get(), region_.get() + program_.region_bytes);
  run(0, 1, arguments());
  for (const Tensor& t : program_.tensors) {
    if (t.part_of != no_tensor) continue;
    if (!is_output(t.name, false) && !writes(case_.op.kind, t.name)) {
      if (std::memcmp(before.data() + t.offset, region_.get() + t.offset, t.bytes) != 0)
        Finding() << case_.name << ": the forward run changed its input " << t.name;
    }
  }
}

void OpRun::run_backward() {
  const std::vector<std::byte> before(region_.get(), region_.get() + program_.region_bytes);
  run(1, 2, arguments());
  for (const Tensor& t : program_.tensors) {
    if (t.part_of != no_tensor) continue;
    if (!is_output(t.name, true) && t.name != "saved" && !(case_.deferred && writes(case_.op.kind, t.name))) {
      if (std::memcmp(before.data() + t.offset, region_.get() + t.offset, t.bytes) != 0)
        Finding() << case_.name << ": the backward run changed its input " << t.name;
    }
  }
}

void OpRun::check_guards(const char* when) const {
  uint64_t from = 0;
  std::string in_front = "the region's start";
  const auto check = [&](uint64_t to, const std::string& behind) {
    for (uint64_t i = from; i < to; ++i)
      if (region_.get()[i] != std::byte{untouched}) {
        Finding() << when << ": byte " << i - from << " behind " << in_front << ", " << to - i << " in front of " << behind
                  << ", was written";
        return;
      }
  };
  for (const Tensor& t : program_.tensors) {
    if (t.part_of != no_tensor) continue;
    check(t.offset, t.name);
    from = t.offset + t.bytes;
    in_front = t.name;
  }
  check(program_.scratch_offset, "the scratch");
  from = program_.scratch_offset + program_.scratch_bytes;
  in_front = "the scratch";
  check(program_.region_bytes, "the region's end");
}

bool OpRun::has(const std::string& name) const {
  return std::any_of(program_.tensors.begin(), program_.tensors.end(), [&](const Tensor& t) { return t.name == name; });
}

const Tensor& OpRun::tensor(const std::string& name) const {
  return *std::find_if(program_.tensors.begin(), program_.tensors.end(), [&](const Tensor& t) { return t.name == name; });
}

uint64_t OpRun::elements(const std::string& name) const { return tensor(name).bytes / dtype_bytes(tensor(name).dtype); }

float* OpRun::floats(const std::string& name) { return reinterpret_cast<float*>(bytes(name)); }

uint8_t* OpRun::bytes(const std::string& name) { return reinterpret_cast<uint8_t*>(region_.get() + tensor(name).offset); }

Statistics& OpRun::statistics() { return *reinterpret_cast<Statistics*>(bytes("statistics")); }

OpRun::Places OpRun::places(const Tensor& tensor) const {
  const Op& op = case_.op;
  if (program_.weight_layout == WeightLayout::in_out || op.vocabulary != 0 || !is_weight(tensor.name)) return {};
  const uint64_t outputs = op.units != 0 ? gates_of(op.cell) * op.units : op.y_extent.channels;
  return {outputs, tensor.bytes / dtype_bytes(tensor.dtype) / outputs};
}

std::vector<float> OpRun::values(const std::string& name) {
  const Tensor& t = tensor(name);
  const uint64_t n = t.sample_elements != 0 ? t.sample_elements * case_.samples : t.bytes / dtype_bytes(t.dtype);
  std::vector<float> result(n);
  const uint8_t* const from = bytes(name);
  const Places place = places(t);
  for (uint64_t i = 0; i < n; ++i) result[i] = read_element(from, place(i), t.dtype);
  return result;
}

void OpRun::set_values(const std::string& name, const std::vector<float>& values) {
  const Tensor& t = tensor(name);
  uint8_t* const to = bytes(name);
  const Places place = places(t);
  for (uint64_t i = 0; i < values.size(); ++i) write_element(to, place(i), t.dtype, values[i]);
}

std::vector<uint8_t> OpRun::byte_values(const std::string& name) {
  const Tensor& t = tensor(name);
  const uint8_t* first = bytes(name);
  return {first, first + (t.sample_elements != 0 ? t.sample_elements * dtype_bytes(t.dtype) * case_.samples : t.bytes)};
}

}  // namespace lt::ops
