// Computing features. A step is a batch; one batch is computed in front of them all, whose time is not counted. Between the
// first step and the last nothing is allocated.
#include "tools/picture_features.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <memory>
#include <vector>

#include "tools/exit_code.h"
#include "tools/handles.h"
#include "tools/npy_file.h"
#include "tools/output_file.h"
#include "tools/process_clock.h"
#include "tools/process_memory.h"
#include "tools/run_log.h"
#include "tools/signals.h"
#include "tools/step_times.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

// Batches of a data set that has no end of its own.
constexpr uint64_t steps_default = 40;
constexpr uint64_t synthetic_seed = 1;

int write_to_stdout(void* out, const void* bytes, size_t size) {
  static_cast<StandardOutput*>(out)->write({static_cast<const char*>(bytes), size});
  return 0;
}

class Features {
 public:
  explicit Features(const FeatureOptions& options) : options_(options), common_(options.common) {}
  int run();

 private:
  bool set_up();
  bool open_pictures();
  bool open_session();
  bool open_outputs();
  void announce() const;
  void steps();
  bool read_batch(uint64_t first, uint32_t n);
  void close();
  void print_summary();
  bool fail(lt_status status, Stage stage);
  bool fail_out();

  const FeatureOptions& options_;
  const TrainOptions& common_;
  PlanPtr plan_;
  DatasetPtr pictures_;
  lt_dataset_info info_;
  SessionPtr session_;  // after what it uses
  std::unique_ptr<NpyFile> npy_;
  RunFacts facts_;
  RunEnd end_;
  RunLog log_;
  StepTimes step_times_;
  AnonymousPeak memory_;
  StandardOutput out_;
  std::vector<uint8_t> x_;
  std::vector<float> y_;
  uint64_t images_ = 0, done_ = 0;  // to be computed, and computed so far
  double network_seconds_ = 0, read_seconds_ = 0;
  ExitCode code_ = ExitCode::ok;
  int stopped_by_ = 0;
  std::string error_;
};

bool Features::fail(lt_status status, Stage stage) {
  code_ = exit_code(status, stage);
  error_ = lt_last_error();
  complain("%s", error_.c_str());
  return false;
}

bool Features::fail_out() {
  code_ = ExitCode::io;
  error_ = npy_->why();
  complain("--out: %s", error_.c_str());
  return false;
}

bool Features::open_pictures() {
  const bool files = !options_.images.empty();
  lt_dataset* raw = nullptr;
  const char* const kind = files ? "images" : facts_.plan.data;
  if (const lt_status status = lt_dataset_open(kind, options_.images.c_str(), LT_TEST, synthetic_seed, &raw))
    return fail(status, Stage::data);
  pictures_.reset(raw);
  info_ = sized<lt_dataset_info>();
  if (const lt_status status = lt_dataset_get(raw, &info_)) return fail(status, Stage::data);
  images_ = files ? info_.count : steps_default * facts_.plan.batch;
  if (common_.steps != 0) {
    const uint64_t asked = common_.steps * facts_.plan.batch;
    images_ = files ? std::min(images_, asked) : asked;
  }
  return true;
}

bool Features::set_up() {
  const lt_config config = make_config(common_);
  lt_plan* plan = nullptr;
  if (const lt_status status = lt_plan_create(&config, &plan)) return fail(status, Stage::plan);
  plan_.reset(plan);
  if (common_.plan || common_.print_recipe) {
    const lt_status status = common_.plan ? lt_plan_describe(plan, common_.json ? LT_JSON : LT_TEXT, write_to_stdout, &out_)
                                          : lt_plan_recipe(plan, write_to_stdout, &out_);
    return status == LT_OK || fail(status, Stage::plan);
  }
  for (const auto& [option, path] : {std::pair("--out", &options_.out), std::pair("--log", &common_.log)}) {
    if (path->empty() || check_output_path(option, *path)) continue;
    code_ = ExitCode::io;
    return false;
  }
  facts_.plan = sized<lt_plan_info>();
  lt_memory memory = sized<lt_memory>();
  if (const lt_status status = lt_plan_get(plan, &facts_.plan)) return fail(status, Stage::plan);
  if (const lt_status status = lt_plan_memory(plan, &memory)) return fail(status, Stage::plan);
  if (!open_pictures()) return false;
  facts_.command = facts_.model = common_.command;
  facts_.data = info_.name;
  facts_.arena_bytes = memory.arena_bytes;
  facts_.train_samples = 0;
  facts_.test_samples = images_;
  install_signal_handlers(options_.images.c_str());
  if (!common_.quiet) announce();
  return open_session() && open_outputs();
}

