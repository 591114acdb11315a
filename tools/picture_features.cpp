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
#include "tools/images/model_images.h"
#include "tools/images/names_file.h"
#include "tools/npy_file.h"
#include "tools/output_file.h"
#include "tools/plan_output.h"
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
// int8: the first pictures, or fewer where there are no more, by which activations are calibrated.
constexpr uint32_t calibration_pictures = 32;

class Features {
 public:
  explicit Features(const FeatureOptions& options) : options_(options), common_(options.common) {}
  int run();

 private:
  bool set_up();
  bool open_pictures();
  bool open_session();
  bool open_outputs();
  bool calibrate();
  bool read_first(uint32_t n, uint8_t* x, uint32_t* got);
  void announce() const;
  void steps();
  bool open_folder();
  bool read_batch(uint64_t first, uint32_t n, uint32_t* got);
  bool write_outputs();
  void close();
  void print_summary();
  bool fail(lt_status status, Stage stage);
  bool fail(ExitCode code, const std::string& sentence);
  bool fail_out() { return fail(ExitCode::io, "--out: " + npy_->why()); }
  bool files() const { return !options_.images.empty(); }

  const FeatureOptions& options_;
  const TrainOptions& common_;
  PlanPtr plan_;
  DatasetPtr pictures_;  // built-in ones
  ImageOptions asked_;   // of a folder
  ImageReader reader_;
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
  uint32_t calibrated_by_ = 0;      // pictures; int8
  uint64_t calibration_bytes_ = 0;  // int8: beside the arena, given back
  double network_seconds_ = 0, read_seconds_ = 0, calibration_seconds_ = 0;
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

bool Features::fail(ExitCode code, const std::string& sentence) {
  code_ = code;
  error_ = sentence;
  complain("%s", error_.c_str());
  return false;
}

bool Features::open_pictures() {
  if (files()) return open_folder();
  lt_dataset* raw = nullptr;
  if (const lt_status status = lt_dataset_open(facts_.plan.data, "", LT_TEST, synthetic_seed, &raw))
    return fail(status, Stage::data);
  pictures_.reset(raw);
  info_ = sized<lt_dataset_info>();
  if (const lt_status status = lt_dataset_get(raw, &info_)) return fail(status, Stage::data);
  facts_.data = info_.name;
  images_ = (common_.steps != 0 ? common_.steps : steps_default) * facts_.plan.batch;
  return true;
}

bool Features::open_folder() {
  const lt_plan_info& plan = facts_.plan;
  if (!is_model_of_images(plan))
    return fail(ExitCode::usage, std::string("--images: model ") + plan.model + " takes no square pictures of bytes");
  asked_ = image_options(plan, options_.images, common_.skip_bad, 2 * plan.batch);
  asked_.threads = plan.threads;
  std::string why;
  if (!reader_.open(asked_, &why)) return fail(ExitCode::data, why);
  facts_.data = "images";
  images_ = reader_.names().size();
  if (common_.steps != 0) images_ = std::min(images_, common_.steps * plan.batch);
  return true;
}

bool Features::set_up() {
  const lt_config config = make_config(common_);
  lt_plan* plan = nullptr;
  if (const lt_status status = lt_plan_create(&config, &plan)) return fail(status, Stage::plan);
  plan_.reset(plan);
  if (common_.plan || common_.print_recipe) {
    const lt_status status = print_plan(plan, common_, &out_);
    return status == LT_OK || fail(status, Stage::plan);
  }
  for (const auto& [option, path] : {std::pair("--out", &options_.out), std::pair("--log", &common_.log)}) {
    if (check_output_path(option, *path)) continue;
    code_ = ExitCode::io;
    return false;
  }
  facts_.plan = sized<lt_plan_info>();
  lt_memory memory = sized<lt_memory>();
  if (const lt_status status = lt_plan_get(plan, &facts_.plan)) return fail(status, Stage::plan);
  if (const lt_status status = lt_plan_memory(plan, &memory)) return fail(status, Stage::plan);
  if (!open_pictures()) return false;
  facts_.command = facts_.model = common_.command;
  facts_.arena_bytes = memory.arena_bytes;
  facts_.weights_bytes = memory.weights_bytes;
  calibration_bytes_ = memory.calibration_bytes;
  facts_.train_samples = 0;
  facts_.test_samples = images_;
  install_signal_handlers(options_.images.c_str());
  if (!common_.quiet) announce();
  return open_session() && calibrate() && open_outputs();
}

void Features::announce() const {
  const lt_plan_info& plan = facts_.plan;
  say_device(plan, facts_.data);
  if (files())
    say("data: %s of %s, the middle %u x %u where the shorter side has %u, decoded by %s",
        format_count_of(images_, "picture").c_str(), options_.images.c_str(), asked_.side, asked_.side, asked_.shorter_side,
        format_count_of(reader_.threads(), "thread").c_str());
  else
    say("data: synthetic pictures (built in), %s", format_count_of(images_, "picture").c_str());
  say("model: %s, %s parameters, batch %s, %u features of a picture, arena %s", facts_.model.c_str(),
      format_count(plan.parameters).c_str(), format_count(plan.batch).c_str(), plan.classes,
      format_bytes(facts_.arena_bytes).c_str());
}

bool Features::open_session() {
  lt_session* session = nullptr;
  if (const lt_status status = lt_session_create(plan_.get(), nullptr, 0, &session)) return fail(status, Stage::session);
  session_.reset(session);
  // That the built-in pictures fit the model; those of files are made to.
  if (!files()) {
    if (const lt_status status = lt_session_bind(session, LT_TEST, pictures_.get())) return fail(status, Stage::data);
  }
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
  // From here on a signal ends the run in order: there is a file to take away.
  stop_on_signal(session_.get());
  if (options_.out.empty()) return true;
  npy_ = std::make_unique<NpyFile>(options_.out, facts_.plan.classes);
  return npy_->good() || fail_out();
}

// The first pictures of those to come, fewer where there are no more: of a folder by a reader of their own.
bool Features::read_first(uint32_t n, uint8_t* x, uint32_t* got) {
  *got = n;
  if (files()) {
    ImageReader reader;
    std::string why;
    if (!reader.open(asked_, &why)) return fail(ExitCode::data, why);
    if (!reader.next(n, x, got, &why)) return fail(ExitCode::data, with_advice(why));
    return *got != 0 || fail(ExitCode::data, options_.images + ": has no image that can be read");
  }
  for (uint32_t i = 0; i < n; ++i)
    if (const lt_status status = lt_dataset_read(pictures_.get(), i, x + i * facts_.plan.sample_bytes, nullptr))
      return fail(status, Stage::data);
  return true;
}

bool Features::calibrate() {
  if (std::strcmp(facts_.plan.precision, "int8") != 0) return true;
  const auto wanted = static_cast<uint32_t>(std::min<uint64_t>(calibration_pictures, files() ? images_ : info_.count));
  std::vector<uint8_t> x(wanted * facts_.plan.sample_bytes);
  if (!read_first(wanted, x.data(), &calibrated_by_)) return false;
  const double begun = monotonic_seconds();
  if (const lt_status status = lt_session_calibrate(session_.get(), x.data(), calibrated_by_))
    return fail(status, Stage::session);
  calibration_seconds_ = monotonic_seconds() - begun;
  if (!common_.quiet)
    say("calibration: activations' ranges of least squared error over %s of %s, in fp32, %.2g s; weights to 8 bits a "
        "channel",
        format_count_of(calibrated_by_, "picture").c_str(), files() ? options_.images.c_str() : facts_.data.c_str(),
        calibration_seconds_);
  return true;
}

// `got` of the `n` wanted ones: fewer at the end of a folder.
bool Features::read_batch(uint64_t first, uint32_t n, uint32_t* got) {
  *got = n;
  if (files()) {
    std::string why;
    if (reader_.next(n, x_.data(), got, &why)) return true;
    return fail(ExitCode::data, with_advice(why));
  }
  for (uint32_t i = 0; i < n; ++i) {
    const uint64_t index = (first + i) % info_.count;
    if (const lt_status status = lt_dataset_read(pictures_.get(), index, &x_[i * facts_.plan.sample_bytes], nullptr))
      return fail(status, Stage::data);
  }
  return true;
}

void Features::steps() {
  const uint32_t batch = facts_.plan.batch, features = facts_.plan.classes;
  memory_.sample();
  const auto compute = [&](uint32_t n) {
    const lt_status status = lt_session_forward(session_.get(), x_.data(), n, y_.data(), uint64_t{n} * features);
    return status == LT_OK || fail(status, Stage::training);
  };
  for (bool cold = true; done_ < images_ && received_signal() == 0; cold = false) {
    const double begun = monotonic_seconds();
    uint32_t n = 0;
    if (!read_batch(done_, static_cast<uint32_t>(std::min<uint64_t>(batch, images_ - done_)), &n)) return;
    if (n == 0) break;
    read_seconds_ += monotonic_seconds() - begun;
    if (cold) {  // of the same pictures, and not counted
      if (!compute(n)) return;
      end_.first_step_seconds = seconds_since_exec();
      memory_.sample();
    }
    const double read = monotonic_seconds();
    if (!compute(n)) return;
    const double seconds = monotonic_seconds() - read;
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

// The names first: a folder that has the features has what their rows are, too.
bool Features::write_outputs() {
  std::string why;
  if (files() && !write_names(names_path(options_.out), reader_.given(), &why)) return fail(ExitCode::io, "--out: " + why);
  return npy_->commit() || fail_out();
}

void Features::close() {
  say_left_out(reader_);
  if (code_ == ExitCode::ok && stopped_by_ == 0 && done_ == 0)
    fail(ExitCode::data, options_.images + ": has no image that can be read");
  if (npy_ && code_ == ExitCode::ok && stopped_by_ == 0) write_outputs();
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
  if (files()) record.whole("skipped_images", reader_.bad().size());
  if (calibrated_by_ != 0)
    record.whole("calibration_images", calibrated_by_)
        .number("calibration_seconds", calibration_seconds_)
        .whole("calibration_arena_bytes", calibration_bytes_);
  if (done_ != 0) {
    record.number("images_per_second", facts_.plan.batch / end_.median_step_seconds);
    record.number("images_per_second_with_reading", static_cast<double>(done_) / (network_seconds_ + read_seconds_));
  }
  record.whole("weights_bytes", facts_.weights_bytes);
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
  out_.print("rate      %.1f images/s of the network (median batch %s ms), %.1f with reading\n",
             facts_.plan.batch / end_.median_step_seconds, format_figure(1e3 * end_.median_step_seconds).c_str(),
             static_cast<double>(done_) / (network_seconds_ + read_seconds_));
  if (calibrated_by_ != 0)
    out_.print("int8      weights of 8 bits, one scale a channel; activations calibrated in fp32 on %s of %s\n",
               format_count_of(calibrated_by_, "picture").c_str(), files() ? options_.images.c_str() : facts_.data.c_str());
  out_.print("memory    arena %s, its weights as %s reads them %s", format_bytes(end_.arena_bytes).c_str(),
             facts_.plan.precision, format_bytes(facts_.weights_bytes).c_str());
  if (end_.peak_anonymous_bytes != 0)
    out_.print(", private %s at most%s", format_bytes(end_.peak_anonymous_bytes).c_str(),
               calibrated_by_ != 0 ? " once calibrated" : "");
  out_.print("\n");
  if (npy_ && stopped_by_ == 0)
    out_.print("features  %s, float32 of %" PRIu64 " x %u\n", options_.out.c_str(), done_, facts_.plan.classes);
  if (npy_ && stopped_by_ == 0 && files()) out_.print("names     %s\n", names_path(options_.out).c_str());
}

int Features::run() {
  if (set_up() && !common_.plan && !common_.print_recipe) {
    steps();
    close();
  }
  stop_on_signal(nullptr);
  if (!out_.close() && code_ == ExitCode::ok) code_ = ExitCode::io;
  return code_ == ExitCode::ok ? end_.exit_code : static_cast<int>(code_);
}

}  // namespace

int compute_features(const FeatureOptions& options) { return Features(options).run(); }

}  // namespace lt::tool
