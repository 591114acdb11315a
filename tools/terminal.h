// The two output streams: whether a terminal is there and what it can show, messages for people, the one live line.
// Nothing here allocates; lines are put together in fixed buffers and written with write(2). Main thread only, apart from
// what signals.cpp uses.
#pragma once

#include <cstddef>
#include <string_view>

namespace lt::tool {

// A terminal that understands escapes (TERM is set and not "dumb").
bool is_live_terminal(int fd);
// The same, and NO_COLOR is not set.
bool wants_color(int fd);
// 80 where it cannot be told.
unsigned terminal_columns(int fd);
// True where the environment's locale says UTF-8.
bool locale_is_utf8();

// Writes everything, again after a signal or a short write. 0, or errno.
int write_all(int fd, const void* bytes, size_t size);

// A line on stderr, the live line taken away first.
void say(const char* format, ...) __attribute__((format(printf, 1, 2)));
// The same behind "lean-train: ", for errors and warnings.
void complain(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Replaces the live line on stderr, cut to the terminal's width. Only where is_live_terminal(2).
void draw_live_line(const char* text);
void clear_live_line();

// Results on stdout. A failure is kept, told by close(), and never ends the program: training goes on without a reader.
class StandardOutput {
 public:
  void write(std::string_view text);
  void print(const char* format, ...) __attribute__((format(printf, 2, 3)));
  // True where all was written or the reader went away; else says what failed.
  bool close();

 private:
  int error_ = 0;
};

}  // namespace lt::tool
