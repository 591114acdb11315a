// A device's outputs against those of the reference device. See op_fixture.h.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

// Two values that decide between two windows' winners, or a value that decides a ReLU, are as good as equal below this
// share of the largest value.
double near_tie(const OpCase& c) {
  return c.precision == Precision::fp32 ? 1e-5 : c.precision == Precision::tf32 ? 2e-3 : 8e-3;
}

// Returns normalised_square_error.
double expect_values(const std::string& what, const std::vector<float>& actual, const std::vector<float>& expected,
                     const OpCase& c, bool sums_exactly) {
  if (actual.size() != expected.size()) {
    Finding() << c.name << ": " << what << " has " << actual.size() << " elements, expected " << expected.size();
    return std::numeric_limits<double>::infinity();
  }
  if (c.poison != Poison::none) {
    // Which of NaN and infinity comes out depends on the order of the sums; that one comes out does not. Winograd's form
    // spreads it over its tile.
    std::vector<float> finite_actual, finite_expected;
    for (size_t i = 0; i < actual.size(); ++i) {
      if (std::isfinite(actual[i]) != std::isfinite(expected[i]) && (sums_exactly || std::isfinite(actual[i]))) {
        Finding() << c.name << ": " << what << "[" << i << "] is " << actual[i] << ", expected " << expected[i];
        return std::numeric_limits<double>::infinity();
      }
      if (!std::isfinite(actual[i])) continue;
      finite_actual.push_back(actual[i]);
      finite_expected.push_back(expected[i]);
    }
    const double error = normalised_square_error(finite_actual, finite_expected);
    if (!(error <= square_error_limit_of(c.precision))) Finding() << c.name << ": the finite part of " << what << " is off";
    return error;
  }
  const bool exact = sums_exactly && c.precision != Precision::bf16 && c.fill == Fill::integers &&
                     (c.op.dropout == 0 || c.op.dropout == 0.5f) && c.op.kind != OpKind::softmax_cross_entropy &&
                     c.op.kind != OpKind::recurrent && c.op.kind != OpKind::recurrent_backward &&
                     c.op.kind != OpKind::ctc && c.op.kind != OpKind::update_adam && !c.deferred;
  size_t worst = 0;
  for (size_t i = 0; i < actual.size(); ++i)
    if (!(std::fabs(actual[i] - expected[i]) <= std::fabs(actual[worst] - expected[worst]))) worst = i;
  if (actual.empty()) return 0;
  const double error = normalised_square_error(actual, expected);
  const double limit = exact ? 0 : square_error_limit_of(c.precision);
  if (!(error <= limit))
    Finding() << c.name << ": " << what << " has " << actual.size() << " elements, the farthest off is " << worst << ": "
              << actual[worst] << ", expected " << expected[worst] << " (squared error " << error << ", at most " << limit
              << ")";
  return error;
}

// The case without the parts from its ReLU (and pool) on, run on reference: the values that decide.
std::vector<float> deciding_values(const OpCase& op_case, bool pool) {
  OpCase plain = op_case;  // with its precision, for the numbers that it starts from
  plain.op.kind = op_case.op.kind == OpKind::conv2d_backward       ? OpKind::conv2d
                  : op_case.op.kind == OpKind::linear_backward     ? OpKind::linear
                  : op_case.op.kind == OpKind::activation_backward ? OpKind::activation
                                                                   : op_case.op.kind;
  plain.op.has_relu = false;
  plain.op.dropout = 0;
  if (!pool) {
    plain.op.has_pool = false;
    plain.op.y_extent = plain.op.kind == OpKind::conv2d ? plain.op.conv_extent : plain.op.x_extent;
  }
  OpRun run(*reference_device(), plain);
  run.fill();
  run.run_forward();
  return run.values("y");
}

double largest_magnitude(const std::vector<float>& values) {
  double largest = 0;
  for (float value : values) largest = std::max(largest, std::fabs(static_cast<double>(value)));
  return largest;
}

