// One operation (and the forward operation in front of it, where it is a backward one) as a program of its own, made by
// hand, run on any device, and compared with the reference device. Every tensor and the scratch lie between guard zones
// that are compared after each run; all memory that a run is to write, and samples past the run's, start as NaN.
//
//     lt::ops::OpCase c = lt::ops::linear_case(/*in=*/17, /*out=*/65);
//     c.op.has_relu = true;
//     lt::ops::expect_equals_reference(*device, c);
//
// What is found wrong goes to report_failure, which whoever links this defines: the tests fail by it, lean-train selftest
// prints it. A run owns its region. Each belongs to the test's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "src/backend.h"
#include "src/op.h"

namespace lt::ops {

// One sentence. Defined by the program or test that is linked with the cases.
void report_failure(const std::string& sentence);

// A sentence put together by <<, and reported at the end of its statement.
class Finding {
 public:
  Finding() = default;
  ~Finding() { report_failure(text_.str()); }
  Finding(const Finding&) = delete;
  Finding& operator=(const Finding&) = delete;
  template <class T>
  Finding& operator<<(const T& value) {
    text_ << value;
    return *this;
  }

 private:
  std::ostringstream text_;
};

// What inputs hold: numbers in [-1, 1), or small whole ones, of which sums are exact in float and ties frequent.
enum class Fill : uint8_t { uniform, integers };
// What some elements of x are instead.
enum class Poison : uint8_t { none, nan, infinity };

struct OpCase {
  std::string name;
  Op op;                     // kind, extents and attributes; its tensors are the run's business
  uint32_t micro_batch = 5;  // what memory is laid out for
  uint32_t samples = 5;      // of the run
  uint32_t sample_offset = 0;
  uint32_t batch_samples = 5;
  bool training = true, accumulate = false, dropout = true;
  bool needs_dx = true;        // backward operations and the loss
  bool loss_is_finite = true;  // updates: what the statistics say
  Fill fill = Fill::uniform;
  Poison poison = Poison::none;
  // Under bf16 what is between operations, and the weights of products, are bfloat16; under int8 (see fits) what is between
  // operations is bytes, compared to the bit.
  Precision precision = Precision::fp32;
  bool logits = false;      // y is float all the same, as the last product's is
  uint32_t time_steps = 0;  // not 0: x is a sequence (op.has_lengths: of its own length for every sample), y one too unless
                            // the op says otherwise
  bool deferred = false;    // embeddings: Op::last_steps
  bool rows_once = false;   // embeddings and recurrent operations: Op::rows
  // A program for inference; conv2d: with a residual, which may lie in y.
  bool inference = false;
  enum class Residual : uint8_t { none, apart, in_y } residual = Residual::none;
  uint8_t x_zero = 0, residual_zero = 0;  // int8: ByteScale::zero
  uint64_t seed = 1, step = 3;
};

// Forward cases; `backward_case` makes the backward one of any of them. pool.kernel 0: none.
OpCase conv2d_case(Extent x, uint32_t out_channels, Window conv, Window pool = {0, 0, 0});
OpCase linear_case(uint32_t in, uint32_t out);
OpCase activation_case(Extent x, Window pool = {0, 0, 0});
OpCase backward_case(OpCase forward);
OpCase input_case(Extent x, DType x_dtype);
OpCase average_pool_case(Extent x);
// A linear layer over every step of a sequence, and recurrent ones. Of these `dweight` has parts: see part_names.
OpCase sequence_linear_case(uint32_t time_steps, uint32_t in, uint32_t out);
OpCase recurrent_case(Cell cell, uint32_t time_steps, uint32_t features, uint32_t units, uint32_t directions);
OpCase loss_case(uint32_t classes);
OpCase update_case(OpKind kind, uint64_t parameter_elements);
OpCase embedding_case(uint32_t steps, uint32_t vocabulary, uint32_t features);
OpCase embedding_catch_up_case(uint32_t vocabulary, uint32_t features);
OpCase ctc_case(uint32_t steps, uint32_t classes, uint32_t label_count);

// False where the precision has no such operation at all: int8 has pictures of bytes, and convolutions and pools in
// inference.
bool fits(const OpCase& op_case, Precision precision);

// The parameters that a case's op may have, by the names of a run's tensors: "weight", "bias", "weight_ih_0" (the number is
// the direction's) ... Their gradients have a "d" in front.
const std::vector<std::string>& part_names();

// What a run left behind.
class OpRun {
 public:
  // Builds, prepares and attaches; `status` tells whether that went well.
  OpRun(const Device& device, const OpCase& op_case);
  ~OpRun();
  OpRun(const OpRun&) = delete;
  OpRun& operator=(const OpRun&) = delete;
  Status status() const { return status_; }
  const char* kernel() const { return needs_.kernel; }
  // False for Winograd's form, whose transforms divide: its sums of whole numbers are not whole. Nor where a NaN comes
  // through to a neighbour, by a product with zero.
  bool sums_exactly() const { return sums_exactly_; }

