// The training loop of the program. Set-up and closing may allocate; between the first step and the last the loop uses what
// the constructor reserved. Main thread.
#include "tools/train.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "tools/checkpoints.h"
#include "tools/data_command.h"
#include "tools/data_source.h"
#include "tools/event_file.h"
#include "tools/exit_code.h"
#include "tools/handles.h"
#include "tools/mistakes.h"
#include "tools/output_file.h"
#include "tools/pictures.h"
#include "tools/plan_output.h"
#include "tools/process_clock.h"
#include "tools/process_memory.h"
#include "tools/progress.h"
#include "tools/resume.h"
#include "tools/run_log.h"
#include "tools/signals.h"
#include "tools/step_times.h"
#include "tools/summary.h"
#include "tools/terminal.h"
#include "tools/text.h"
#include "tools/vocabulary.h"
#include "tools/what.h"

namespace lt::tool {
namespace {

void write_hash(const lt_dataset* dataset, char text[33]) {
  uint8_t hash[16];
  if (lt_dataset_hash(dataset, hash) != LT_OK) return;
  for (int i = 0; i < 16; ++i) std::snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

class Training {
 public:
  explicit Training(const TrainOptions& options) : options_(options), checkpoints_(options) {}
  int run();

 private:
  bool set_up();
  bool open_session();
  bool count_skipped();
  bool resume();
  bool open_log();
  void announce() const;
  void steps();
  uint64_t steps_wanted() const;
  bool finish_epoch(const lt_report& train, Progress* progress);
  bool is_over(const lt_report& place) const;
  lt_report timed(lt_report report) const;
  void save();
  void hash_data();
  void log_mistakes();
  void close();
  bool fail(lt_status status, Stage stage);
  int exit_status() const;

  const TrainOptions& options_;
  FilePtr resumed_;  // what the configuration points to
  PlanPtr plan_;
  DataSource source_;
  SessionPtr session_;  // after what it uses, so that it is freed first
  RunFacts facts_;
  RunEnd end_;
  RunLog log_;
  EventFile events_;
  Checkpoints checkpoints_;
  lt_report resumed_place_ = sized<lt_report>();
  int resumed_evaluated_ = 0;
  StepTimes step_times_;
  AnonymousPeak memory_;
  StandardOutput out_;
  ExitCode code_ = ExitCode::ok;
  int stopped_by_ = 0;
  std::string saved_, error_;
};

bool Training::fail(lt_status status, Stage stage) {
  code_ = exit_code(status, stage);
  error_ = lt_last_error();
  if (error_.empty()) error_ = lt_status_name(status);
  complain("%s", error_.c_str());
  return false;
}

bool Training::set_up() {
  if (options_.log_every != 0 && options_.log.empty() && options_.tensorboard.empty()) {
    complain("--log-every needs --log or --tensorboard: there is nothing to write to");
    code_ = ExitCode::usage;
    return false;
  }
  lt_config config = make_config(options_);
  if (!options_.resume.empty() && !resume_config(options_, &resumed_, &config, &code_)) return false;
  lt_plan* plan = nullptr;
  if (const lt_status status = lt_plan_create(&config, &plan)) return fail(status, Stage::plan);
  plan_.reset(plan);
  if (options_.plan || options_.print_recipe) {
    const lt_status status = print_plan(plan, options_, &out_);
    return status == LT_OK || fail(status, Stage::plan);
  }

  for (const auto& [option, path] : {std::pair("--save", &options_.save), std::pair("--log", &options_.log)}) {
    if (check_output_path(option, *path)) continue;
    code_ = ExitCode::io;
    return false;
  }
  facts_.plan = sized<lt_plan_info>();
  lt_memory memory = sized<lt_memory>();
  if (const lt_status status = lt_plan_get(plan, &facts_.plan)) return fail(status, Stage::plan);
  if (const lt_status status = lt_plan_memory(plan, &memory)) return fail(status, Stage::plan);
  if (facts_.plan.inference != 0) {
    complain("model %s is for inference alone ([inference] in its recipe): it cannot be trained", facts_.plan.model);
    code_ = ExitCode::usage;
    return false;
  }
  std::string data = options_.data;
  if (const Fetched texts = prepare_texts_once(facts_.plan.data, &data, options_.quiet); texts.result != Fetched::ok) {
    code_ = exit_code_of(texts);
    return false;
  }
  if (const lt_status status = open_data(facts_.plan.data, data, &source_)) return fail(status, Stage::data);
  facts_.command = options_.command;
  facts_.model = short_model(options_.command, facts_.plan.model);
  facts_.data = source_.train_info.name;
  facts_.arena_bytes = memory.arena_bytes;
  facts_.train_samples = source_.train_info.count;
  facts_.test_samples = source_.test_info.count;
  facts_.cut_train_samples = source_.train_info.cut;
  facts_.cut_test_samples = source_.test_info.cut;
  install_signal_handlers(source_.folder.c_str());
  if (!options_.quiet) announce();
  return open_session();
}

void Training::announce() const {
  const lt_plan_info& plan = facts_.plan;
  say_device(plan, facts_.data);
  say("data: %s", source_.description.c_str());
  if (facts_.cut_train_samples + facts_.cut_test_samples != 0)
    say("data: the last %u time steps of samples that have more: of %s of training, %s of testing",
        source_.train_info.height, format_count_of(facts_.cut_train_samples, "sample").c_str(),
        format_count_of(facts_.cut_test_samples, "sample").c_str());
  const std::string batch =
      plan.batch == 0 ? "whole set (" + format_count(plan.micro_batch) + " at a time)" : format_count(plan.batch);
  char rate[64];
  std::snprintf(rate, sizeof rate, plan.momentum > 0 ? "lr %g, momentum %g" : "lr %g", plan.lr, plan.momentum);
  say("model: %s, %s parameters, batch %s, %s, %s, epochs %u, arena %s", facts_.model.c_str(),
      format_count(plan.parameters).c_str(), batch.c_str(), plan.optimizer, rate, plan.epochs,
      format_bytes(facts_.arena_bytes).c_str());
}

bool Training::open_session() {
  lt_session* session = nullptr;
  if (const lt_status status = lt_session_create(plan_.get(), nullptr, 0, &session)) return fail(status, Stage::session);
  session_.reset(session);
  if (const lt_status status = lt_session_bind(session, LT_TRAIN, source_.train.get())) return fail(status, Stage::data);
  if (const lt_status status = lt_session_bind(session, LT_TEST, source_.test.get())) return fail(status, Stage::data);
  if (!count_skipped()) return false;
  if (!options_.weights.empty()) {
    uint32_t ignored = 0;
    if (const lt_status status = lt_session_load_weights(session, options_.weights.c_str(), &ignored))
      return fail(status, Stage::weights);
    const std::string foreign = "; not the model's and ignored: " + format_count_of(ignored, "tensor");
    if (!options_.quiet) say("weights: %s%s", options_.weights.c_str(), ignored != 0 ? foreign.c_str() : "");
  }
  if (!options_.resume.empty() && !resume()) return false;
  if (const lt_status status = checkpoints_.open(session)) return fail(status, Stage::save);
  if (const char* const words = source_.train_info.vocabulary_hash; *words != '\0' && !options_.save.empty())
    keep_vocabulary(source_.folder, words, options_.save);
  return open_log();
}

bool Training::count_skipped() {
  for (const lt_split split : {LT_TRAIN, LT_TEST}) {
    uint64_t count = 0, first = 0;
    if (const lt_status status = lt_session_skipped(session_.get(), split, &count, &first))
      return fail(status, Stage::session);
    (split == LT_TRAIN ? facts_.skipped_train_samples : facts_.skipped_test_samples) = count;
    (split == LT_TRAIN ? facts_.train_samples : facts_.test_samples) -= count;
    if (count != 0 && !options_.quiet)
      say("data: %s of the %s set left out, the first one number %" PRIu64, format_count_of(count, "sample").c_str(),
          split == LT_TRAIN ? "training" : "test", first);
  }
  return true;
}

bool Training::resume() {
  const char* const path = options_.resume.c_str();
  if (const lt_status status = lt_session_load(session_.get(), path)) return fail(status, Stage::weights);
  if (const lt_status status = lt_session_place(session_.get(), &resumed_place_, &resumed_evaluated_))
    return fail(status, Stage::session);
  end_.steps = facts_.resumed_step = resumed_place_.step;
  const bool ended = resumed_place_.batch == resumed_place_.batches;
  end_.epochs = resumed_place_.epoch - (ended ? 0 : 1);
  if (const char* const best = lt_file_text(resumed_.get(), "best_epoch"); best != nullptr && *best != '0') {
    const char* const accuracy = lt_file_text(resumed_.get(), "best_test_accuracy");
    end_.best_epoch = std::strtoull(best, nullptr, 10);
    end_.best_test_accuracy = accuracy != nullptr ? std::strtod(accuracy, nullptr) : -1;
  }
  if (!options_.quiet) {
    say("resumed: %s, after step %" PRIu64 " (epoch %" PRIu64 ", step %" PRIu64 " of %" PRIu64 ")", path,
        resumed_place_.step, resumed_place_.epoch, resumed_place_.batch, resumed_place_.batches);
    if (is_over(resumed_place_))
      say("nothing is left to do: --epochs and --steps count from the beginning of the training");
  }
  resumed_.reset();
  return true;
}

bool Training::open_log() {
  if (!options_.log.empty() && !log_.open(options_.log, !options_.resume.empty())) {
    complain("cannot open the run log %s: %s", options_.log.c_str(), std::strerror(errno));
    code_ = ExitCode::io;
    return false;
  }
  if (!options_.tensorboard.empty() && !events_.open(options_.tensorboard)) {
    complain("--tensorboard: cannot make a file in %s: %s", options_.tensorboard.c_str(), std::strerror(errno));
    code_ = ExitCode::io;
    return false;
  }
  log_.run(facts_);
  log_.plan(plan_.get());
  return true;
}

// Whether the training ends where it stands, the evaluation of its last epoch apart.
bool Training::is_over(const lt_report& place) const {
  return (place.batch == place.batches && place.epoch >= facts_.plan.epochs) ||
         (options_.steps != 0 && place.step >= options_.steps);
}

// Without the samples from before a resume, which its times are not of.
lt_report Training::timed(lt_report report) const {
  if (facts_.resumed_step != 0 && report.epoch == resumed_place_.epoch && resumed_place_.batch != resumed_place_.batches)
    report.epoch_samples -= resumed_place_.epoch_samples;
  return report;
}

// Evaluates, records and shows a finished epoch. False where the training ends by it.
bool Training::finish_epoch(const lt_report& train, Progress* progress) {
  lt_report test = sized<lt_report>();
  progress->testing(train);
  const lt_status status = lt_session_eval(session_.get(), LT_TEST, &test);
  if (status == LT_STOPPED) return false;
  if (status != LT_OK) return fail(status, Stage::training);
  end_.epochs = train.epoch;
  end_.train_accuracy = train.epoch_accuracy;
  end_.test_accuracy = test.accuracy;
  if (test.accuracy > end_.best_test_accuracy) {
    end_.best_test_accuracy = test.accuracy;
    end_.best_epoch = train.epoch;
  }
  log_.epoch(timed(train), test);
  events_.epoch(timed(train), test);
  progress->epoch(timed(train), test);
  if (train.epoch == 1) hash_data();  // the files have just been read: they lie in memory
  memory_.sample_sometimes();
  return train.epoch < facts_.plan.epochs;
}

// Up to the next step whose loss is logged or after which is saved, or to the last one.
uint64_t Training::steps_wanted() const {
  uint64_t wanted = UINT64_MAX;
  if (options_.steps != 0) wanted = options_.steps - end_.steps;
  if (options_.log_every != 0) wanted = std::min(wanted, options_.log_every - end_.steps % options_.log_every);
  wanted = std::min(wanted, checkpoints_.steps_to_next(end_.steps));
  // The first step apart: its time since the start of the program is a figure of its own.
  return step_times_.count() == 0 ? 1 : wanted;
}

void Training::steps() {
  Progress progress(options_.quiet, facts_.plan.epochs, options_.steps);
  lt_report report = sized<lt_report>();
  memory_.sample();
  stop_on_signal(session_.get());
  bool over = facts_.resumed_step != 0 && is_over(resumed_place_);
  // A pass that was finished, but not evaluated, before a stop.
  if (facts_.resumed_step != 0 && resumed_place_.batch == resumed_place_.batches && resumed_evaluated_ == 0)
    over = !finish_epoch(resumed_place_, &progress) || over;
  while (!over) {
    const lt_status status = lt_session_advance(session_.get(), steps_wanted(), &report);
    if (status == LT_STOPPED && report.step == end_.steps) break;  // the stop came before the step
    if (status != LT_OK && status != LT_STOPPED) {
      fail(status, Stage::training);
      break;
    }
    end_.steps = report.step;
    if (step_times_.count() == 0) end_.first_step_seconds = seconds_since_exec();
    if (step_times_.count() < 2) memory_.sample();
    step_times_.add(report.seconds, report.steps);
    if (options_.log_every != 0 && report.step % options_.log_every == 0) {
      log_.step(report);
      events_.step(report);
    }
    if (received_signal() != 0) break;
    if (report.batch == report.batches) {
      over = !finish_epoch(report, &progress);
      if (over) break;
    } else {
      progress.step(timed(report));
    }
    checkpoints_.step(report.step);
    if (options_.steps != 0 && report.step >= options_.steps) break;
  }
  clear_live_line();
  if (code_ == ExitCode::ok) stopped_by_ = received_signal();
}

// The hash of megabytes takes milliseconds, so it is left until the first epoch or the training is over.
void Training::hash_data() {
  if ((!log_.is_open() && !options_.json) || *end_.data_hash != '\0') return;
  write_hash(source_.train.get(), end_.data_hash);
  write_hash(source_.test.get(), end_.test_data_hash);
  log_.set_data_hash(end_.data_hash);
}

// Of a training that came to its end and tested its model: whoever stops early, or runs but a few steps, is not kept
// waiting.
void Training::log_mistakes() {
  const bool tested = end_.epochs != 0 && end_.epochs == facts_.plan.epochs;
  if (!log_.is_open() || code_ != ExitCode::ok || stopped_by_ != 0 || !tested || !are_images(source_.test_info)) return;
  std::vector<Mistake> mistakes;
  const lt_status status =
      find_mistakes(session_.get(), source_.test.get(), source_.test_info, facts_.plan.micro_batch, &mistakes);
  if (status != LT_OK) {
    fail(status, Stage::training);
  } else {
    log_.mistakes(mistakes, source_.test.get(), source_.test_info);
  }
}

void Training::save() {
  // Where data could not be read any more, the state is that of the last whole step.
  const bool data_lost = code_ == ExitCode::io || code_ == ExitCode::data;
  const char* const file = options_.save.c_str();
  if (!options_.save.empty() && end_.steps > 0 && (code_ == ExitCode::ok || data_lost)) {
    if (const lt_status status = checkpoints_.finish(end_.steps)) {
      fail(status, Stage::save);
    } else {
      saved_ = options_.save;
      if (data_lost) complain("the state after step %" PRIu64 " is in %s", end_.steps, file);
    }
    memory_.sample();
  } else if (checkpoints_.saved_step() != 0 && lt_session_checkpoint_finish(session_.get()) == LT_OK) {
    complain("the last checkpoint, after step %" PRIu64 ", is %s", checkpoints_.saved_step(), file);
  }
  stop_on_signal(nullptr);  // a signal that comes during the save does not break it off, a second one does
  if (stopped_by_ == 0) return;
  if (saved_.empty()) {
    complain("stopped by %s after step %" PRIu64 "; nothing was saved%s", signal_label(stopped_by_), end_.steps,
             options_.save.empty() ? " (--save FILE would)" : "");
  } else {
    complain("stopped by %s after step %" PRIu64 "; the state is in %s; to go on: %s", signal_label(stopped_by_),
             end_.steps, file, resume_line(options_, facts_.plan.model).c_str());
  }
}

void Training::close() {
  save();
  hash_data();
  end_.seconds = seconds_since_exec();
  log_mistakes();
  memory_.sample();
  if (!events_.close() && code_ == ExitCode::ok) code_ = ExitCode::io;
  if (log_.failed() && code_ == ExitCode::ok) code_ = ExitCode::io;
  end_.status = code_ != ExitCode::ok ? exit_name(code_) : stopped_by_ != 0 ? "stopped" : "ok";
  end_.exit_code = exit_status();
  end_.error = error_.c_str();
  if (step_times_.count() != 0) end_.median_step_seconds = step_times_.median();
  end_.arena_bytes = facts_.arena_bytes;
  end_.peak_rss_bytes = peak_resident_bytes();
  end_.peak_anonymous_bytes = memory_.bytes();
  JsonRecord record = end_record(facts_, end_);
  log_.end(record.line());
  if (!log_.close() && code_ == ExitCode::ok) code_ = ExitCode::io;
  if (options_.json) {
    out_.write(record.line());
  } else if (code_ == ExitCode::ok) {
    print_summary(facts_, end_, saved_, &out_);
    if (!options_.quiet && stopped_by_ == 0 && is_live_terminal(STDOUT_FILENO) && can_draw(source_.test_info)) {
      const lt_status status = draw_pictures(session_.get(), source_.test.get(), source_.test_info, &out_);
      if (status != LT_OK) fail(status, Stage::training);
    }
  }
}

int Training::exit_status() const {
  return code_ == ExitCode::ok && stopped_by_ != 0 ? exit_status_of_signal(stopped_by_) : static_cast<int>(code_);
}

int Training::run() {
  if (set_up() && !options_.plan && !options_.print_recipe) {
    steps();
    close();
  }
  if (!out_.close() && code_ == ExitCode::ok) code_ = ExitCode::io;
  return exit_status();
}

}  // namespace

int train(const TrainOptions& options) { return Training(options).run(); }

}  // namespace lt::tool