void Features::announce() const {
  const lt_plan_info& plan = facts_.plan;
  say("device: %s (%s), kernels: %s, precision: %s, threads: %u, seed: %" PRIu64 ", data: %s", plan.device,
      plan.device_name, plan.kernels, plan.precision, plan.threads, plan.seed, facts_.data.c_str());
  if (*plan.passed_over != '\0') say("device: auto passed over %s", plan.passed_over);
  say("data: %s, %s", options_.images.empty() ? "synthetic pictures (built in)" : options_.images.c_str(),
      format_count_of(images_, "picture").c_str());
  say("model: %s, %s parameters, batch %s, %u features of a picture, arena %s", facts_.model.c_str(),
      format_count(plan.parameters).c_str(), format_count(plan.batch).c_str(), plan.classes,
      format_bytes(facts_.arena_bytes).c_str());
}

bool Features::open_session() {
  lt_session* session = nullptr;
  if (const lt_status status = lt_session_create(plan_.get(), nullptr, 0, &session)) return fail(status, Stage::session);
  session_.reset(session);
  // That the pictures fit the model.
  if (const lt_status status = lt_session_bind(session, LT_TEST, pictures_.get())) return fail(status, Stage::data);
  if (common_.weights.empty()) {
    if (!common_.quiet) say("weights: random, from seed %" PRIu64 "; trained ones: --weights FILE", facts_.plan.seed);
    return true;
  }
  uint32_t ignored = 0;
  if (const lt_status status = lt_session_load_weights(session, common_.weights.c_str(), &ignored))
    return fail(status, Stage::weights);
  const std::string foreign = "; not the model's and ignored: " + format_count_of(ignored, "tensor");
  if (!common_.quiet) say("weights: %s%s", common_.weights.c_str(), ignored != 0 ? foreign.c_str() : "");
  return true;
}

bool Features::open_outputs() {
  if (!common_.log.empty() && !log_.open(common_.log, false)) {
    complain("cannot open the run log %s: %s", common_.log.c_str(), std::strerror(errno));
    code_ = ExitCode::io;
    return false;
  }
  log_.run(facts_);
  log_.plan(plan_.get());
  x_.resize(facts_.plan.batch * facts_.plan.sample_bytes);
  y_.resize(uint64_t{facts_.plan.batch} * facts_.plan.classes);
  if (options_.out.empty()) return true;
  npy_ = std::make_unique<NpyFile>(options_.out, images_, facts_.plan.classes);
  return npy_->good() || fail_out();
}

bool Features::read_batch(uint64_t first, uint32_t n) {
  for (uint32_t i = 0; i < n; ++i) {
    const uint64_t index = (first + i) % info_.count;
    if (const lt_status status = lt_dataset_read(pictures_.get(), index, &x_[i * facts_.plan.sample_bytes], nullptr))
      return fail(status, Stage::data);
  }
  return true;
}

