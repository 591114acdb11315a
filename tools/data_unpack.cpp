// Unpacking by zlib, with the announced size as the limit: a small file that claims to be a large one costs a few
// kilobytes. The result is written beside its place and renamed. See data_unpack.h.
#include "tools/data_unpack.h"

#include <fcntl.h>
#include <sha2.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace lt::tool {
namespace {

// A temporary file beside `path`, removed unless it was put in place.
class Replacement {
 public:
  explicit Replacement(const std::string& path) : path_(path), temporary_(path + ".tmp." + std::to_string(::getpid())) {
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    error_ = descriptor_ < 0 ? errno : 0;
  }
  ~Replacement() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!done_) ::unlink(temporary_.c_str());
  }
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  bool write(const uint8_t* bytes, size_t n) {
    while (n > 0 && error_ == 0) {
      const ssize_t written = ::write(descriptor_, bytes, n);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) error_ = errno;
      if (written > 0) bytes += written, n -= static_cast<size_t>(written);
    }
    return error_ == 0;
  }

  bool commit() {
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

  Fetched failed() const { return {Fetched::local, path_ + ": cannot be written: " + std::strerror(error_)}; }
  bool good() const { return error_ == 0; }

 private:
  std::string path_, temporary_;
  int descriptor_ = -1, error_ = 0;
  bool done_ = false;
};

struct GzipFile {
  explicit GzipFile(const std::string& path) : file(::gzopen(path.c_str(), "rbe")) {}
  ~GzipFile() {
    if (file) ::gzclose_r(file);
  }
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;
  gzFile file;
};

}  // namespace

Fetched unpack(const std::string& from, const std::string& to, uint64_t bytes, const std::string& sha256,
               std::string* found_sha256) {
  const GzipFile packed(from);
  if (!packed.file) return {Fetched::local, from + ": cannot be opened: " + std::strerror(errno)};
  Replacement replacement(to);
  if (!replacement.good()) return replacement.failed();
  SHA2_CTX context;
  SHA256Init(&context);
  std::vector<uint8_t> buffer(1 << 16);
  uint64_t done = 0;
  for (;;) {
    const int n = ::gzread(packed.file, buffer.data(), static_cast<unsigned>(buffer.size()));
    if (n > 0) {
      done += static_cast<uint64_t>(n);
      if (done > bytes) {
        return {Fetched::wrong_bytes, from + ": unpacks to more than the " + std::to_string(bytes) + " bytes of " + to};
      }
      SHA256Update(&context, buffer.data(), static_cast<size_t>(n));
      if (!replacement.write(buffer.data(), static_cast<size_t>(n))) return replacement.failed();
    }
    int error = Z_OK;
    const char* message = ::gzerror(packed.file, &error);
    if (error == Z_ERRNO) return {Fetched::local, from + ": cannot be read: " + std::strerror(errno)};
    if (n < 0 || (n == 0 && error != Z_OK && error != Z_STREAM_END)) {
      return {Fetched::wrong_bytes,
              from + ": is damaged or cut short after " + std::to_string(done) + " unpacked bytes: " + message};
    }
    if (n == 0) break;
  }
  if (done != bytes) {
    return {Fetched::wrong_bytes,
            from + ": unpacks to " + std::to_string(done) + " bytes, expected " + std::to_string(bytes)};
  }
  char digits[SHA256_DIGEST_STRING_LENGTH];
  const std::string found = SHA256End(&context, digits);
  if (!sha256.empty() && found != sha256) {
    return {Fetched::wrong_bytes, from + ": unpacks to SHA-256 " + found + ", expected " + sha256};
  }
  if (!replacement.commit()) return replacement.failed();
  if (found_sha256) *found_sha256 = found;
  return {};
}

}  // namespace lt::tool
