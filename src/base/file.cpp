// MappedFile on POSIX calls; see file.h for who owns what. errno is turned into a sentence at the call that set it. Any
// thread may call, each on its own objects.
#include "src/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace lt {

const char* file_kind(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

int open_retrying(const char* path, int flags, mode_t mode) {
  int descriptor;
  do descriptor = ::open(path, flags | O_CLOEXEC, mode);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this == &other) return *this;
  close();
  bytes_ = std::exchange(other.bytes_, nullptr);
  size_ = std::exchange(other.size_, 0);
  descriptor_ = std::exchange(other.descriptor_, -1);
  path_ = std::move(other.path_);
  return *this;
}

Status MappedFile::open(const char* path, MappedFile* file) {
  // O_NONBLOCK: a pipe must not hold the program up; it means nothing for a regular file.
  MappedFile opened;
  opened.path_ = path;
  opened.descriptor_ = open_retrying(path, O_RDONLY | O_NONBLOCK);
  if (opened.descriptor_ < 0) return fail(Status::io, "%s: cannot be opened: %s", path, std::strerror(errno));
  struct stat about;
  if (::fstat(opened.descriptor_, &about) != 0) {
    return fail(Status::io, "%s: its size cannot be found out: %s", path, std::strerror(errno));
  }
  if (!S_ISREG(about.st_mode)) return fail(Status::io, "%s: is %s; give a file", path, file_kind(about.st_mode));
  opened.size_ = static_cast<uint64_t>(about.st_size);
  if (opened.size_ > 0) {
    void* mapping = ::mmap(nullptr, opened.size_, PROT_READ, MAP_SHARED, opened.descriptor_, 0);
    if (mapping == MAP_FAILED) {
      return fail(Status::io, "%s: its %llu bytes cannot be mapped: %s", path,
                  static_cast<unsigned long long>(opened.size_), std::strerror(errno));
    }
    opened.bytes_ = static_cast<const uint8_t*>(mapping);
  }
  *file = std::move(opened);
  return Status::ok;
}

Status MappedFile::check_size() const {
  struct stat about;
  if (::fstat(descriptor_, &about) != 0) {
    return fail(Status::io, "%s: its size cannot be found out: %s", path_.c_str(), std::strerror(errno));
  }
  if (static_cast<uint64_t>(about.st_size) < size_) {
    return fail(Status::io, "%s: was cut to %lld bytes while in use, had %llu when it was opened", path_.c_str(),
                static_cast<long long>(about.st_size), static_cast<unsigned long long>(size_));
  }
  return Status::ok;
}

void MappedFile::advise_all_needed() const {
  if (bytes_) ::madvise(const_cast<uint8_t*>(bytes_), size_, MADV_WILLNEED);
}

void MappedFile::close() {
  if (bytes_) ::munmap(const_cast<uint8_t*>(bytes_), size_);
  if (descriptor_ >= 0) ::close(descriptor_);
  bytes_ = nullptr;
  size_ = 0;
  descriptor_ = -1;
}

}  // namespace lt
