// Trainings through the C interface on some drawn samples, on any device of the table.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/lean_train.h"

namespace lt::cuda {

struct FreeHandle {
  void operator()(lt_plan* plan) const { lt_plan_free(plan); }
  void operator()(lt_session* session) const { lt_session_free(session); }
  void operator()(lt_dataset* dataset) const { lt_dataset_free(dataset); }
};
using PlanPtr = std::unique_ptr<lt_plan, FreeHandle>;
using SessionPtr = std::unique_ptr<lt_session, FreeHandle>;
using DatasetPtr = std::unique_ptr<lt_dataset, FreeHandle>;

// The first training samples of a set that the library draws.
class Samples {
 public:
  Samples(const char* kind, uint32_t count);
  const lt_dataset* dataset() const { return dataset_.get(); }
  const uint8_t* sample(uint32_t i) const { return x_.data() + i * sample_bytes_; }
  const uint8_t* labels() const { return labels_.data(); }
  uint64_t sample_bytes() const { return sample_bytes_; }
  uint32_t count() const { return static_cast<uint32_t>(labels_.size()); }

 private:
  uint64_t sample_bytes_ = 0;
  std::vector<uint8_t> x_, labels_;
  DatasetPtr dataset_;
};
class Digits : public Samples {
 public:
  explicit Digits(uint32_t count) : Samples("synthetic-digits", count) {}
};

struct Wish {
  std::string recipe = "mnist/cnn-same", device = "cuda", kernels, precision = "fp32";
  uint32_t batch = 0;
  uint32_t flags = 0;
};

// A plan and a session on it; `status` says what came of it, and where it is not LT_OK the rest is
// null.
struct Training {
  lt_status status = LT_OK;
  std::string error;
  PlanPtr plan;
  SessionPtr session;
};
Training open(const Wish& wish);
// With both splits bound.
Training start(const Wish& wish, const lt_dataset* train, const lt_dataset* test);
inline Training start(const Wish& wish, const Samples& train, const Samples& test) {
  return start(wish, train.dataset(), test.dataset());
}

// The losses of `steps` steps, one at a time; fewer where a step failed.
std::vector<double> losses(lt_session* session, uint32_t steps);
// Each within `bound` of the expected one, relative.
void expect_close(const std::vector<double>& actual, const std::vector<double>& expected, double bound);

}  // namespace lt::cuda