  // Fills all inputs from the case's seed, outputs and scratch with NaN. Weights are the same in either layout.
  void fill();
  // Runs the forward or the backward operation and checks the guard zones and that inputs are untouched.
  void run_forward();
  void run_backward();
  bool has_backward() const { return program_.ops.size() == 2; }
  // One run of [first, last) with other arguments than the case's; checks the guard zones.
  void run(uint32_t first, uint32_t last, const RunArguments& arguments);
  RunArguments arguments() const;

  // Tensors by the names of Op's members: "x", "y", "weight", "dweight", "argmax", "statistics" ...
  bool has(const std::string& name) const;
  uint64_t elements(const std::string& name) const;  // of all samples of the micro-batch
  float* floats(const std::string& name);
  uint8_t* bytes(const std::string& name);
  Statistics& statistics();
  // A copy, in float, of what the run's samples hold; weights in in_out order whatever the device's.
  std::vector<float> values(const std::string& name);
  void set_values(const std::string& name, const std::vector<float>& values);
  std::vector<uint8_t> byte_values(const std::string& name);  // of any type
  const OpCase& op_case() const { return case_; }
  std::vector<uint8_t>& raw_x() { return raw_x_; }
  std::vector<int32_t>& labels() { return labels_; }
  std::vector<uint32_t>& lengths() { return lengths_; }

 private:
  TensorId add(const std::string& name, DType dtype, uint64_t sample_elements, uint64_t elements);
  void add_tensors();
  void add_embedding(Op* op);
  void add_scales(Op* op);
  void lay_out();
  Status exchange(bool to_device);
  Status give_weights();
  void fill_tensor(const Tensor& tensor);
  void fill_whole_numbers(const Tensor& tensor);
  void fill_labels();
  void fill_scales(const Tensor& tensor);
  void fill_rows(const Tensor& tensor);
  void check_guards(const char* when) const;
  const Tensor& tensor(const std::string& name) const;
  // Stored as `narrow_` is.
  bool is_narrow(const std::string& name) const;
  static bool is_weight(const std::string& name);
  // Where the elements of an in_out weight lie in the device's layout; all other tensors' where they are. Found once a
  // tensor: names are compared for it.
  struct Places {
    uint64_t outputs, fan_in;  // 0 where nothing moves
    uint64_t operator()(uint64_t i) const { return outputs == 0 ? i : i % outputs * fan_in + i / outputs; }
  };
  Places places(const Tensor& tensor) const;
  void add_recurrent(const std::string& prefix, const Op& op, RecurrentWeights* weights);

  OpCase case_;
  Program program_;
  OpNeeds needs_;
  Status status_ = Status::ok;
  bool in_host_memory_ = true;
  DType narrow_ = DType::f32;  // of what is between operations
  bool sums_exactly_ = true;
  struct FreeRegion {
    void operator()(std::byte* region) const;
  };
  std::unique_ptr<std::byte, FreeRegion> region_;
  std::unique_ptr<Executor> executor_;
  std::vector<uint8_t> raw_x_;
  std::vector<int32_t> labels_;
  std::vector<uint32_t> lengths_;
};

// What an output's error may come to, as normalised_square_error: none in int8; the sums' rounding (see
// square_error_limit), that of tf32's operands (2^-11 each), that of bfloat16's results (2^-9, twice where a library's
// product is stored before its bias is added); with room for sums of few products that cancel.
double square_error_limit_of(Precision precision);

// Sum of squared differences over the sum of squares of `expected`; infinite where either has a NaN the other lacks.
double normalised_square_error(const std::vector<float>& actual, const std::vector<float>& expected);

// A float has a relative rounding error of up to 2^-24, a sum of n products one of about sqrt(n) * 2^-24, however it is
// ordered; squared, with n up to 10^4: 4e-11. One wrong element among a million is above it too.
inline constexpr double square_error_limit = 1e-10;

// Runs the case on the device and on reference and compares every output: sums within square_error_limit (exactly with
// Fill::integers, where the kernel's own sums are exact), the places of maxima and masks exactly unless the values that
// decide them are within rounding of each other. Backward operations get the device's own y, argmax and mask on both sides.
// False where the device has no kernel, or does not take rows that the case has once. `worst_error` (may be null) becomes
// the largest normalised_square_error of an output, if it was not larger already.
bool expect_equals_reference(const Device& device, const OpCase& op_case, double* worst_error = nullptr);

std::unique_ptr<Device> reference_device();

}  // namespace lt::ops
