// FileReplacement and FileLock on POSIX calls; see file.h for who owns what. errno is turned into a sentence at the call
// that set it. Any thread may call, each on its own objects.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "src/base/file.h"

namespace lt {
namespace {

std::string folder_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Removes a temporary file that nobody holds: a writer keeps a lock on its own, which dies with the process. A number that
// another process has by now, or that lives on another machine or in another container, does not mislead a lock.
void remove_if_stale(const std::string& temporary) {
  const int descriptor = open_retrying(temporary.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
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

Status FileReplacement::prepare(const char* path, uint32_t keep) {
  discard();
  path_ = path;
  if (path_.empty()) return fail(Status::io, "a file without a name cannot be written");
  // Where the path is a link, its target is what gets replaced; a link to nothing is replaced itself.
  if (char* resolved = ::realpath(path, nullptr)) {
    path_ = resolved;
    std::free(resolved);
  }
  folder_ = folder_of(path_);
  remove_stale(path_);
  temporary_ = path_ + ".tmp." + std::to_string(::getpid());
  older_.clear();
  for (uint32_t age = 1; age <= keep; ++age) older_.push_back(path_ + "." + std::to_string(age));
  return Status::ok;
}

Status FileReplacement::begin() {
  discard();
  mode_t mode = 0;
  struct stat about;
  if (::stat(path_.c_str(), &about) == 0) {
    if (!S_ISREG(about.st_mode)) {
      return fail(Status::io, "%s: is %s; give the path of a file", path_.c_str(), file_kind(about.st_mode));
    }
    mode = about.st_mode & 07777;
  }
  descriptor_ = open_retrying(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0666);
  if (descriptor_ < 0) {
    if (errno == EEXIST) {
      return fail(Status::io, "%s: is being written: two saves to %s at once", temporary_.c_str(), path_.c_str());
    }
    return fail(Status::io, "%s: cannot be written in folder %s: %s", path_.c_str(), folder_.c_str(), std::strerror(errno));
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
    if (written < 0 && errno == EINTR) continue;
    if (written == 0) errno = ENOSPC;
    if (written <= 0) return failed("writing failed");
    at += written;
    n -= static_cast<size_t>(written);
  }
  return Status::ok;
}

Status FileReplacement::write_at(uint64_t offset, const void* bytes, size_t n) {
  if (descriptor_ < 0) return fail(Status::state, "%s: write without an open replacement", path_.c_str());
  const char* at = static_cast<const char*>(bytes);
  while (n > 0) {
    const ssize_t written = file_calls.write_at(descriptor_, at, n, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written == 0) errno = ENOSPC;
    if (written <= 0) return failed("writing failed");
    at += written;
    offset += static_cast<uint64_t>(written);
    n -= static_cast<size_t>(written);
  }
  return Status::ok;
}

Status FileReplacement::read_at(uint64_t offset, void* bytes, size_t n) {
  if (descriptor_ < 0) return fail(Status::state, "%s: read without an open replacement", path_.c_str());
  char* at = static_cast<char*>(bytes);
  while (n > 0) {
    const ssize_t got = ::pread(descriptor_, at, n, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = EIO;
    if (got <= 0) return failed("reading back failed");
    at += got;
    offset += static_cast<uint64_t>(got);
    n -= static_cast<size_t>(got);
  }
  return Status::ok;
}

// The files before move up by one, from the oldest on; the present one gets a second name, so that it is there under its
// own until the new one takes that. Whatever breaks this off, `path_` is whole.
Status FileReplacement::keep_older() {
  struct stat present, youngest;
  if (older_.empty() || ::stat(path_.c_str(), &present) != 0) return Status::ok;
  // A save before this one may have ended in between: the present file has its second name already.
  if (::stat(older_[0].c_str(), &youngest) == 0 && present.st_ino == youngest.st_ino && present.st_dev == youngest.st_dev)
    return Status::ok;
  for (size_t age = older_.size(); age-- > 1;)
    if (file_calls.rename(older_[age - 1].c_str(), older_[age].c_str()) != 0 && errno != ENOENT)
      return failed("renaming an older file failed");
  if (older_.size() == 1) ::unlink(older_[0].c_str());
  if (file_calls.link(path_.c_str(), older_[0].c_str()) == 0) return Status::ok;
  // File systems without hard links: for a moment the older name is the only one.
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK)
    return failed("keeping the old file failed");
  return file_calls.rename(path_.c_str(), older_[0].c_str()) == 0 ? Status::ok : failed("keeping the old file failed");
}

Status FileReplacement::commit() {
  if (descriptor_ < 0) return fail(Status::state, "%s: commit without an open replacement", path_.c_str());
  int result;
  do result = file_calls.sync(descriptor_);
  while (result != 0 && errno == EINTR);
  if (result != 0) return failed("fsync failed");
  LT_TRY(keep_older());
  if (file_calls.rename(temporary_.c_str(), path_.c_str()) != 0) return failed("renaming the finished file failed");
  // close() after a successful fsync has nothing left to lose.
  ::close(std::exchange(descriptor_, -1));
  const int descriptor = open_retrying(folder_.c_str(), O_RDONLY | O_DIRECTORY);
  if (descriptor < 0) return Status::ok;  // a folder that may be written but not read
  do result = file_calls.sync(descriptor);
  while (result != 0 && errno == EINTR);
  const int error = errno;
  ::close(descriptor);
  // EINVAL: this file system has no fsync of folders.
  if (result != 0 && error != EINVAL) {
    return fail(Status::io, "%s: was written, but fsync of folder %s failed: %s; a power cut may bring the old file back",
                path_.c_str(), folder_.c_str(), std::strerror(error));
  }
  return Status::ok;
}

void FileReplacement::discard() {
  if (descriptor_ < 0) return;
  ::unlink(temporary_.c_str());
  ::close(std::exchange(descriptor_, -1));
}

// The file may be removed by a holder between our open and our lock: then ours is no longer the one that others will find,
// and the next try makes a new one.
Status FileLock::take(const std::string& path) {
  release();
  path_ = path + ".lock";
  while (true) {
    descriptor_ = open_retrying(path_.c_str(), O_RDWR | O_CREAT, 0666);
    if (descriptor_ < 0)
      return fail(Status::io, "%s: cannot be written in folder %s: %s", path.c_str(), folder_of(path).c_str(),
                  std::strerror(errno));
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      ::close(std::exchange(descriptor_, -1));
      if (error == EWOULDBLOCK)
        return fail(Status::io, "%s: another training saves there (it holds %s); give another path or wait for its end",
                    path.c_str(), path_.c_str());
      return Status::ok;  // a file system without locks
    }
    struct stat held, found;
    if (::fstat(descriptor_, &held) == 0 && ::stat(path_.c_str(), &found) == 0 && held.st_ino == found.st_ino &&
        held.st_dev == found.st_dev)
      return Status::ok;
    ::close(std::exchange(descriptor_, -1));
  }
}

void FileLock::release() {
  if (descriptor_ < 0) return;
  ::unlink(path_.c_str());
  ::close(std::exchange(descriptor_, -1));
}

}  // namespace lt
