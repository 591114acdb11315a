// Seconds of a clock that only goes forward.
#pragma once

#include <ctime>

namespace lt {

inline double now_seconds() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace lt
