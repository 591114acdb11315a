// The machine that figures were taken on, as a reader elsewhere has to know it. Set-up only; plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/machine_peak.h"

namespace lt::tool {

struct Cache {
  uint32_t level = 0;
  std::string type;  // "data", "instruction", "unified"
  uint64_t bytes = 0;
  uint32_t cpus = 0;  // that share it
};

struct DeviceLine {
  std::string name, description;  // description: or why it is not usable
  bool usable = false;
};

struct Machine {
  std::string cpu;                     // "Intel(R) Xeon(R) Processor"
  uint32_t cpus = 0, cpus_usable = 0;  // of the machine; that this process may run on
  uint64_t memory_bytes = 0;
  std::vector<Cache> caches;  // of the first processor
  std::string kernel;         // "Linux 6.1.0 x86_64"
  std::string libc;           // "glibc 2.36"
  // Every device of the build: the descriptions name GPUs, drivers, and the versions of libraries that were found.
  std::vector<DeviceLine> devices;
};
Machine describe_machine();

// Multiply-adds a second that so many threads reach, in front of all measurements and behind them.
struct PeakPair {
  uint32_t threads = 0;
  MachinePeak before, after;
};
// The greater of the two, in the precision's own instructions where the processor has some. 0 where not measured.
double peak_flops_per_second(const PeakPair& peak, const std::string& precision);
// By how much the one is below the other, as a fraction of the greater.
double peak_spread(const PeakPair& peak);

}  // namespace lt::tool
