// Files: mapped for reading, and replaced in one piece or not at all. A MappedFile owns its mapping and its descriptor; a
// FileReplacement owns its temporary file until it is committed. Distinct objects are independent; a MappedFile may be read
// by any thread, a FileReplacement is used by one at a time.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "src/base/status.h"

namespace lt {

class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile() { close(); }
  MappedFile(MappedFile&& other) noexcept { *this = static_cast<MappedFile&&>(other); }
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Maps a regular file for reading; an empty file gives size 0 and no bytes. Status::io names the path and the reason.
  static Status open(const char* path, MappedFile* file);

  const uint8_t* bytes() const { return bytes_; }
  uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }

  // Status::io where the file is shorter than it was when it was mapped: reading what is gone would be a bus error. One
  // fstat, no allocation. A file that was replaced by rename is still whole here.
  Status check_size() const;

  // Starts reading the whole file in, ahead of reads in no order. Returns at once.
  void advise_all_needed() const;

 private:
  void close();

  const uint8_t* bytes_ = nullptr;
  uint64_t size_ = 0;
  int descriptor_ = -1;
  std::string path_;
};

// Writes `path` anew: into PATH.tmp.PID in the same folder, which commit() makes durable and renames to `path`. Until then,
// and after any failure, the old file is as it was, and the temporary one is removed with the object.
class FileReplacement {
 public:
  FileReplacement() = default;
  ~FileReplacement() { discard(); }
  FileReplacement(const FileReplacement&) = delete;
  FileReplacement& operator=(const FileReplacement&) = delete;

  // Names and checks, all that allocates; writes nothing. A link is followed, so that its target is replaced. What is there
  // and not a regular file is refused. Temporary files that dead processes left for the same path are removed. The `keep`
  // files before this one stay as PATH.1 (the youngest), PATH.2 ...
  Status prepare(const char* path, uint32_t keep = 0);
  // Opens the temporary file, which takes over the old file's permissions. Again after each commit; allocates nothing, nor
  // does what follows.
  Status begin();
  Status create(const char* path) {
    LT_TRY(prepare(path));
    return begin();
  }
  Status write(const void* bytes, size_t n);
  // Over what was written.
  Status write_at(uint64_t offset, const void* bytes, size_t n);
  // What was written; Status::io where it is not there.
  Status read_at(uint64_t offset, void* bytes, size_t n);
  // fsync of the file, rename, fsync of the folder: after this returns ok, the new file survives a power cut.
  Status commit();
  // Removes the temporary file; nothing where there is none.
  void discard();
  // With links followed.
  const std::string& path() const { return path_; }

 private:
  Status failed(const char* what);
  Status keep_older();

  std::string path_, folder_, temporary_;
  std::vector<std::string> older_;  // PATH.1, PATH.2 ...
  int descriptor_ = -1;
};

// Keeps other writers of `path` out, of this process and others: a kernel lock on PATH.lock, which ends with the process
// that holds it, however it ends. The file is removed with the object.
class FileLock {
 public:
  FileLock() = default;
  ~FileLock() { release(); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // Status::state where somebody else holds it.
  Status take(const std::string& path);
  void release();

 private:
  std::string path_;
  int descriptor_ = -1;
};

// The system calls behind FileReplacement: the seam at which tests let the n-th one fail. Nobody else writes to it.
struct FileCalls {
  ssize_t (*write)(int descriptor, const void* bytes, size_t n);
  int (*sync)(int descriptor);
  int (*rename)(const char* from, const char* to);
  ssize_t (*write_at)(int descriptor, const void* bytes, size_t n, off_t offset) = ::pwrite;
  int (*link)(const char* from, const char* to) = ::link;
};
extern FileCalls file_calls;

// "a directory", of what is no regular file; and open() that a signal does not interrupt, close-on-exec.
const char* file_kind(mode_t mode);
int open_retrying(const char* path, int flags, mode_t mode = 0);

}  // namespace lt
