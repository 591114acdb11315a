// Times every operation of a plan on the CPU's kernel families, in its place in a training step, and holds its results
// against the reference device's. Reserves what the plans need while it runs; main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tools/exit_code.h"

namespace lt::tool {

struct BenchOps {
  std::string recipe;                // a built-in one's name
  std::vector<std::string> kernels;  // "highway", "onednn", "auto"
  std::string precision = "fp32";    // or "bf16"
  uint32_t threads = 0;              // 0: as many as the process may use
  uint32_t rounds = 20;              // timed steps
  bool check = true;                 // against the reference device, which takes its time
};

struct OpTime {
  std::string model;
  uint32_t op = 0;        // its place in the step
  std::string layer;      // "conv1"
  std::string operation;  // "conv2d_backward + max_pool + relu"
  std::string shape;      // "64 x 3x32x32 -> 50x32x32, 3x3": samples, channels x rows x columns
  std::string kernels;    // the family that was asked for
  std::string kernel;     // the kernel that serves it
  uint32_t threads = 0;
  double seconds = 0;  // the median
  double least_seconds = 0;
  double operations = 0;            // multiplications and additions of the plain loops, padding included; 0: not a product
  double flops_per_second_now = 0;  // machine_peak.h's, of as many threads right after each run: median; 0: not measured
  double error = -1;  // of its outputs: root of (squared differences / squared reference values); -1: not compared
};

// Adds a row for each operation and family. On failure says why.
ExitCode bench_ops(const BenchOps& what, std::vector<OpTime>* rows);

}  // namespace lt::tool
