// Figures of a row, and whether they can be relied upon: see result.h.
#include "tools/bench/result.h"

#include <algorithm>
#include <cstdio>

namespace lt::tool {

const char* row_state_name(RowState state) {
  switch (state) {
    case RowState::measured: return "measured";
    case RowState::unavailable: return "unavailable";
    case RowState::failed: return "failed";
    case RowState::left_out: return "left out";
  }
  return "failed";
}

const PeakPair* peak_for(const BenchResult& result, const Row& row) {
  if (row.repetitions.empty() || row.repetitions[0].device.starts_with("cuda")) return nullptr;
  for (const PeakPair& peak : result.peaks)
    if (peak.threads == row.repetitions[0].threads) return &peak;
  return nullptr;
}

RowFigures figures_of(const BenchResult& result, const Row& row) {
  RowFigures figures;
  if (row.repetitions.empty()) return figures;
  std::vector<double> seconds, first_steps;
  double waited = 0, timed = 0;
  for (const Measurement& one : row.repetitions) {
    seconds.insert(seconds.end(), one.step_seconds.begin(), one.step_seconds.end());
    figures.repetition_medians.push_back(median_of(one.step_seconds));
    first_steps.push_back(one.first_step_seconds);
    figures.peak_anonymous_bytes = std::max(figures.peak_anonymous_bytes, one.peak_anonymous_bytes);
    figures.peak_rss_bytes = std::max(figures.peak_rss_bytes, one.peak_rss_bytes);
    waited += one.data_wait_seconds;
    timed += one.timed_seconds;
  }
  const Measurement& first = row.repetitions[0];
  figures.step = statistics_of(std::move(seconds));
  figures.first_step_seconds = median_of(std::move(first_steps));
  figures.data_wait_share = timed > 0 ? waited / timed : 0;
  if (figures.step.median <= 0) return figures;
  figures.samples_per_second = static_cast<double>(first.batch) / figures.step.median;
  const PeakPair* const pair = peak_for(result, row);
  const double peak = pair != nullptr ? peak_flops_per_second(*pair, first.precision) : 0;
  if (peak > 0) {
    figures.nominal_share = first.nominal_operations / figures.step.median / peak;
    figures.real_share = first.real_operations / figures.step.median / peak;
  }
  return figures;
}

std::string noise_in(const BenchResult& result, const Row& row) {
  std::string said;
  const auto add = [&said](const char* format, double share) {
    char text[128];
    std::snprintf(text, sizeof text, format, 100 * share);
    said += (said.empty() ? "" : "; ") + std::string(text);
  };
  const double spread = spread_of(figures_of(result, row).repetition_medians);
  if (spread > most_spread) add("repetitions' medians are %.0f %% apart", spread);
  if (row.load.others > most_others) add("other processes took %.0f %% of the processors", row.load.others);
  if (row.load.stolen > most_stolen) add("the hypervisor took %.0f %% of the processors", row.load.stolen);
  if (row.waited > most_waited) add("threads waited for a processor %.0f %% of the time", row.waited);
  const PeakPair* const peak = peak_for(result, row);
  if (peak != nullptr && peak_spread(*peak) > most_peak_spread)
    add("the machine's peak changed by %.0f %%", peak_spread(*peak));
  return said;
}

}  // namespace lt::tool
