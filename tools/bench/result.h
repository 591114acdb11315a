// What `bench` found: a row a configuration, and the machine. Plain values and pure functions of them.
#pragma once

#include <string>
#include <vector>

#include "tools/bench/grid.h"
#include "tools/bench/load.h"
#include "tools/bench/machine.h"
#include "tools/bench/measurement.h"
#include "tools/bench/statistics.h"

namespace lt::tool {

enum class RowState {
  measured,
  unavailable,  // the build, the machine or the data do not have it: `reason`
  failed,       // it should have worked: `reason`
  left_out,     // its repetitions do not fit into the time there is: five minutes where nobody named models
};
const char* row_state_name(RowState state);  // "measured", "left out"

struct Row {
  Configuration asked;
  RowState state = RowState::measured;
  std::string reason;
  int exit_code = 0;                     // of the process that said so
  std::vector<Measurement> repetitions;  // one a process, in the order in which they ran
  // Over the repetitions, as fractions of all processors (of the threads' time: waited).
  Load load;
  double waited = 0;
};

struct RowFigures {
  SampleStatistics step;                       // seconds, over the steps of all repetitions
  std::vector<double> repetition_medians;      // seconds
  double samples_per_second = 0;               // by the median
  double nominal_share = -1, real_share = -1;  // of the peak that was measured; -1 where none was, as on a GPU
  double data_wait_share = 0;
  double first_step_seconds = 0;                          // median
  uint64_t peak_anonymous_bytes = 0, peak_rss_bytes = 0;  // the greatest
};

struct BenchResult {
  std::string date;  // UTC, ISO 8601
  uint32_t repetitions = 0, warm_up_steps = 0;
  Machine machine;
  std::vector<PeakPair> peaks;  // one for each number of threads that occurred
  std::vector<Row> rows;
  bool published = false;  // with others' figures beside ours
  double seconds = 0;      // of it all
};

const PeakPair* peak_for(const BenchResult& result, const Row& row);
// Of a measured row.
RowFigures figures_of(const BenchResult& result, const Row& row);

// Above these the machine counts as noisy: medians of repetitions then part by more than the 5 % that they are good for.
inline constexpr double most_spread = 0.05, most_peak_spread = 0.05, most_others = 0.05, most_stolen = 0.02,
                        most_waited = 0.05;
// "" for a quiet machine, else what speaks against it, such as "other processes took 23 % of the processors".
std::string noise_in(const BenchResult& result, const Row& row);

}  // namespace lt::tool
