// What one process of `bench` hands to the one that started it: one repetition of a configuration. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lt::tool {

struct Measurement {
  std::string device, device_name, kernels, precision, optimizer, data;  // as in effect
  uint32_t threads = 0;
  uint64_t batch = 0;  // samples a step
  uint64_t parameters = 0;
  uint64_t arena_bytes = 0, weights_bytes = 0, peak_anonymous_bytes = 0, peak_rss_bytes = 0;
  double first_step_seconds = 0;  // from exec to the first step's end
  uint64_t warm_up_steps = 0, timed_steps = 0;
  // One a call of the library: a step's on a device that the host feeds, the mean of those that were launched together
  // else. Of steps on whole batches alone.
  std::vector<double> step_seconds;
  double timed_seconds = 0, data_wait_seconds = 0;     // of these steps together
  double waited_seconds = 0;                           // of the threads, for a processor, meanwhile
  double nominal_operations = 0, real_operations = 0;  // of a step: bench_ops_count.h
};

std::string to_json(const Measurement& measurement);
// False where `text` is no such object.
bool from_json(std::string_view text, Measurement* measurement);

}  // namespace lt::tool