// False where later results would be wrong by it.
bool expect_argmax(OpRun* actual, OpRun* expected) {
  const OpCase& c = actual->op_case();
  const std::vector<uint8_t> a = actual->byte_values("argmax"), e = expected->byte_values("argmax");
  if (a == e) return true;
  const std::vector<float> z = deciding_values(c, false);
  const Extent from =
      c.op.kind == OpKind::conv2d || c.op.kind == OpKind::conv2d_backward ? c.op.conv_extent : c.op.x_extent;
  const Extent to = c.op.y_extent;
  const double limit = c.fill == Fill::integers && c.precision != Precision::bf16 && actual->sums_exactly()
                           ? 0
                           : near_tie(c) * largest_magnitude(z);
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == e[i]) continue;
    if (a[i] >= c.op.pool.kernel * c.op.pool.kernel) {
      Finding() << c.name << ": argmax[" << i << "] is " << int{a[i]} << ", past its window";
      return false;
    }
    const uint64_t channel = i % to.channels, column = i / to.channels % to.width,
                   row = i / to.channels / to.width % to.height, sample = i / to.elements();
    const auto value = [&](uint8_t at) {
      const uint64_t z_row = row * c.op.pool.stride + at / c.op.pool.kernel - c.op.pool.padding;
      const uint64_t z_column = column * c.op.pool.stride + at % c.op.pool.kernel - c.op.pool.padding;
      if (z_row >= from.height || z_column >= from.width) return -std::numeric_limits<double>::infinity();
      return static_cast<double>(z[sample * from.elements() + (z_row * from.width + z_column) * from.channels + channel]);
    };
    const bool tie = limit > 0 && std::fabs(value(a[i]) - value(e[i])) <= limit;
    if (tie) continue;
    Finding() << c.name << ": argmax[" << i << "] is " << int{a[i]} << " (" << value(a[i]) << "), expected " << int{e[i]}
              << " (" << value(e[i]) << ")";
    return false;
  }
  return true;
}

bool expect_mask(OpRun* actual, OpRun* expected) {
  const OpCase& c = actual->op_case();
  const std::vector<uint8_t> a = actual->byte_values("mask"), e = expected->byte_values("mask");
  if (a == e) return true;
  const std::vector<float> z = deciding_values(c, true);
  const uint64_t elements = c.op.y_extent.elements(), row_bytes = mask_row_bytes(elements);
  const double limit =
      (c.fill == Fill::integers && c.precision != Precision::bf16 && actual->sums_exactly()) || !c.op.has_relu
          ? 0
          : near_tie(c) * largest_magnitude(z);
  for (uint64_t bit = 0; bit < a.size() * 8; ++bit) {
    if (!((a[bit / 8] ^ e[bit / 8]) >> bit % 8 & 1)) continue;
    const uint64_t sample = bit / (row_bytes * 8), element = bit % (row_bytes * 8);
    if (element >= elements) {
      Finding() << c.name << ": the mask's bits behind the elements of sample " << sample << " are not 0";
      return false;
    }
    const double value = static_cast<double>(z[sample * elements + element]);
    if (limit > 0 && std::fabs(value) <= limit) continue;
    Finding() << c.name << ": mask of sample " << sample << " element " << element << " (" << value << ")";
    return false;
  }
  return true;
}

void expect_statistics(const Statistics& actual, const Statistics& expected, const OpCase& c) {
  if (actual.non_finite != expected.non_finite)
    Finding() << c.name << ": non_finite is " << actual.non_finite << ", expected " << expected.non_finite;
  if (c.poison != Poison::none) return;  // what is largest beside a NaN is not defined
  if (actual.correct != expected.correct)
    Finding() << c.name << ": " << actual.correct << " samples are right, expected " << expected.correct;
  // A sample's loss may come from float arithmetic; their sum is double.
  if (!(std::fabs(actual.loss_sum - expected.loss_sum) <= 1e-6 * (1 + std::fabs(expected.loss_sum))))
    Finding() << c.name << ": the loss is " << actual.loss_sum << ", expected " << expected.loss_sum;
}

}  // namespace

