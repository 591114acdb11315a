// Measures one training in this process, which was started for it: time to the first step and private memory are then its
// own.
#pragma once

#include <cstdint>
#include <string>

#include "tools/bench/grid.h"
#include "tools/exit_code.h"

namespace lt::tool {

struct MeasureOptions {
  std::string data;            // --data, or ""
  uint32_t warm_up_steps = 3;  // in front of those that are timed, the first step of all among them; at least 1
  uint32_t steps = 0;          // that are timed; 0: as many as `seconds` hold, five at least
  double seconds = 1;
};

// Prints one JSON object on stdout: measurement.h says what is in it. On failure says why.
ExitCode measure(const Configuration& configuration, const MeasureOptions& options);

}  // namespace lt::tool
