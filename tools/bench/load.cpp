// /proc/stat and /proc/self/task/*/schedstat: see load.h.
#include "tools/bench/load.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

namespace lt::tool {

MachineTime machine_time() {
  // "cpu  user nice system idle iowait irq softirq steal guest guest_nice"; guests' time is in user and nice already.
  std::ifstream file("/proc/stat");
  std::string word;
  double ticks[8] = {};
  if (!(file >> word) || word != "cpu") return {};
  for (double& count : ticks)
    if (!(file >> count)) return {};
  const double tick_seconds = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  MachineTime time;
  time.busy_seconds = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) * tick_seconds;
  time.steal_seconds = ticks[7] * tick_seconds;
  time.all_seconds = time.busy_seconds + time.steal_seconds + (ticks[3] + ticks[4]) * tick_seconds;
  return time;
}

Load load_between(const MachineTime& begin, const MachineTime& end, double own_seconds) {
  const double all = end.all_seconds - begin.all_seconds;
  if (all <= 0) return {};
  const double others = end.busy_seconds - begin.busy_seconds - own_seconds;
  return {std::clamp(others / all, 0.0, 1.0), std::clamp((end.steal_seconds - begin.steal_seconds) / all, 0.0, 1.0)};
}

double waited_seconds() {
  std::error_code error;
  double total = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", error)) {
    // "RUNNING WAITING SLICES", the first two in nanoseconds.
    std::ifstream file(thread.path() / "schedstat");
    double running = 0, waiting = 0;
    if (file >> running >> waiting) total += waiting * 1e-9;
  }
  return total;
}

}  // namespace lt::tool
