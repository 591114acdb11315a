#include "src/base/safetensors_checksum.h"

#include <algorithm>
#include <cstring>

namespace lt {

Status safetensors_check(const SafetensorsReader& reader, bool* present) {
  const MappedFile& file = reader.file();
  const char* const path = file.path().c_str();
  const std::string* const stated = reader.metadata("checksum");
  *present = stated && stated->starts_with("xxh3-128:");
  if (!*present) return Status::ok;
  LT_TRY(file.check_size());
  const auto* const first = reinterpret_cast<const char*>(file.bytes());
  const char* const end = first + reader.data_offset();
  // Quotes inside a text are escaped: what is found is the key itself.
  constexpr size_t key_bytes = sizeof checksum_key - 1;
  const char* const key = std::search(first + 8, end, checksum_key, checksum_key + key_bytes);
  if (static_cast<size_t>(end - key) < key_bytes + digest_digits)
    return fail(Status::format, "%s: its checksum is \"%.60s\", expected xxh3-128: and 32 digits", path, stated->c_str());
  const char* const digits = key + key_bytes;
  char zeros[digest_digits];
  std::memset(zeros, '0', sizeof zeros);
  Digest digest;
  digest.update(first, static_cast<size_t>(digits - first));
  digest.update(zeros, sizeof zeros);
  digest.update(digits + digest_digits, file.size() - static_cast<size_t>(digits - first) - digest_digits);
  uint8_t sum[16];
  digest.finish(sum);
  char text[digest_digits];
  digest_text(sum, text);
  if (std::memcmp(text, digits, digest_digits) == 0) return Status::ok;
  return fail(Status::format,
              "%s: its bytes are not those that were written: their checksum is %.32s, the file says %.32s; take "
              "another copy of it",
              path, text, digits);
}

}  // namespace lt
