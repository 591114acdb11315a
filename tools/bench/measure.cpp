// One configuration, in the program's own way through the library: see measure.h.
#include "tools/bench/measure.h"

#include <algorithm>
#include <cstring>

#include "tools/bench/load.h"
#include "tools/bench/measurement.h"
#include "tools/bench_ops_count.h"
#include "tools/data_source.h"
#include "tools/process_clock.h"
#include "tools/process_memory.h"
#include "tools/terminal.h"

namespace lt::tool {
namespace {

constexpr size_t most_samples = 1u << 16, least_samples = 5;
constexpr uint64_t steps_together = 16;  // at most, where a device takes several in one go

lt_config config_of(const Configuration& configuration) {
  const auto given = [](const std::string& text) { return text.empty() ? nullptr : text.c_str(); };
  lt_config config;
  lt_config_init(&config);
  config.recipe = configuration.model.c_str();
  config.device = given(configuration.device);
  config.kernels = given(configuration.kernels);
  config.precision = given(configuration.precision);
  config.batch = configuration.batch;
  config.threads = configuration.threads;
  return config;
}

double length_share(const DataSource& source) {
  double steps = 0;
  for (uint64_t i = 0; i < source.train_info.count; ++i) {
    uint32_t length = 0;
    if (lt_dataset_length(source.train.get(), i, &length) != LT_OK) return 1;
    steps += length;
  }
  const double most = static_cast<double>(source.train_info.count) * source.train_info.height;
  return most > 0 ? steps / most : 1;
}

class Measured {
 public:
  explicit Measured(const Configuration& configuration) : config_(config_of(configuration)) {}

  ExitCode set_up(const std::string& data) {
    lt_plan* plan = nullptr;
    if (const lt_status status = lt_plan_create(&config_, &plan)) return fail(status, Stage::plan);
    plan_.reset(plan);
    info_ = sized<lt_plan_info>();
    memory_map_ = sized<lt_memory>();
    if (const lt_status status = lt_plan_get(plan, &info_)) return fail(status, Stage::plan);
    if (const lt_status status = lt_plan_memory(plan, &memory_map_)) return fail(status, Stage::plan);
    if (const lt_status status = open_data(info_.data, data, &source_)) return fail(status, Stage::data);
    lt_session* session = nullptr;
    if (const lt_status status = lt_session_create(plan, nullptr, 0, &session)) return fail(status, Stage::session);
    session_.reset(session);
    const lt_status bound = info_.inference != 0 ? lt_session_bind(session, LT_TEST, source_.test.get())
                                                 : lt_session_bind(session, LT_TRAIN, source_.train.get());
    if (bound != LT_OK) return fail(bound, Stage::data);
    memory_.sample();
    return ExitCode::ok;
  }

  ExitCode run(const MeasureOptions& options) { return info_.inference != 0 ? infer(options) : train(options); }

  ExitCode print() {
    found_.device = info_.device;
    found_.device_name = info_.device_name;
    found_.kernels = info_.kernels;
    found_.precision = info_.precision;
    found_.optimizer = info_.optimizer;
    found_.data = source_.train_info.name;
    found_.threads = info_.threads;
    found_.parameters = info_.parameters;
    found_.arena_bytes = memory_map_.arena_bytes;
    found_.weights_bytes = memory_map_.weights_bytes;
    found_.peak_anonymous_bytes = memory_.bytes();
    found_.peak_rss_bytes = peak_resident_bytes();
    OperationCount count;
    if (const lt_status status = count_operations(config_.recipe, found_.batch, length_share(source_), &count))
      return fail(status, Stage::plan);
    found_.nominal_operations = count.nominal;
    found_.real_operations = count.real;
    StandardOutput out;
    out.write(to_json(found_) + "\n");
    return out.close() ? ExitCode::ok : ExitCode::io;
  }

