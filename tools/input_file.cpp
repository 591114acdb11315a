// See input_file.h.
#include "tools/input_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tools/terminal.h"

namespace lt::tool {

bool read_input(const std::string& path, uint64_t most, std::string* text) {
  text->clear();
  const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  int error = fd < 0 ? errno : 0;
  char part[65536];
  while (error == 0 && text->size() < most) {
    const ssize_t got = read(fd, part, std::min<uint64_t>(sizeof part, most - text->size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error = errno;
    if (got <= 0) break;
    text->append(part, static_cast<size_t>(got));
  }
  if (fd > STDIN_FILENO) close(fd);
  if (error != 0) complain("cannot read %s: %s", path.c_str(), std::strerror(error));
  return error == 0;
}

}  // namespace lt::tool
