// Terminal queries and output in fixed buffers; owns no memory. Main thread only.
#include "tools/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/text.h"

namespace lt::tool {
namespace {

constexpr size_t line_bytes = 2048;
bool live_line_drawn = false;

size_t clamp_length(int formatted, size_t room) {
  return formatted < 0 ? 0 : std::min(static_cast<size_t>(formatted), room - 1);
}

void write_line(const char* prefix, const char* format, va_list arguments) {
  char line[line_bytes];
  size_t length = clamp_length(std::snprintf(line, sizeof line, "%s", prefix), sizeof line);
  length +=
      clamp_length(std::vsnprintf(line + length, sizeof line - length - 1, format, arguments), sizeof line - length - 1);
  line[length++] = '\n';
  clear_live_line();
  write_all(STDERR_FILENO, line, length);
}

}  // namespace

bool is_live_terminal(int fd) {
  if (isatty(fd) == 0) return false;
  const char* const term = std::getenv("TERM");
  return term != nullptr && *term != '\0' && std::strcmp(term, "dumb") != 0;
}

bool wants_color(int fd) {
  const char* const no_color = std::getenv("NO_COLOR");
  return is_live_terminal(fd) && (no_color == nullptr || *no_color == '\0');
}

unsigned terminal_columns(int fd) {
  winsize window{};
  return ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
}

bool locale_is_utf8() {
  for (const char* const name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    for (const char* const suffix : {"UTF-8", "utf-8", "UTF8", "utf8"})
      if (std::strstr(value, suffix) != nullptr) return true;
    return false;
  }
  return false;
}

int write_all(int fd, const void* bytes, size_t size) {
  const char* next = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t written = write(fd, next, size);
    if (written > 0) {
      next += written;
      size -= static_cast<size_t>(written);
    } else if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      pollfd waiting{fd, POLLOUT, 0};
      if (poll(&waiting, 1, -1) < 0 && errno != EINTR) return errno;
    } else if (written < 0 && errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

void say(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  write_line("", format, arguments);
  va_end(arguments);
}

void complain(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  write_line("lean-train: ", format, arguments);
  va_end(arguments);
}

void draw_live_line(const char* text) {
  char line[2048];
  // The last column stays free: some terminals wrap when it is written.
  const size_t bytes = bytes_of_columns(text, terminal_columns(STDERR_FILENO) - 1);
  const size_t room = std::min(bytes, sizeof line - 8);
  const int length = std::snprintf(line, sizeof line, "\r%.*s\033[K", static_cast<int>(room), text);
  write_all(STDERR_FILENO, line, clamp_length(length, sizeof line));
  live_line_drawn = true;
}

void clear_live_line() {
  if (!live_line_drawn) return;
  write_all(STDERR_FILENO, "\r\033[K", 4);
  live_line_drawn = false;
}

void StandardOutput::write(std::string_view text) {
  clear_live_line();
  if (error_ == 0) error_ = write_all(STDOUT_FILENO, text.data(), text.size());
}

void StandardOutput::print(const char* format, ...) {
  char line[line_bytes];
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  write({line, clamp_length(length, sizeof line)});
}

bool StandardOutput::close() {
  if (error_ == 0 || error_ == EPIPE || error_ == EBADF) return true;
  complain("cannot write the results to stdout: %s", std::strerror(error_));
  error_ = 0;
  return false;
}

}  // namespace lt::tool
