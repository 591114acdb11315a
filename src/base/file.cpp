// MappedFile and FileReplacement on POSIX calls; see file.h for who owns what. errno is turned into a sentence at the call
// that set it. Any thread may call, each on its own objects.
#include "src/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace lt {
namespace {

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

int retry_open(const char* path, int flags, mode_t mode = 0) {
  int descriptor;
  do descriptor = ::open(path, flags | O_CLOEXEC, mode);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Removes a temporary file that nobody holds: a writer keeps a lock on its own, which dies with the process. A number that
// another process has by now, or that lives on another machine or in another container, does not mislead a lock.
void remove_if_stale(const std::string& temporary) {
  const int descriptor = retry_open(temporary.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  if (descriptor < 0) return;
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(temporary.c_str());
  ::close(descriptor);
}

// What killed processes left behind beside `path`: NAME.tmp.PID.
void remove_stale(const std::string& path) {
  const std::string folder = folder_of(path);
  const size_t slash = path.find_last_of('/');
  const std::string prefix = path.substr(slash == std::string::npos ? 0 : slash + 1) + ".tmp.";
  DIR* listing = ::opendir(folder.c_str());
  if (!listing) return;
  while (const dirent* entry = ::readdir(listing)) {
    if (std::strncmp(entry->d_name, prefix.c_str(), prefix.size()) != 0) continue;
    const char* digits = entry->d_name + prefix.size();
    const size_t length = std::strlen(digits);
    if (length > 0 && std::strspn(digits, "0123456789") == length) remove_if_stale(folder + "/" + entry->d_name);
  }
  ::closedir(listing);
}

}  // namespace

FileCalls file_calls = {::write, ::fsync, ::rename};

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
  opened.descriptor_ = retry_open(path, O_RDONLY | O_NONBLOCK);
  if (opened.descriptor_ < 0) return fail(Status::io, "%s: cannot be opened: %s", path, std::strerror(errno));
  struct stat about;
  if (::fstat(opened.descriptor_, &about) != 0) {
    return fail(Status::io, "%s: its size cannot be found out: %s", path, std::strerror(errno));
  }
  if (!S_ISREG(about.st_mode)) return fail(Status::io, "%s: is %s; give a file", path, kind_of(about.st_mode));
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

Status FileReplacement::create(const char* path) {
  discard();
  path_ = path;
  if (path_.empty()) return fail(Status::io, "a file without a name cannot be written");
  // Where the path is a link, its target is what gets replaced; a link to nothing is replaced itself.
  if (char* resolved = ::realpath(path, nullptr)) {
    path_ = resolved;
    std::free(resolved);
  }
  mode_t mode = 0;
  struct stat about;
  if (::stat(path_.c_str(), &about) == 0) {
    if (!S_ISREG(about.st_mode)) {
      return fail(Status::io, "%s: is %s; give the path of a file", path_.c_str(), kind_of(about.st_mode));
    }
    mode = about.st_mode & 07777;
  }
  remove_stale(path_);
  temporary_ = path_ + ".tmp." + std::to_string(::getpid());
  descriptor_ = retry_open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666);
  if (descriptor_ < 0) {
    const int error = errno;
    const std::string temporary = std::exchange(temporary_, "");
    if (error == EEXIST) {
      return fail(Status::io, "%s: is being written: two saves to %s at once", temporary.c_str(), path_.c_str());
    }
    return fail(Status::io, "%s: cannot be written in folder %s: %s", path_.c_str(), folder_of(path_).c_str(),
                std::strerror(error));
  }
  ::flock(descriptor_, LOCK_EX | LOCK_NB);
  if (mode != 0) (void)!::fchmod(descriptor_, mode);  // some file systems have no permissions
  return Status::ok;
}

Status FileReplacement::failed(const char* what) {
  const Status status =
      fail(Status::io, "%s: %s: %s; the file is as it was before", path_.c_str(), what, std::strerror(errno));
  discard();
  return status;
}

Status FileReplacement::write(const void* bytes, size_t n) {
  if (descriptor_ < 0) return fail(Status::state, "%s: write without an open replacement", path_.c_str());
  const char* at = static_cast<const char*>(bytes);
  while (n > 0) {
    const ssize_t written = file_calls.write(descriptor_, at, n);
    if (written < 0) {
      if (errno == EINTR) continue;
      return failed("writing failed");
    }
    if (written == 0) {
      errno = ENOSPC;
      return failed("writing failed");
    }
    at += written;
    n -= static_cast<size_t>(written);
  }
  return Status::ok;
}

Status FileReplacement::commit() {
  if (descriptor_ < 0) return fail(Status::state, "%s: commit without an open replacement", path_.c_str());
  int result;
  do result = file_calls.sync(descriptor_);
  while (result != 0 && errno == EINTR);
  if (result != 0) return failed("fsync failed");
  // close() after a successful fsync has nothing left to lose.
  ::close(std::exchange(descriptor_, -1));
  if (file_calls.rename(temporary_.c_str(), path_.c_str()) != 0) return failed("renaming the finished file failed");
  temporary_.clear();
  const std::string folder = folder_of(path_);
  const int descriptor = retry_open(folder.c_str(), O_RDONLY | O_DIRECTORY);
  if (descriptor < 0) return Status::ok;  // a folder that may be written but not read
  do result = file_calls.sync(descriptor);
  while (result != 0 && errno == EINTR);
  const int error = errno;
  ::close(descriptor);
  // EINVAL: this file system has no fsync of folders.
  if (result != 0 && error != EINVAL) {
    return fail(Status::io, "%s: was written, but fsync of folder %s failed: %s; a power cut may bring the old file back",
                path_.c_str(), folder.c_str(), std::strerror(error));
  }
  return Status::ok;
}

void FileReplacement::discard() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

}  // namespace lt
