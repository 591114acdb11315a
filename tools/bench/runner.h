// Measures a list of configurations, each repetition in a process of its own, the configurations taking turns: whatever
// else the machine does meets all of them. Main thread; no other threads run while a process is started.
#pragma once

#include <string>
#include <vector>

#include "tools/bench/measure.h"
#include "tools/bench/result.h"

namespace lt::tool {

struct BenchRequest {
  std::vector<Configuration> configurations;
  MeasureOptions options;
  uint32_t repetitions = 3;
  double limit_seconds = 0;  // of it all: configurations whose repetitions would not fit are left out; 0: none
  bool published = false;
  bool peak = true;  // whether the machine's is measured, in front and behind: about a second each
};

BenchResult run_bench(const BenchRequest& request);

}  // namespace lt::tool
