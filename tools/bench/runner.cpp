// Rounds of processes: see runner.h.
#include "tools/bench/runner.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tools/bench/child.h"
#include "tools/exit_code.h"
#include "tools/process_clock.h"
#include "tools/terminal.h"

namespace lt::tool {
namespace {

constexpr double least_seconds_left = 1;  // a process with less to live is not started

std::string now_in_utc() {
  const time_t now = time(nullptr);
  tm parts{};
  char text[32];
  gmtime_r(&now, &parts);
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::vector<std::string> arguments_of(const Configuration& configuration, const MeasureOptions& options) {
  std::vector<std::string> arguments = {"bench", "--in-this-process", configuration.model};
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) arguments.insert(arguments.end(), {option, value});
  };
  const auto add_number = [&](const char* option, uint32_t value) { add(option, value != 0 ? std::to_string(value) : ""); };
  add("--device", configuration.device);
  add("--kernels", configuration.kernels);
  add("--precision", configuration.precision);
  add_number("--batch", configuration.batch);
  add_number("--threads", configuration.threads);
  add("--data", options.data);
  add_number("--steps", options.steps);
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.9g", options.seconds);
  add("--seconds", seconds);
  add_number("--warm-up", options.warm_up_steps);
  return arguments;
}

// What the exit code of a process that measured nothing says about its configuration.
RowState state_of(int exit_code) {
  switch (static_cast<ExitCode>(exit_code)) {
    case ExitCode::usage:
    case ExitCode::data:
    case ExitCode::device:
    case ExitCode::memory: return RowState::unavailable;
    default: return RowState::failed;
  }
}

class Bench {
 public:
  explicit Bench(const BenchRequest& request) : request_(request), begun_(monotonic_seconds()) {}

  BenchResult run() {
    result_.date = now_in_utc();
    result_.repetitions = request_.repetitions;
    result_.warm_up_steps = request_.options.warm_up_steps;
    result_.published = request_.published;
    result_.machine = describe_machine();
    for (const Configuration& configuration : request_.configurations) {
      result_.rows.emplace_back().asked = configuration;
      const uint32_t threads = configuration.threads != 0 ? configuration.threads : result_.machine.cpus_usable;
      if (request_.peak && std::none_of(result_.peaks.begin(), result_.peaks.end(),
                                        [=](const PeakPair& peak) { return peak.threads == threads; }))
        result_.peaks.push_back({threads, {}, {}});
    }
    for (PeakPair& peak : result_.peaks) peak.before = measured_peak(peak.threads);
    const size_t count = result_.rows.size();
    seconds_.resize(count);
    for (uint32_t round = 0; round < request_.repetitions; ++round)
      for (size_t i = 0; i < count; ++i) repeat(round, round % 2 == 0 ? i : count - 1 - i);
    for (PeakPair& peak : result_.peaks) peak.after = measured_peak(peak.threads);
    clear_live_line();
    result_.seconds = monotonic_seconds() - begun_;
    return std::move(result_);
  }

 private:
  MachinePeak measured_peak(uint32_t threads) {
    show("the machine's peak", threads, nullptr);
    return measure_machine_peak(threads);
  }

  void show(const char* what, uint32_t number, const Row* row) {
    if (!is_live_terminal(STDERR_FILENO)) return;
    char line[256];
    if (row == nullptr) {
      std::snprintf(line, sizeof line, "%s, %u threads", what, number);
    } else {
      const Configuration& asked = row->asked;
      std::snprintf(line, sizeof line, "%s %u of %u: %s %s %s %s", what, number, request_.repetitions, asked.model.c_str(),
                    asked.device.c_str(), asked.kernels.c_str(), asked.precision.c_str());
    }
    draw_live_line(line);
  }

  // What a first repetition may take, so that it and the later ones of all rows so far fit. 0: no limit.
  double limit(uint32_t round) const {
    if (request_.limit_seconds == 0 || round != 0) return 0;
    double later = 0;
    for (const double seconds : seconds_) later += seconds * (request_.repetitions - 1);
    return std::max(1e-3, (request_.limit_seconds - (monotonic_seconds() - begun_) - later) / request_.repetitions);
  }

  void repeat(uint32_t round, size_t index) {
    Row& row = result_.rows[index];
    if (row.state != RowState::measured) return;
    const double most = limit(round);
    ChildResult child;
    if (most == 0 || most >= least_seconds_left) {
      show("repetition", round + 1, &row);
      child = run_this_program(arguments_of(row.asked, request_.options), most);
    }
    if (most != 0 && (!child.started || child.timed_out)) {
      row.state = RowState::left_out;
      char text[96];
      std::snprintf(text, sizeof text, "its %u repetition%s would not end within %g s", request_.repetitions,
                    request_.repetitions == 1 ? "" : "s", request_.limit_seconds);
      row.reason = text;
      return;
    }
    Measurement measurement;
    if (child.exit_code != 0 || !from_json(child.output, &measurement)) {
      row.state = child.started ? state_of(child.exit_code) : RowState::failed;
      row.exit_code = child.started ? child.exit_code : static_cast<int>(ExitCode::internal);
      row.reason = !child.said.empty() ? child.said : "the process ended with " + std::to_string(child.exit_code);
      row.repetitions.clear();
      return;
    }
    // Means over the repetitions: each weighs the same.
    const double share = 1.0 / request_.repetitions, threads_seconds = child.seconds * std::max(1u, measurement.threads);
    const Load load = load_between(child.begin, child.end, child.cpu_seconds);
    row.load.others += share * load.others;
    row.load.stolen += share * load.stolen;
    row.waited += share * measurement.waited_seconds / threads_seconds;
    seconds_[index] = child.seconds;
    row.repetitions.push_back(std::move(measurement));
  }

  const BenchRequest& request_;
  const double begun_;
  BenchResult result_;
  std::vector<double> seconds_;  // of a row's first repetition
};

}  // namespace

BenchResult run_bench(const BenchRequest& request) { return Bench(request).run(); }

}  // namespace lt::tool
