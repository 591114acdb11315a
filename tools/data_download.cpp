// Downloads by curl or wget in a child process: no shell, no standard input, the file's size bounded by the system. A child
// dies with its parent. What servers do wrong is met by comparing sizes and SHA-256, not by trusting exit statuses.
#include "tools/data_download.h"

#include <fcntl.h>
#include <poll.h>
#include <sha2.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace lt::tool {
namespace {

constexpr int attempts_max = 8, poll_milliseconds = 200;

bool in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (std::string rest = path ? path : "/usr/bin:/bin"; !rest.empty();) {
    const size_t colon = rest.find(':');
    const std::string folder = rest.substr(0, colon);
    if (!folder.empty() && ::access((folder + "/" + program).c_str(), X_OK) == 0) return true;
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
  }
  return false;
}

// The last line that says something, without the program's own newline.
std::string last_line(const std::string& text) {
  const size_t end = text.find_last_not_of(" \r\n\t");
  if (end == std::string::npos) return "";
  const size_t start = text.find_last_of("\r\n", end);
  return text.substr(start == std::string::npos ? 0 : start + 1, end - (start == std::string::npos ? 0 : start + 1) + 1);
}

struct Ended {
  int status = -1;  // the exit status; 128 + n where signal n ended it; -1 where it could not be started
  std::string message;
};

[[noreturn]] void become(char* const* arguments, int message_descriptor, uint64_t bytes_limit) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGXFSZ}) std::signal(number, SIG_DFL);
  const int nothing = ::open("/dev/null", O_RDWR);
  ::dup2(nothing, 0);
  ::dup2(nothing, 1);
  ::dup2(message_descriptor, 2);
  const rlimit limit = {bytes_limit, bytes_limit};
  ::setrlimit(RLIMIT_FSIZE, &limit);
  ::execvp(arguments[0], arguments);
  static const char text[] = "cannot be started\n";
  (void)!::write(2, text, sizeof text - 1);
  ::_exit(127);
}

Ended run(std::vector<std::string> words, const std::string& part, uint64_t bytes_limit, const DownloadProgress& progress) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {-1, std::strerror(errno)};
  const pid_t child = ::fork();
  if (child == 0) become(arguments.data(), ends[1], bytes_limit);
  const int error = errno;
  ::close(ends[1]);
  if (child < 0) {
    ::close(ends[0]);
    return {-1, std::strerror(error)};
  }
  std::string message;
  std::array<char, 4096> buffer;
  for (pollfd waited = {ends[0], POLLIN, 0};;) {
    const int ready = ::poll(&waited, 1, poll_milliseconds);
    if (ready < 0 && errno != EINTR) break;
    if (ready > 0) {
      const ssize_t n = ::read(ends[0], buffer.data(), buffer.size());
      if (n == 0 || (n < 0 && errno != EINTR)) break;
      if (n > 0) message.append(buffer.data(), static_cast<size_t>(n));
      if (message.size() > 2 * buffer.size()) message.erase(0, message.size() - buffer.size());
    }
    if (ready == 0 && progress) progress(file_bytes(part));
  }
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), last_line(message)};
}

std::vector<std::string> command(const std::string& program, const std::string& url, const std::string& part, bool resume) {
  if (program == "wget") {
    std::vector<std::string> words = {"wget", "-nv", "-t", "1", "-T", "30", "-O", part};
    if (resume) words.push_back("-c");
    words.push_back(url);
    return words;
  }
  std::vector<std::string> words = {
      program,       "--silent",          "--show-error", "--fail",        "--location", "--max-redirs", "5",  "--proto",
      "=http,https", "--connect-timeout", "20",           "--speed-limit", "100",        "--speed-time", "30", "--output",
      part};
  if (resume) words.insert(words.end(), {"--continue-at", "-"});
  words.push_back(url);
  return words;
}

// The program could not write: a full disk is not a mirror's fault.
bool is_local_failure(const std::string& program, int status) {
  if (status < 0 || status == 127) return true;
  return program == "wget" ? status == 3 : status == 23;
}

// The server cannot send a file from the middle on, or has nothing past where this one ends.
bool refuses_to_go_on(const std::string& program, const Ended& ended) {
  if (ended.message.find("416") != std::string::npos) return true;
  return program == "wget" ? ended.message.find("-c") != std::string::npos : ended.status == 33 || ended.status == 36;
}

