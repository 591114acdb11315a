// Signal handlers. They use lock-free atomics, write(2), _exit and lt_session_request_stop alone.
#include "tools/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "tools/exit_code.h"

namespace lt::tool {
namespace {

std::atomic<lt_session*> stoppable{nullptr};
std::atomic<int> received{0};
static_assert(std::atomic<lt_session*>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

char bus_sentence[1024];
size_t bus_sentence_length = 0;

void write_from_handler(const char* text, size_t length) {
  if (write(STDERR_FILENO, text, length) < 0) return;  // nothing is left to be done about it
}

void on_stop(int signal_number) {
  lt_session* const session = stoppable.load();
  int none = 0;
  if (session == nullptr || !received.compare_exchange_strong(none, signal_number)) {
    _exit(exit_status_of_signal(signal_number));
  }
  lt_session_request_stop(session);
}

void on_bus_error(int) {
  write_from_handler(bus_sentence, bus_sentence_length);
  _exit(static_cast<int>(ExitCode::io));
}

void handle(int signal_number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(signal_number, &action, nullptr);
}

// A program that nohup or a script started with SIGINT ignored keeps it ignored.
bool is_ignored(int signal_number) {
  struct sigaction action {};
  return sigaction(signal_number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

void prepare_streams() {
  for (int fd = 0; fd <= 2; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) < 0) break;
  handle(SIGPIPE, SIG_IGN);
}

void install_signal_handlers(const char* data_folder) {
  const int length = std::snprintf(bus_sentence, sizeof bus_sentence,
                                   "\nlean-train: a data file%s%s became shorter or unreadable while it was in use: the "
                                   "training ended there without a "
                                   "save; bring the file back and start again, or resume a checkpoint\n",
                                   *data_folder != '\0' ? " in " : "", data_folder);
  bus_sentence_length = std::min(static_cast<size_t>(std::max(length, 0)), sizeof bus_sentence - 1);
  handle(SIGBUS, on_bus_error);
  for (const int signal_number : {SIGINT, SIGTERM})
    if (!is_ignored(signal_number)) handle(signal_number, on_stop);
}

void stop_on_signal(lt_session* session) { stoppable.store(session); }

int received_signal() { return received.load(); }

const char* signal_label(int signal_number) { return signal_number == SIGINT ? "SIGINT" : "SIGTERM"; }

}  // namespace lt::tool