void Features::steps() {
  const uint32_t batch = facts_.plan.batch, features = facts_.plan.classes;
  const auto of = [&](uint64_t first) { return static_cast<uint32_t>(std::min<uint64_t>(batch, images_ - first)); };
  memory_.sample();
  stop_on_signal(session_.get());
  const auto compute = [&](uint32_t n) {
    const lt_status status = lt_session_forward(session_.get(), x_.data(), n, y_.data(), uint64_t{n} * features);
    return status == LT_OK || fail(status, Stage::training);
  };
  // The cold run.
  if (!read_batch(0, of(0)) || !compute(of(0))) return;
  end_.first_step_seconds = seconds_since_exec();
  memory_.sample();
  while (done_ < images_ && received_signal() == 0) {
    const uint32_t n = of(done_);
    const double begun = monotonic_seconds();
    if (!read_batch(done_, n)) return;
    const double read = monotonic_seconds();
    if (!compute(n)) return;
    const double seconds = monotonic_seconds() - read;
    read_seconds_ += read - begun;
    network_seconds_ += seconds;
    if (n == batch || done_ == 0) step_times_.add(seconds, 1);
    if (npy_ && !npy_->write(y_.data(), n)) {
      fail_out();
      return;
    }
    done_ += n;
    ++end_.steps;
    if (common_.log_every == 0 || end_.steps % common_.log_every == 0) log_.batch(end_.steps, seconds, n);
    memory_.sample_sometimes();
  }
  stopped_by_ = received_signal();
}

void Features::close() {
  if (npy_ && code_ == ExitCode::ok && stopped_by_ == 0 && !npy_->commit()) fail_out();
  stop_on_signal(nullptr);
  memory_.sample();
  if (stopped_by_ != 0)
    complain("stopped by %s after %" PRIu64 " of %" PRIu64 " pictures%s", signal_label(stopped_by_), done_, images_,
             npy_ ? "; --out was not written" : "");
  end_.seconds = seconds_since_exec();
  if (log_.failed() && code_ == ExitCode::ok) code_ = ExitCode::io;
  end_.status = code_ != ExitCode::ok ? exit_name(code_) : stopped_by_ != 0 ? "stopped" : "ok";
  end_.exit_code = stopped_by_ != 0 && code_ == ExitCode::ok ? exit_status_of_signal(stopped_by_) : static_cast<int>(code_);
  end_.error = error_.c_str();
  if (step_times_.count() != 0) end_.median_step_seconds = step_times_.median();
  end_.arena_bytes = facts_.arena_bytes;
  end_.peak_rss_bytes = peak_resident_bytes();
  end_.peak_anonymous_bytes = memory_.bytes();
  JsonRecord record = end_record(facts_, end_);
  record.whole("images", done_);
  if (done_ != 0) {
    record.number("images_per_second", facts_.plan.batch / end_.median_step_seconds);
    record.number("images_per_second_with_reading", static_cast<double>(done_) / (network_seconds_ + read_seconds_));
  }
  log_.end(record.line());
  if (!log_.close() && code_ == ExitCode::ok) code_ = ExitCode::io;
  if (common_.json)
    out_.write(record.line());
  else if (code_ == ExitCode::ok && done_ != 0)
    print_summary();
}

void Features::print_summary() {
  out_.print("model     %s on %s, device %s, %s, %s\n", facts_.model.c_str(), facts_.data.c_str(), facts_.plan.device,
             format_count_of(done_, "picture").c_str(),
             common_.weights.empty() ? "random weights" : common_.weights.c_str());
  out_.print("rate      %.1f images/s of the network (median batch %.3g ms), %.1f with reading\n",
             facts_.plan.batch / end_.median_step_seconds, 1e3 * end_.median_step_seconds,
             static_cast<double>(done_) / (network_seconds_ + read_seconds_));
  out_.print("memory    arena %s", format_bytes(end_.arena_bytes).c_str());
  if (end_.peak_anonymous_bytes != 0) out_.print(", private %s at most", format_bytes(end_.peak_anonymous_bytes).c_str());
  out_.print("\n");
  if (npy_ && stopped_by_ == 0)
    out_.print("features  %s, float32 of %" PRIu64 " x %u\n", options_.out.c_str(), images_, facts_.plan.classes);
}

int Features::run() {
  if (set_up() && !common_.plan && !common_.print_recipe) {
    steps();
    close();
  }
  if (!out_.close() && code_ == ExitCode::ok) code_ = ExitCode::io;
  return code_ == ExitCode::ok ? end_.exit_code : static_cast<int>(code_);
}

}  // namespace

int compute_features(const FeatureOptions& options) { return Features(options).run(); }

}  // namespace lt::tool
