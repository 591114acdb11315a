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

constexpr size_t event_limit = 1024;  // bytes; ours have five scalars at most, of some 40 bytes each

// Bytes in the protocol buffers' wire form. What does not fit is cut, which the limit excludes.
class Wire {
 public:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) byte(static_cast<uint8_t>(value | 0x80));
    byte(static_cast<uint8_t>(value));
  }
  void key(unsigned field, unsigned type) { varint(field << 3 | type); }
  template <class T>
  void fixed(T value) {  // the hosts are little-endian
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    text({raw, sizeof value});
  }
  void text(std::string_view bytes) {
    for (const char c : bytes) byte(static_cast<uint8_t>(c));
  }
  void nested(unsigned field, std::string_view bytes) {
    key(field, 2);
    varint(bytes.size());
    text(bytes);
  }
  std::string_view view() const { return {bytes_, size_}; }

 private:
  void byte(uint8_t value) {
    if (size_ < sizeof bytes_) bytes_[size_++] = static_cast<char>(value);
  }
  char bytes_[event_limit];
  size_t size_ = 0;
};

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
  Wire event;
  event.key(1, 1);
  event.fixed(wall_time());
  event.nested(3, "brain.Event:2");
  write_record(event.view());
  return true;
}

void EventFile::write_record(std::string_view data) {
  if (fd_ < 0 || failed_) return;
  Wire length, record;
  length.fixed(uint64_t{data.size()});
  record.text(length.view());
  record.fixed(masked_crc(length.view()));
  record.text(data);
  record.fixed(masked_crc(data));
  const int error = write_all(fd_, record.view().data(), record.view().size());
  if (error == 0) return;
  failed_ = true;
  complain("cannot write %s: %s; the training goes on without it", path_.c_str(), std::strerror(error));
}

void EventFile::write(uint64_t step, const Scalar* scalars, size_t count) {
  if (fd_ < 0) return;
  Wire event, summary;
  for (size_t i = 0; i < count; ++i) {
    Wire value;
    value.nested(1, scalars[i].tag);
    value.key(2, 5);
    value.fixed(static_cast<float>(scalars[i].value));
    summary.nested(1, value.view());
  }
  event.key(1, 1);
  event.fixed(wall_time());
  event.key(2, 0);
  event.varint(step);
  event.nested(5, summary.view());
  write_record(event.view());
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
