// Prints one JSON line with what this machine can do at most.
//
//   peak [THREADS]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "tools/machine_peak.h"

int main(int argc, char** argv) {
  const unsigned threads =
      std::max(1, argc > 1 ? std::atoi(argv[1]) : static_cast<int>(std::thread::hardware_concurrency()));
  const lt::tool::MachinePeak peak = lt::tool::measure_machine_peak(threads);
  std::printf(
      "{\"threads\": %u, \"kernel\": \"%s\", \"fp32_flops_per_second\": %.4g, \"bf16_kernel\": \"%s\", "
      "\"bf16_flops_per_second\": %.4g, \"read_and_write_bytes_per_second\": %.4g}\n",
      threads, peak.kernel, peak.flops_per_second, peak.bf16_kernel, peak.bf16_flops_per_second,
      peak.read_and_write_bytes_per_second);
  return 0;
}
