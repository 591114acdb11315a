// Temporary file, fsync, rename: see replacement.h.
#include "tools/replacement.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace lt::tool {

Replacement::Replacement(const std::string& path) : path_(path), temporary_(path + ".tmp." + std::to_string(::getpid())) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  error_ = descriptor_ < 0 ? errno : 0;
}

Replacement::~Replacement() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!done_) ::unlink(temporary_.c_str());
}

bool Replacement::write(const uint8_t* bytes, size_t n) {
  while (n > 0 && error_ == 0) {
    const ssize_t written = ::write(descriptor_, bytes, n);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) error_ = errno;
    if (written > 0) bytes += written, n -= static_cast<size_t>(written);
  }
  return error_ == 0;
}

bool Replacement::rewrite_head(const uint8_t* bytes, size_t n) {
  if (error_ == 0 && ::lseek(descriptor_, 0, SEEK_SET) < 0) error_ = errno;
  const bool written = write(bytes, n);
  if (error_ == 0 && ::lseek(descriptor_, 0, SEEK_END) < 0) error_ = errno;
  return written && error_ == 0;
}

bool Replacement::commit() {
  if (error_ == 0 && ::fsync(descriptor_) != 0) error_ = errno;
  if (error_ == 0 && ::rename(temporary_.c_str(), path_.c_str()) != 0) error_ = errno;
  done_ = error_ == 0;
  const size_t slash = path_.find_last_of('/');
  const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const int descriptor = done_ ? ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (descriptor >= 0) {
    ::fsync(descriptor);  // where it fails, a power cut costs another download
    ::close(descriptor);
  }
  return done_;
}

Fetched Replacement::failed() const { return {Fetched::local, path_ + ": cannot be written: " + std::strerror(error_)}; }

}  // namespace lt::tool
