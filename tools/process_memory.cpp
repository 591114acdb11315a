// Memory figures from /proc, read into a fixed buffer. Any thread.
#include "tools/process_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "tools/process_clock.h"

namespace lt::tool {
namespace {

// The kB figure on the line that begins with `key`, in bytes; 0 where there is none.
uint64_t proc_figure_bytes(const char* path, std::string_view key) {
  char text[4096];
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  size_t length = 0;
  while (length < sizeof text) {
    const ssize_t got = read(fd, text + length, sizeof text - length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    length += static_cast<size_t>(got);
  }
  close(fd);
  std::string_view rest(text, length);
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.starts_with(key)) continue;
    const std::string_view figure = line.substr(std::min(line.find_first_of("0123456789"), line.size()));
    uint64_t kibibytes = 0;
    std::from_chars(figure.data(), figure.data() + figure.size(), kibibytes);
    return kibibytes * 1024;
  }
  return 0;
}

}  // namespace

uint64_t anonymous_bytes() { return proc_figure_bytes("/proc/self/smaps_rollup", "Anonymous:"); }

uint64_t peak_resident_bytes() { return proc_figure_bytes("/proc/self/status", "VmHWM:"); }

void AnonymousPeak::sample() {
  bytes_ = std::max(bytes_, anonymous_bytes());
  last_seconds_ = monotonic_seconds();
}

void AnonymousPeak::sample_sometimes() {
  if (monotonic_seconds() - last_seconds_ >= 0.5) sample();
}

}  // namespace lt::tool
