// The run log's records. Main thread.
#include "tools/run_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "tools/terminal.h"

namespace lt::tool {
namespace {

constexpr uint64_t schema = 1;
constexpr size_t hash_width = 34;  // 32 hexadecimal digits in quotes

double or_null(double value) { return value < 0 ? std::numeric_limits<double>::quiet_NaN() : value; }

JsonRecord& hash_member(JsonRecord& record, const char* name, const char* hash) {
  return *hash != '\0' ? record.text(name, hash) : record.null(name);
}

JsonRecord& bytes_member(JsonRecord& record, const char* name, uint64_t bytes) {
  return bytes != 0 ? record.whole(name, bytes) : record.null(name);
}

JsonRecord step_record(const lt_report& report) {
  JsonRecord record("step");
  record.whole("step", report.step).number("loss", report.loss).number("seconds", report.seconds);
  record.whole("epoch", report.epoch).number("accuracy", report.accuracy);
  return record;
}

}  // namespace

RunLog::~RunLog() {
  if (fd_ >= 0) ::close(fd_);
}

bool RunLog::open(const std::string& path, bool append) {
  path_ = path;
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | (append ? 0 : O_TRUNC), 0666);
  if (fd_ >= 0 && append) begin_ = std::max<int64_t>(lseek(fd_, 0, SEEK_END), 0);  // a pipe has no end to go to
  return fd_ >= 0;
}

void RunLog::keep_failure(int error) {
  if (!failed_)
    complain("cannot write the run log %s: %s; the training goes on without it", path_.c_str(), std::strerror(error));
  failed_ = true;
}

void RunLog::write(std::string_view record) {
  if (fd_ < 0 || failed_) return;
  if (const int error = write_all(fd_, record.data(), record.size())) keep_failure(error);
}

void RunLog::run(const RunFacts& facts) {
  if (fd_ < 0) return;
  const uint32_t version = lt_version();
  char version_text[40];
  std::snprintf(version_text, sizeof version_text, "%u.%u.%u", version / 10000, version / 100 % 100, version % 100);
  JsonRecord record("run");
  record.whole("schema", schema).text("version", version_text).text("commit", lt_build_commit());
  record.text("command", facts.command).text("model", facts.model).whole("parameters", facts.plan.parameters);
  record.text("device", facts.plan.device).text("device_name", facts.plan.device_name);
  record.text("kernels", facts.plan.kernels).text("precision", facts.plan.precision);
  record.whole("threads", facts.plan.threads).whole("seed", facts.plan.seed);
  // A full-batch model's batch is its training set.
  record.whole("batch", facts.plan.batch != 0 ? facts.plan.batch : facts.train_samples);
  record.whole("micro_batch", facts.plan.micro_batch).whole("epochs", facts.plan.epochs);
  record.text("optimizer", facts.plan.optimizer).number("lr", facts.plan.lr).number("momentum", facts.plan.momentum);
  record.text("data", facts.data);
  hash_offset_ = static_cast<size_t>(begin_) + record.reserve("data_hash", hash_width);
  record.whole("train_samples", facts.train_samples).whole("test_samples", facts.test_samples);
  if (facts.skipped_train_samples != 0) record.whole("skipped_train_samples", facts.skipped_train_samples);
  if (facts.skipped_test_samples != 0) record.whole("skipped_test_samples", facts.skipped_test_samples);
  if (facts.cut_train_samples != 0) record.whole("cut_train_samples", facts.cut_train_samples);
  if (facts.cut_test_samples != 0) record.whole("cut_test_samples", facts.cut_test_samples);
  record.whole("arena_bytes", facts.arena_bytes);
  if (facts.resumed_step != 0) record.whole("resumed_step", facts.resumed_step);
  if (facts.weights_bytes != 0) record.whole("weights_bytes", facts.weights_bytes);
  if (!facts.side.empty()) record.text("side", facts.side);
  if (!facts.base.empty()) record.text("compared_with", facts.base);
  write(record.line());
}

void RunLog::set_data_hash(const char* hash) {
  if (fd_ < 0 || failed_ || hash_offset_ == 0 || *hash == '\0') return;
  char text[hash_width + 1];
  const int length = std::snprintf(text, sizeof text, "\"%s\"", hash);
  if (length != static_cast<int>(hash_width)) return;
  // A pipe cannot be gone back in; there the hash stands in the end record alone.
  if (pwrite(fd_, text, hash_width, static_cast<off_t>(hash_offset_)) < 0 && errno != ESPIPE) keep_failure(errno);
}

