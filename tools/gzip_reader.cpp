// zlib's errors as sentences: see gzip_reader.h.
#include "tools/gzip_reader.h"

#include <cerrno>
#include <cstring>

namespace lt::tool {

GzipReader::GzipReader(const std::string& path) : path_(path), file_(::gzopen(path.c_str(), "rbe")) {
  if (!file_) error_ = errno;
}

GzipReader::~GzipReader() {
  if (file_) ::gzclose_r(file_);
}

Fetched GzipReader::read(uint8_t* out, size_t n, size_t* got) {
  *got = 0;
  if (!file_) return {Fetched::local, path_ + ": cannot be opened: " + std::strerror(error_)};
  while (*got < n) {
    const int part = ::gzread(file_, out + *got, static_cast<unsigned>(n - *got));
    int error = Z_OK;
    const char* message = ::gzerror(file_, &error);
    if (part > 0) *got += static_cast<size_t>(part), done_ += static_cast<uint64_t>(part);
    if (error == Z_ERRNO) return {Fetched::local, path_ + ": cannot be read: " + std::strerror(errno)};
    if (part < 0 || (part == 0 && error != Z_OK && error != Z_STREAM_END)) {
      return {Fetched::wrong_bytes,
              path_ + ": is damaged or cut short after " + std::to_string(done_) + " unpacked bytes: " + message};
    }
    if (part == 0) break;
  }
  return {};
}

}  // namespace lt::tool