double square_error_limit_of(Precision precision) {
  switch (precision) {
    case Precision::fp32: return square_error_limit;
    case Precision::tf32: return 4e-6;
    case Precision::bf16: return 4e-5;
    case Precision::int8: return 0;
  }
  return 0;
}

std::unique_ptr<Device> reference_device() {
  std::unique_ptr<Device> device;
  for (size_t i = 0; i < backend_table_size; ++i)
    if (std::strcmp(backend_table[i]->name, "reference") == 0 && !ok(backend_table[i]->open(DeviceConfig{}, &device)))
      Finding() << "the reference device: " << last_error();
  return device;
}

double normalised_square_error(const std::vector<float>& actual, const std::vector<float>& expected) {
  double difference = 0, square = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double a = static_cast<double>(actual[i]), e = static_cast<double>(expected[i]);
    if (std::isnan(a) != std::isnan(e)) return std::numeric_limits<double>::infinity();
    if (a == e || std::isnan(a)) continue;
    difference += (a - e) * (a - e);
    square += e * e;
  }
  for (size_t i = 0; i < actual.size(); ++i)
    if (actual[i] == expected[i]) square += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
  return difference == 0 ? 0 : difference / std::max(square, 1e-30);
}

bool expect_equals_reference(const Device& device, const OpCase& op_case, double* worst_error) {
  if (op_case.rows_once && !device.takes_rows()) {
    (void)fail(Status::unsupported, "%s: this device takes a row for every step", op_case.name.c_str());
    return false;
  }
  OpRun actual(device, op_case);
  if (actual.status() == Status::unsupported) return false;
  if (!ok(actual.status())) {
    Finding() << op_case.name << ": " << last_error();
    return true;
  }
  const std::unique_ptr<Device> oracle = reference_device();
  OpRun expected(*oracle, op_case);
  if (!ok(expected.status())) {
    Finding() << op_case.name << " on the reference device: " << last_error();
    return true;
  }
  actual.fill();
  expected.fill();
  actual.run_forward();
  expected.run_forward();
  const OpCase& c = op_case;
  const auto expect = [&](const std::string& name) {
    if (!actual.has(name)) return;
    const double error = expect_values(name, actual.values(name), expected.values(name), c, actual.sums_exactly());
    if (worst_error != nullptr) *worst_error = std::max(*worst_error, error);
  };
  for (const char* name : {"y", "parameters", "state", "state2", "rows", "last_steps"}) expect(name);
  if (actual.has("copies") && c.loss_is_finite) {  // exactly: the parameters, rounded
    const std::vector<float> copies = actual.values("copies");
    actual.set_values("copies", actual.values("parameters"));
    if (copies != actual.values("copies")) Finding() << c.name << ": copies are not the parameters, rounded";
  }
  if (c.op.kind == OpKind::softmax_cross_entropy || c.op.kind == OpKind::ctc) {
    expect_statistics(actual.statistics(), expected.statistics(), c);
    if (c.needs_dx && c.training) expect("dx");
    return true;
  }
  if (!c.training || c.poison != Poison::none) return true;
  if (actual.has("argmax") && !expect_argmax(&actual, &expected)) return true;
  if (actual.has("mask") && !expect_mask(&actual, &expected)) return true;
  if (!actual.has_backward()) return true;

  if (actual.has("y")) expected.set_values("y", actual.values("y"));
  for (const char* name : {"argmax", "mask"}) {
    if (!actual.has(name)) continue;
    const std::vector<uint8_t> bytes = actual.byte_values(name);
    std::memcpy(expected.bytes(name), bytes.data(), bytes.size());
  }
  actual.run_backward();
  expected.run_backward();
  std::vector<std::string> gradients = {"dx", "parameters", "state", "state2", "last_steps"};
  for (const std::string& part : part_names()) gradients.push_back("d" + part);
  for (const std::string& name : gradients) expect(name);
  return true;
}

}  // namespace lt::ops