// 0, or errno. Asked before the program is: not all of them tell a full disk from a silent server.
int cannot_write(const std::string& path) {
  const bool there = ::access(path.c_str(), F_OK) == 0;
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) return errno;
  ::close(descriptor);
  if (!there) ::unlink(path.c_str());
  return 0;
}

std::string says(uint64_t bytes) { return std::to_string(bytes) + " bytes"; }

}  // namespace

std::string download_program() {
  for (const char* program : {"curl", "wget"}) {
    if (in_path(program)) return program;
  }
  return "";
}

uint64_t file_bytes(const std::string& path) {
  struct stat about;
  return ::stat(path.c_str(), &about) == 0 ? static_cast<uint64_t>(about.st_size) : 0;
}

std::string file_sha256(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (!file) return "";
  SHA2_CTX context;
  SHA256Init(&context);
  std::vector<uint8_t> buffer(1 << 16);
  size_t n;
  while ((n = std::fread(buffer.data(), 1, buffer.size(), file)) > 0) SHA256Update(&context, buffer.data(), n);
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  char digits[SHA256_DIGEST_STRING_LENGTH];
  return failed ? "" : SHA256End(&context, digits);
}

Fetched download(const Download& what, const std::string& program, const DownloadProgress& progress) {
  if (what.url.rfind("http://", 0) != 0 && what.url.rfind("https://", 0) != 0) {
    return {Fetched::local, what.url + ": is not an address that starts with http:// or https://"};
  }
  const std::string part = what.path + ".part";
  const uint64_t limit = what.bytes ? what.bytes : what.bytes_limit;
  if (what.sha256.empty()) ::unlink(part.c_str());
  bool begun_anew = false;
  // Begins the file anew, once: what was there may be of another file, or the server may not know how to go on.
  const auto begin_anew = [&](uint64_t start) {
    ::unlink(part.c_str());
    const bool again = start > 0 && !begun_anew;
    begun_anew = begun_anew || start > 0;
    return again;
  };
  std::string why, short_file;
  for (int attempt = 0; attempt < attempts_max; ++attempt) {
    if (what.bytes && file_bytes(part) > what.bytes) ::unlink(part.c_str());
    const uint64_t start = file_bytes(part);
    Ended ended = {0, ""};
    if (const int error = cannot_write(part))
      return {Fetched::local, part + ": cannot be written: " + std::strerror(error)};
    if (what.bytes == 0 || start < what.bytes) {
      // A byte past the limit may be written: so that a file that is too long is known as such.
      ended = run(command(program, what.url, part, start > 0), part, limit + 1, progress);
    }
    const uint64_t bytes = file_bytes(part);
    if (ended.status == 128 + SIGINT || ended.status == 128 + SIGTERM) return {Fetched::local, program + " was stopped"};
    if (bytes > limit) {
      if (begin_anew(start)) continue;
      return {Fetched::wrong_bytes,
              what.url + ": more than " + says(limit) + (what.bytes ? " came, expected as many" : " came")};
    }
    if (is_local_failure(program, ended.status)) {
      return {Fetched::local, part + ": " + program + " failed: " + (ended.message.empty() ? "writing" : ended.message)};
    }
    if (what.bytes ? bytes == what.bytes : ended.status == 0) {
      const std::string sha256 = what.sha256.empty() ? "" : file_sha256(part);
      if (sha256 == what.sha256) {
        if (::rename(part.c_str(), what.path.c_str()) == 0) return {};
        return {Fetched::local, what.path + ": cannot be put in place: " + std::strerror(errno)};
      }
      if (begin_anew(start)) continue;
      return {Fetched::wrong_bytes, what.url + ": SHA-256 " + sha256 + " came, expected " + what.sha256};
    }
    if (ended.status == 0) {
      short_file = what.url + ": " + says(bytes) + " came, expected " + says(what.bytes);
    } else {
      why = what.url + ": " +
            (ended.message.empty() ? program + " ended with " + std::to_string(ended.status) : ended.message);
    }
    if (bytes > start) continue;  // it got on: take it up from there
    if ((ended.status == 0 || refuses_to_go_on(program, ended)) && begin_anew(start)) continue;
    break;
  }
  if (!short_file.empty()) return {Fetched::wrong_bytes, short_file};
  return {Fetched::unreachable, why};
}

}  // namespace lt::tool