void RunLog::plan(const lt_plan* plan) {
  if (fd_ < 0) return;
  std::string text;
  const auto take = [](void* user, const void* bytes, size_t n) {
    static_cast<std::string*>(user)->append(static_cast<const char*>(bytes), n);
    return 0;
  };
  if (lt_plan_describe(plan, LT_JSON, take, &text) != LT_OK) return;
  const nlohmann::json root = nlohmann::json::parse(text);
  const auto& ops = root["ops"];
  for (size_t i = 0; i < ops.size(); ++i) {
    JsonRecord record("op");
    record.whole("op", i).text("layer", ops[i]["layer"].get<std::string>());
    record.text("operation", ops[i]["operation"].get<std::string>()).text("kernel", ops[i]["kernel"].get<std::string>());
    record.whole("scratch_bytes", ops[i]["scratch_bytes"].get<uint64_t>());
    write(record.line());
  }
  const auto tensor = [&](const std::string& name, const std::string& segment, const nlohmann::json& place, uint64_t first,
                          uint64_t last) {
    JsonRecord record("plan");
    record.text("tensor", name).whole("offset", place["offset"].get<uint64_t>());
    record.whole("bytes", place["bytes"].get<uint64_t>()).whole("first_op", first).whole("last_op", last);
    record.text("segment", segment);
    if (place.contains("part_of")) record.text("part_of", place["part_of"].get<std::string>());
    write(record.line());
  };
  for (const auto& place : root["tensors"])
    tensor(place["name"], place["segment"], place, place["first_op"].get<uint64_t>(), place["last_op"].get<uint64_t>());
  for (const auto& segment : root["segments"])
    if (segment["name"] == "scratch" && segment["bytes"] != 0)
      tensor("scratch", "scratch", segment, 0, ops.empty() ? 0 : ops.size() - 1);
}

void RunLog::mistakes(const std::vector<Mistake>& mistakes, const lt_dataset* test, const lt_dataset_info& info) {
  if (fd_ < 0) return;
  std::vector<uint8_t> pixels(info.sample_bytes);
  for (const Mistake& mistake : mistakes) {
    JsonRecord record("mistakes");
    record.whole("index", mistake.index).whole("label", mistake.label).whole("predicted", mistake.predicted);
    record.number("loss", mistake.loss).number("probability", static_cast<double>(mistake.probability));
    if (are_images(info) && lt_dataset_read(test, mistake.index, pixels.data(), nullptr) == LT_OK) {
      record.whole("channels", info.channels).whole("height", info.height).whole("width", info.width);
      record.base64("pixels", pixels.data(), pixels.size());
    }
    write(record.line());
  }
}

void RunLog::step(const lt_report& report) {
  if (fd_ < 0) return;
  JsonRecord record = step_record(report);
  write(record.line());
}

void RunLog::step(const lt_report& report, double loss_difference, double weights_distance) {
  if (fd_ < 0) return;
  JsonRecord record = step_record(report);
  record.number("loss_difference", loss_difference);
  if (!std::isnan(weights_distance)) record.number("weights_distance", weights_distance);
  write(record.line());
}

void RunLog::batch(uint64_t step, double seconds, uint32_t images) {
  if (fd_ < 0) return;
  JsonRecord record("step");
  record.whole("step", step).number("seconds", seconds).whole("images", images);
  write(record.line());
}

void RunLog::epoch(const lt_report& train, const lt_report& test) {
  if (fd_ < 0) return;
  JsonRecord record("epoch");
  record.whole("epoch", train.epoch).whole("steps", train.batches);
  record.number("train_loss", train.epoch_loss).number("train_accuracy", train.epoch_accuracy);
  record.number("test_loss", test.loss).number("test_accuracy", test.accuracy);
  record.number("seconds", train.epoch_seconds);
  record.number("samples_per_second", static_cast<double>(train.epoch_samples) / train.epoch_seconds);
  record.number("data_wait_seconds", train.epoch_data_wait_seconds).number("test_seconds", test.seconds);
  write(record.line());
}

void RunLog::end(std::string_view record) { write(record); }

bool RunLog::close() {
  if (fd_ >= 0 && ::close(fd_) != 0 && errno != EINTR) keep_failure(errno);
  fd_ = -1;
  return !failed_;
}

JsonRecord end_record(const RunFacts& facts, const RunEnd& end) {
  JsonRecord record("end");
  record.text("status", end.status).whole("exit_code", static_cast<uint64_t>(end.exit_code));
  if (*end.error != '\0') record.text("error", end.error);
  record.number("seconds", end.seconds).number("first_step_seconds", or_null(end.first_step_seconds));
  record.number("best_test_accuracy", or_null(end.best_test_accuracy));
  record.number("median_step_seconds", or_null(end.median_step_seconds));
  record.whole("arena_bytes", end.arena_bytes);
  bytes_member(record, "peak_rss_bytes", end.peak_rss_bytes);
  bytes_member(record, "peak_anonymous_bytes", end.peak_anonymous_bytes);
  record.whole("steps", end.steps).whole("epochs", end.epochs);
  end.best_epoch != 0 ? record.whole("best_epoch", end.best_epoch) : record.null("best_epoch");
  record.number("train_accuracy", or_null(end.train_accuracy)).number("test_accuracy", or_null(end.test_accuracy));
  record.text("command", facts.command).text("model", facts.model).text("device", facts.plan.device);
  record.text("kernels", facts.plan.kernels).text("precision", facts.plan.precision);
  record.whole("threads", facts.plan.threads).whole("seed", facts.plan.seed).text("data", facts.data);
  hash_member(record, "data_hash", end.data_hash);
  hash_member(record, "test_data_hash", end.test_data_hash);
  return record;
}

}  // namespace lt::tool
