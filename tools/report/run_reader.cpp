// Lines to records to a Run. See run_reader.h.
#include "tools/report/run_reader.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>

#include "tools/report/flat_record.h"
#include "tools/terminal.h"

namespace lt::tool {
namespace {

constexpr size_t line_limit = 1 << 20;               // bytes; our own records are below 8192
constexpr uint64_t whole_limit = uint64_t{1} << 53;  // exact as a double, and room for sums of two
constexpr uint64_t ops_limit = 100000;
constexpr uint32_t pixels_limit = 4096;  // of a picture's side
constexpr uint64_t schema = 1;

// Reads one log. A record's function returns "" or what is wrong with the record.
class RunReader {
 public:
  RunReader(const std::string& path, std::vector<Run>* runs) : path_(path), runs_(runs) {}
  ExitCode read();

 private:
  ExitCode take(std::string_view line, bool is_whole_line);
  ExitCode refuse(const std::string& what) const;
  std::string run_record();
  std::string step_record();
  std::string epoch_record();
  std::string op_record();
  std::string plan_record();
  std::string mistakes_record();
  std::string end_record();

  // Fields. The first one that is missing or of the wrong kind is kept in wrong_.
  void wrong(const char* name, const char* expected) {
    if (wrong_.empty()) wrong_ = std::string("the field \"") + name + "\" should be " + expected;
  }
  std::string text(const char* name, bool needed = true);
  double number(const char* name, bool needed = true);
  uint64_t whole(const char* name, uint64_t limit = whole_limit);

  void begin_run();
  void end_run();