 private:
  ExitCode train(const MeasureOptions& options) {
    const uint64_t all = source_.train_info.count, batch = info_.batch != 0 ? std::min<uint64_t>(info_.batch, all) : all;
    lt_report report = sized<lt_report>();
    found_.step_seconds.reserve(most_samples);
    while (report.step < options.warm_up_steps) {
      if (const lt_status status = lt_session_advance(session_.get(), 1, &report)) return fail(status, Stage::training);
      if (report.step == 1) found_.first_step_seconds = seconds_since_exec();
      if (report.step <= 2) memory_.sample();
    }
    found_.warm_up_steps = report.step;
    const double waited = waited_seconds(), begun = monotonic_seconds();
    while (!is_over(options, begun)) {
      const uint64_t wanted =
          options.steps != 0 ? std::min(steps_together, options.steps - found_.timed_steps) : steps_together;
      if (const lt_status status = lt_session_advance(session_.get(), wanted, &report))
        return fail(status, Stage::training);
      if (report.samples < batch) continue;  // an epoch's short last batch
      found_.step_seconds.push_back(report.seconds / report.steps);
      found_.timed_steps += report.steps;
      found_.timed_seconds += report.seconds;
      found_.data_wait_seconds += report.data_wait_seconds;
    }
    found_.waited_seconds = waited_seconds() - waited;
    memory_.sample();
    found_.batch = batch;
    return ExitCode::ok;
  }

  // A step is a batch that is computed, without the reading of its samples, which counts as waiting.
  ExitCode infer(const MeasureOptions& options) {
    const uint64_t batch = info_.batch;
    std::vector<uint8_t> x(batch * info_.sample_bytes);
    std::vector<float> y(batch * info_.classes);
    found_.step_seconds.reserve(most_samples);
    double waited = 0, begun = 0;
    for (uint64_t step = 0; step < options.warm_up_steps || !is_over(options, begun); ++step) {
      if (step == options.warm_up_steps) waited = waited_seconds(), begun = monotonic_seconds();
      const double start = monotonic_seconds();
      for (uint64_t i = 0; i < batch; ++i)
        if (const lt_status status = lt_dataset_read(source_.test.get(), (step * batch + i) % source_.test_info.count,
                                                     &x[i * info_.sample_bytes], nullptr))
          return fail(status, Stage::data);
      // By the first batch, in the warm-up.
      if (step == 0 && std::strcmp(info_.precision, "int8") == 0)
        if (const lt_status status = lt_session_calibrate(session_.get(), x.data(), static_cast<uint32_t>(batch)))
          return fail(status, Stage::session);
      const double read = monotonic_seconds();
      if (const lt_status status =
              lt_session_forward(session_.get(), x.data(), static_cast<uint32_t>(batch), y.data(), y.size()))
        return fail(status, Stage::training);
      const double end = monotonic_seconds();
      if (step == 0) found_.first_step_seconds = seconds_since_exec();
      if (step < 2) memory_.sample();
      if (step < options.warm_up_steps) continue;
      found_.step_seconds.push_back(end - read);
      ++found_.timed_steps;
      found_.timed_seconds += end - start;
      found_.data_wait_seconds += read - start;
    }
    found_.warm_up_steps = options.warm_up_steps;
    found_.waited_seconds = waited_seconds() - waited;
    memory_.sample();
    found_.batch = batch;
    return ExitCode::ok;
  }

  static ExitCode fail(lt_status status, Stage stage) {
    complain("%s", *lt_last_error() != '\0' ? lt_last_error() : lt_status_name(status));
    return exit_code(status, stage);
  }

  bool is_over(const MeasureOptions& options, double begun) const {
    if (found_.step_seconds.size() >= most_samples) return true;
    if (options.steps != 0) return found_.timed_steps >= options.steps;
    return found_.step_seconds.size() >= least_samples && monotonic_seconds() - begun >= options.seconds;
  }

  lt_config config_;
  PlanPtr plan_;
  DataSource source_;
  SessionPtr session_;  // after what it uses, so that it is freed first
  lt_plan_info info_;
  lt_memory memory_map_;
  AnonymousPeak memory_;
  Measurement found_;
};

}  // namespace

ExitCode measure(const Configuration& configuration, const MeasureOptions& options) {
  Measured measured(configuration);
  if (const ExitCode code = measured.set_up(options.data); code != ExitCode::ok) return code;
  if (const ExitCode code = measured.run(options); code != ExitCode::ok) return code;
  return measured.print();
}

}  // namespace lt::tool
