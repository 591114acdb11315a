// fork, exec, two pipes and a deadline: see child.h.
#include "tools/bench/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "tools/process_clock.h"

namespace lt::tool {
namespace {

struct Pipe {
  int ends[2] = {-1, -1};
  bool open() { return pipe2(ends, O_CLOEXEC) == 0; }
  void close_end(int end) {
    if (ends[end] >= 0) close(ends[end]);
    ends[end] = -1;
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
};

// "lean-train: what went wrong\n" among other lines: the last such sentence, or else the last line.
std::string last_sentence(const std::string& text) {
  std::string sentence, line;
  bool named = false;
  for (size_t at = 0; at < text.size(); at += line.size() + 1) {
    line = text.substr(at, text.find('\n', at) - at);
    constexpr std::string_view name = "lean-train: ";
    const bool names = line.starts_with(name);
    if (line.empty() || (named && !names)) continue;
    sentence = names ? line.substr(name.size()) : line;
    named = named || names;
  }
  return sentence;
}

[[noreturn]] void become(char* const* arguments, const Pipe& out, const Pipe& err, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it has died in between
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(out.ends[1], 1) < 0 || dup2(err.ends[1], 2) < 0) _exit(127);
  execv(this_program, arguments);
  _exit(127);
}

// Reads both ends until they are closed, or until `deadline` (0: none). False where the deadline came first.
bool drain(Pipe* out, Pipe* err, double deadline, std::string* output, std::string* errors) {
  while (out->ends[0] >= 0 || err->ends[0] >= 0) {
    pollfd waiting[2] = {{out->ends[0], POLLIN, 0}, {err->ends[0], POLLIN, 0}};  // negative ones are passed over
    const double left = deadline == 0 ? -1e-3 : std::max(0.0, deadline - monotonic_seconds());
    const int ready = poll(waiting, 2, static_cast<int>(std::ceil(1e3 * std::min(left, 1e6))));
    if (ready == 0) return false;
    if (ready < 0 && errno != EINTR) return true;
    for (int i = 0; ready > 0 && i < 2; ++i) {
      if (waiting[i].revents == 0) continue;
      char bytes[4096];
      const ssize_t got = read(waiting[i].fd, bytes, sizeof bytes);
      if (got > 0) (i == 0 ? output : errors)->append(bytes, static_cast<size_t>(got));
      if (got == 0 || (got < 0 && errno != EINTR)) (i == 0 ? out : err)->close_end(0);
    }
  }
  return true;
}

}  // namespace

ChildResult run_this_program(const std::vector<std::string>& arguments, double limit_seconds) {
  ChildResult result;
  std::vector<char*> words;  // made before the fork: a child of it may not allocate
  std::string name = "lean-train";
  words.push_back(name.data());
  std::vector<std::string> copies = arguments;
  for (std::string& word : copies) words.push_back(word.data());
  words.push_back(nullptr);
  Pipe out, err;
  const pid_t parent = getpid();
  result.begin = machine_time();
  const double begun = monotonic_seconds();
  pid_t child = -1;
  if (!out.open() || !err.open() || (child = fork()) < 0) {
    result.said = std::string("cannot start a process: ") + std::strerror(errno);
    return result;
  }
  if (child == 0) become(words.data(), out, err, parent);
  result.started = true;
  out.close_end(1);
  err.close_end(1);
  std::string errors;
  if (!drain(&out, &err, limit_seconds > 0 ? begun + limit_seconds : 0, &result.output, &errors)) {
    result.timed_out = true;
    kill(child, SIGKILL);
  }
  int status = 0;
  rusage used{};
  while (wait4(child, &status, 0, &used) < 0 && errno == EINTR) {
  }
  result.seconds = monotonic_seconds() - begun;
  result.end = machine_time();
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  result.cpu_seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
  result.said = last_sentence(errors);
  return result;
}

}  // namespace lt::tool
