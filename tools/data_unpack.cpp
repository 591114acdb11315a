// Unpacking by zlib, with the announced size as the limit: a small file that claims to be a large one costs a few
// kilobytes. The result is written beside its place and renamed. See data_unpack.h.
#include "tools/data_unpack.h"

#include <sha2.h>

#include <vector>

#include "tools/gzip_reader.h"
#include "tools/replacement.h"

namespace lt::tool {

Fetched unpack(const std::string& from, const std::string& to, uint64_t bytes, const std::string& sha256,
               std::string* found_sha256) {
  GzipReader packed(from);
  Replacement replacement(to);
  if (!replacement.good()) return replacement.failed();
  SHA2_CTX context;
  SHA256Init(&context);
  std::vector<uint8_t> buffer(1 << 16);
  uint64_t done = 0;
  for (size_t n = buffer.size(); n == buffer.size();) {
    if (Fetched result = packed.read(buffer.data(), buffer.size(), &n); result.result != Fetched::ok) return result;
    done += n;
    if (done > bytes) {
      return {Fetched::wrong_bytes, from + ": unpacks to more than the " + std::to_string(bytes) + " bytes of " + to};
    }
    SHA256Update(&context, buffer.data(), n);
    if (!replacement.write(buffer.data(), n)) return replacement.failed();
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
