// The program's clock. Written once, before there are threads; read by any.
#include "tools/process_clock.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace lt::tool {
namespace {

double start_seconds = 0;

double clock_seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// "RUNNING WAITING SLICES\n": the second number, in nanoseconds. 0 where the kernel does not count it.
double run_delay_seconds() {
  char text[128];
  const int fd = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return 0;
  text[length] = '\0';
  char* end = nullptr;
  std::strtoull(text, &end, 10);
  return static_cast<double>(std::strtoull(end, nullptr, 10)) * 1e-9;
}

}  // namespace

double monotonic_seconds() { return clock_seconds(CLOCK_MONOTONIC); }

void mark_process_start() {
  const double now = monotonic_seconds(), used = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
  start_seconds = now - used - run_delay_seconds();
}

double seconds_since_exec() { return monotonic_seconds() - start_seconds; }

}  // namespace lt::tool
