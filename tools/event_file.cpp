// TFRecords of Events, byte by byte: see event_file.h.
#include "tools/event_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstring>

#include "tools/terminal.h"

namespace lt::tool {
namespace {

constexpr size_t event_bytes = 1024;  // ours have five scalars at most, of some 40 bytes each

constexpr std::array<uint32_t, 256> crc_table = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t rest = i;
    for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ (rest & 1 ? 0x82f63b78u : 0);
    table[i] = rest;
  }
  return table;
}();

uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

double wall_time() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = crc >> 8 ^ crc_table[(crc ^ static_cast<uint8_t>(c)) & 0xff];
  return ~crc;
}

EventFile::~EventFile() {
  if (fd_ >= 0) ::close(fd_);
}

bool EventFile::open(const std::string& folder) {
  if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) return false;
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) != 0 || *host == '\0') std::strcpy(host, "localhost");
  // TensorBoard takes files for events by this prefix, and reads them in the order of their names.
  path_ = folder + "/events.out.tfevents." + std::to_string(static_cast<uint64_t>(wall_time())) + "." + host + "." +
          std::to_string(getpid());
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) return false;
  for (ProtobufWriter* const writer : {&value_, &summary_, &event_, &record_}) writer->reserve(event_bytes);
  event_.real(1, wall_time());
  event_.text(3, "brain.Event:2");
  write_record(event_.view());
  return true;
}

void EventFile::write_record(std::string_view data) {
  if (fd_ < 0 || failed_) return;
  record_.clear();
  record_.raw(uint64_t{data.size()});
  record_.raw(masked_crc(record_.view()));
  record_.raw_text(data);
  record_.raw(masked_crc(data));
  const int error = write_all(fd_, record_.view().data(), record_.size());
  if (error == 0) return;
  failed_ = true;
  complain("cannot write %s: %s; the training goes on without it", path_.c_str(), std::strerror(error));
}

void EventFile::write(uint64_t step, const Scalar* scalars, size_t count) {
  if (fd_ < 0) return;
  summary_.clear();
  for (size_t i = 0; i < count; ++i) {
    value_.clear();
    value_.text(1, scalars[i].tag);
    value_.real(2, static_cast<float>(scalars[i].value));
    summary_.text(1, value_.view());
  }
  event_.clear();
  event_.real(1, wall_time());
  event_.integer(2, static_cast<int64_t>(step));
  event_.text(5, summary_.view());
  write_record(event_.view());
}

void EventFile::step(const lt_report& report) {
  const Scalar scalars[] = {
      {"step/loss", report.loss}, {"step/accuracy", report.accuracy}, {"step/seconds", report.seconds}};
  write(report.step, scalars, std::size(scalars));
}

void EventFile::epoch(const lt_report& train, const lt_report& test) {
  const Scalar scalars[] = {{"loss/train", train.epoch_loss},
                            {"loss/test", test.loss},
                            {"accuracy/train", train.epoch_accuracy},
                            {"accuracy/test", test.accuracy},
                            {"samples_per_second", static_cast<double>(train.epoch_samples) / train.epoch_seconds}};
  write(train.step, scalars, std::size(scalars));
}

bool EventFile::close() {
  if (fd_ >= 0 && ::close(fd_) != 0 && errno != EINTR && !failed_) {
    failed_ = true;
    complain("cannot write %s: %s", path_.c_str(), std::strerror(errno));
  }
  fd_ = -1;
  return !failed_;
}

}  // namespace lt::tool
