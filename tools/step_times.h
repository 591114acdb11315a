// The median of the steps' times in memory of a fixed size: every time is kept until the room is full; then every other one
// goes and from there on every second (fourth, ...) step is kept. Exact up to `capacity` steps. Reserved whole by the
// constructor; add() allocates nothing. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace lt::tool {

class StepTimes {
 public:
  static constexpr size_t capacity = 1u << 15;

  StepTimes();
  // Steps that took so long together.
  void add(double seconds, uint64_t steps);
  uint64_t count() const { return count_; }
  // Leaves out the first two steps where there are more than three. NaN without steps.
  double median() const;

 private:
  void add_one(double seconds);

  std::unique_ptr<float[]> seconds_;  // of step numbers 2, 2 + stride, 2 + 2 * stride, ... counted from 0
  std::unique_ptr<float[]> sorted_;   // room for median()
  double first_[2] = {0, 0};
  uint64_t count_ = 0, stride_ = 1;
  size_t kept_ = 0;
};

}  // namespace lt::tool