  const std::string& path_;
  std::vector<Run>* runs_;
  Run* run_ = nullptr;  // the one whose records are read: the last of runs_
  FlatRecord record_;
  size_t line_ = 0;
  std::string wrong_;
  bool ended_ = false;
};

std::string RunReader::text(const char* name, bool needed) {
  const FlatRecord::Field* const field = record_.find(name);
  if (field != nullptr && field->kind == FlatRecord::Kind::text) return field->text;
  if (needed || (field != nullptr && field->kind != FlatRecord::Kind::null)) wrong(name, "a text");
  return "";
}

double RunReader::number(const char* name, bool needed) {
  const FlatRecord::Field* const field = record_.find(name);
  if (field != nullptr && field->kind == FlatRecord::Kind::number) return field->number;
  if (field != nullptr ? field->kind != FlatRecord::Kind::null : needed) wrong(name, "a number or null");
  return no_number;
}

uint64_t RunReader::whole(const char* name, uint64_t limit) {
  const FlatRecord::Field* const field = record_.find(name);
  if (field != nullptr && field->kind == FlatRecord::Kind::number && field->is_whole && field->whole <= limit)
    return field->whole;
  wrong(name, "a whole number within bounds");
  return 0;
}

std::string setting_text(const FlatRecord::Field& field) {
  switch (field.kind) {
    case FlatRecord::Kind::text: return field.text;
    case FlatRecord::Kind::boolean: return field.whole != 0 ? "true" : "false";
    case FlatRecord::Kind::null: return "none";
    case FlatRecord::Kind::skipped: return "...";
    case FlatRecord::Kind::number: break;
  }
  char digits[40];
  std::snprintf(digits, sizeof digits, "%.10g", field.number);
  return field.is_whole ? std::to_string(field.whole) : digits;
}

// Settings that say nothing about features, which are computed and not trained.
bool is_of_training(std::string_view setting) {
  return setting == "epochs" || setting == "optimizer" || setting == "lr" || setting == "momentum" ||
         setting == "train_samples";
}

void RunReader::begin_run() {
  run_ = &runs_->emplace_back();
  run_->path = path_;
  run_->name = path_.substr(path_.find_last_of('/') + 1);
  if (run_->name.size() > 6 && run_->name.ends_with(".jsonl")) run_->name.resize(run_->name.size() - 6);
  ended_ = false;
}

void RunReader::end_run() {
  if (!ended_) {
    run_->status = "unfinished";
    run_->notes.push_back("the log has no end record: the training still runs, or was killed");
  }
  for (const TensorRecord& tensor : run_->tensors)
    if (tensor.last_op >= run_->ops.size()) {  // without operations there is no axis to draw tensors on
      run_->notes.push_back("the plan in the log is not whole and is not drawn");
      run_->tensors.clear();
      break;
    }
}

std::string RunReader::run_record() {
  const uint64_t found = whole("schema");
  if (wrong_.empty() && found != schema)
    return "the log has schema " + std::to_string(found) + ", and this program reads 1; use the version that wrote it";
  const std::string side = text("side", false);
  if (!side.empty() && !run_->settings.empty()) {  // the next side of a comparison, not a training that is taken up again
    end_run();
    begin_run();
  }
  run_->side = side;
  run_->compared_with = text("compared_with", false);
  if (!side.empty()) run_->name = side;
  run_->command = text("command");
  run_->model = text("model");
  run_->device = text("device");
  run_->device_name = text("device_name", false);
  run_->kernels = text("kernels", false);
  run_->precision = text("precision", false);
  run_->data = text("data", false);
  run_->batch = number("batch", false);
  run_->arena_bytes = number("arena_bytes", false);
  const FlatRecord::Field* const train_samples = record_.find("train_samples");
  const bool is_inference = train_samples != nullptr && train_samples->is_whole && train_samples->whole == 0;
  if (run_->settings.empty()) {
    for (size_t i = 0; i < record_.size(); ++i)
      if (record_[i].name != "type" && record_[i].name != "schema" && !(is_inference && is_of_training(record_[i].name)))
        run_->settings.emplace_back(record_[i].name, setting_text(record_[i]));
  } else {
    run_->notes.push_back("the training was taken up again; settings are those of the first part");
  }
  run_->ops.clear();  // a training that is taken up again brings its plan once more
  run_->tensors.clear();
  ended_ = false;
  return wrong_;
}

std::string RunReader::step_record() {
  run_->steps.push_back({whole("step"), number("loss", false), number("seconds"), number("loss_difference", false),
                         number("weights_distance", false)});
  return wrong_;
}

std::string RunReader::epoch_record() {
  run_->epochs.push_back({whole("epoch"), whole("steps"), number("train_loss"), number("train_accuracy"),
                          number("test_loss"), number("test_accuracy"), number("seconds"), number("samples_per_second")});
  return wrong_;
}

std::string RunReader::op_record() {
  run_->ops.push_back({text("layer"), text("operation"), text("kernel", false), whole("scratch_bytes")});
  if (run_->ops.size() > ops_limit) return "there are too many operations";
  return wrong_;
}

std::string RunReader::plan_record() {
  run_->tensors.push_back({text("tensor"), text("segment", false), text("part_of", false), whole("offset"), whole("bytes"),
                           whole("first_op", ops_limit), whole("last_op", ops_limit)});
  const TensorRecord& tensor = run_->tensors.back();
  if (wrong_.empty() && tensor.first_op > tensor.last_op) return "\"last_op\" comes before \"first_op\"";
  return wrong_;
}

// RFC 4648 without line breaks. False where a character does not belong there or the length is wrong.
bool decode_base64(const std::string& text, std::vector<uint8_t>* bytes) {
  if (text.size() % 4 != 0) return false;
  uint32_t group = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool padding = c == '=' && i + 2 >= text.size();
    const int digit = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                      : padding              ? 0
                                             : -1;
    if (digit < 0) return false;
    group = group << 6 | static_cast<uint32_t>(digit);
    if (i % 4 != 3) continue;
    for (int shift = 16; shift >= 0; shift -= 8) bytes->push_back(static_cast<uint8_t>(group >> shift));
    group = 0;
  }
  const auto padding = static_cast<size_t>(std::count(text.begin(), text.end(), '='));
  bytes->resize(bytes->size() - std::min(padding, bytes->size()));
  return true;
}

std::string RunReader::mistakes_record() {
  MistakeRecord mistake;
  mistake.index = whole("index");
  mistake.label = whole("label");
  mistake.predicted = whole("predicted");
  mistake.loss = number("loss", false);
  mistake.probability = number("probability", false);
  if (record_.find("pixels") != nullptr) {
    mistake.channels = static_cast<uint32_t>(whole("channels", 3));
    mistake.height = static_cast<uint32_t>(whole("height", pixels_limit));
    mistake.width = static_cast<uint32_t>(whole("width", pixels_limit));
    const uint64_t expected = uint64_t{mistake.channels} * mistake.height * mistake.width;
    if (!decode_base64(text("pixels"), &mistake.pixels) || mistake.pixels.size() != expected ||
        (mistake.channels != 1 && mistake.channels != 3))
      wrong("pixels", "the base64 of channels x height x width bytes");
  }
  run_->mistakes.push_back(std::move(mistake));
  return wrong_;
}

std::string RunReader::end_record() {
  run_->status = text("status");
  run_->seconds = number("seconds", false);
  run_->first_step_seconds = number("first_step_seconds", false);
  run_->median_step_seconds = number("median_step_seconds", false);
  run_->best_test_accuracy = number("best_test_accuracy", false);
  run_->peak_anonymous_bytes = number("peak_anonymous_bytes", false);
  run_->peak_rss_bytes = number("peak_rss_bytes", false);
  if (const std::string error = text("error", false); !error.empty()) run_->notes.push_back("it failed: " + error);
  ended_ = true;
  return wrong_;
}

ExitCode RunReader::refuse(const std::string& what) const {
  complain("%s, line %zu: %s; expected a run log of lean-train (--log FILE.jsonl)", path_.c_str(), line_, what.c_str());
  return ExitCode::data;
}

ExitCode RunReader::take(std::string_view line, bool is_whole_line) {
  ++line_;
  wrong_.clear();
  if (!record_.parse(line)) {
    if (is_whole_line || line_ == 1) return refuse("this is no JSON object: " + record_.why());
    run_->notes.push_back("the last line of the log (" + std::to_string(line_) +
                          ") is cut short and was left out: the program was killed while it wrote, or still writes");
    return ExitCode::ok;
  }
  const std::string type = text("type");
  if (!wrong_.empty()) return refuse(wrong_);
  if (line_ == 1 && type != "run") return refuse("the first record is of type \"" + type + "\" instead of \"run\"");
  std::string problem;
  if (type == "run") problem = run_record();
  if (type == "step") problem = step_record();
  if (type == "epoch") problem = epoch_record();
  if (type == "op") problem = op_record();
  if (type == "plan") problem = plan_record();
  if (type == "mistakes") problem = mistakes_record();
  if (type == "end") problem = end_record();
  return problem.empty() ? ExitCode::ok : refuse(problem);
}

ExitCode RunReader::read() {
  begin_run();
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path_.c_str(), "re"));
  std::vector<char> block(1 << 18);
  std::string line;
  bool failed = file == nullptr;
  while (!failed) {
    errno = 0;
    const size_t got = std::fread(block.data(), 1, block.size(), file.get());
    failed = std::ferror(file.get()) != 0;
    if (got == 0) break;
    const char* next = block.data();
    const char* const end = next + got;
    while (next != end) {
      const auto* const newline = static_cast<const char*>(std::memchr(next, '\n', static_cast<size_t>(end - next)));
      line.append(next, newline != nullptr ? newline : end);
      if (line.size() > line_limit) {
        ++line_;
        return refuse("the line is longer than " + std::to_string(line_limit) + " bytes");
      }
      if (newline == nullptr) break;
      if (const ExitCode code = take(line, true); code != ExitCode::ok) return code;
      line.clear();
      next = newline + 1;
    }
  }
  if (failed) {
    complain("cannot read the run log %s: %s", path_.c_str(), std::strerror(errno));
    return ExitCode::io;
  }
  if (!line.empty())
    if (const ExitCode code = take(line, false); code != ExitCode::ok) return code;
  if (line_ == 0) {
    complain("%s is empty; expected a run log of lean-train (--log FILE.jsonl)", path_.c_str());
    return ExitCode::data;
  }
  end_run();
  return ExitCode::ok;
}

double median(std::vector<double> values) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  if (values.empty()) return no_number;
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

}  // namespace

std::string Run::recipe() const {
  return model.find('/') != std::string::npos || command == model || command == "train" ? model : command + "/" + model;
}

double Run::samples_per_second() const {
  std::vector<double> rates;
  for (const EpochRecord& epoch : epochs) rates.push_back(epoch.samples_per_second);
  const double rate = median(std::move(rates));
  return std::isfinite(rate) ? rate : batch / median_step_seconds;
}

ExitCode read_runs(const std::string& path, std::vector<Run>* runs) { return RunReader(path, runs).read(); }

}  // namespace lt::tool
