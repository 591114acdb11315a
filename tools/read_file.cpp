// The loop around read(2). See read_file.h.
#include "tools/read_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "tools/terminal.h"

namespace lt::tool {

int read_file(const std::string& path, uint64_t most, std::string* bytes) {
  const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  int error = 0;
  std::vector<char> part(65536);
  for (uint64_t left = most; left > 0;) {
    const ssize_t got = read(fd, part.data(), std::min<uint64_t>(part.size(), left));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error = errno;
    if (got <= 0) break;
    bytes->append(part.data(), static_cast<size_t>(got));
    left -= static_cast<uint64_t>(got);
  }
  if (fd != STDIN_FILENO) close(fd);
  return error;
}

bool read_input(const std::string& path, uint64_t most, std::string* text) {
  text->clear();
  const int error = read_file(path, most, text);
  if (error != 0) complain("cannot read %s: %s", path.c_str(), std::strerror(error));
  return error == 0;
}

}  // namespace lt::tool
