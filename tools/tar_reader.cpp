// Headers and blocks: see tar_reader.h, which draws the format.
#include "tools/tar_reader.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

namespace lt::tool {
namespace {

constexpr size_t block_bytes = 512;

std::string text_of(const uint8_t* field, size_t n) {
  const auto* text = reinterpret_cast<const char*>(field);
  return {text, ::strnlen(text, n)};
}

// Octal digits between spaces, ended by a zero or the field's end; none where it is anything else.
std::optional<uint64_t> octal(const uint8_t* field, size_t n) {
  size_t i = 0;
  while (i < n && field[i] == ' ') ++i;
  uint64_t value = 0;
  const size_t start = i;
  for (; i < n && field[i] >= '0' && field[i] <= '7'; ++i) value = value * 8 + (field[i] - '0');
  if (i == start || i - start > 12) return std::nullopt;
  return i == n || field[i] == 0 || field[i] == ' ' ? std::optional(value) : std::nullopt;
}

std::optional<TarEntry> parse(const uint8_t* header) {
  uint64_t sum = 0;
  for (size_t i = 0; i < block_bytes; ++i) sum += i >= 148 && i < 156 ? ' ' : header[i];
  const auto checksum = octal(header + 148, 8), bytes = octal(header + 124, 12);
  if (checksum != sum || !bytes) return std::nullopt;
  TarEntry entry = {text_of(header, 100), *bytes, header[156] == '0' || header[156] == 0};
  if (std::memcmp(header + 257, "ustar\0", 6) == 0 && header[345] != 0)
    entry.name = text_of(header + 345, 155) + "/" + entry.name;
  if (entry.name.starts_with("./")) entry.name.erase(0, 2);
  return entry;
}

}  // namespace

Fetched TarReader::next(TarEntry* entry, bool* end) {
  if (Fetched result = step_over(left_ + filling_); result.result != Fetched::ok) return result;
  uint8_t header[block_bytes];
  size_t got;
  if (Fetched result = packed_.read(header, block_bytes, &got); result.result != Fetched::ok) return result;
  const bool first = std::exchange(first_, false);
  if (got < block_bytes) return wrong(first ? "is no tar archive" : "ends without the block that ends an archive");
  left_ = filling_ = 0;
  *end = std::all_of(header, header + block_bytes, [](uint8_t byte) { return byte == 0; });
  if (*end) return {};
  auto parsed = parse(header);
  if (!parsed) return wrong(first ? "is no tar archive" : "is damaged: a header's checksum is wrong");
  left_ = parsed->bytes;
  filling_ = (block_bytes - left_ % block_bytes) % block_bytes;
  name_ = parsed->name;
  *entry = std::move(*parsed);
  return {};
}

Fetched TarReader::read(uint8_t* out, size_t n) {
  size_t got;
  if (Fetched result = packed_.read(out, n, &got); result.result != Fetched::ok) return result;
  if (got < n) return wrong("ends in the middle of " + name_);
  left_ -= n;
  return {};
}

Fetched TarReader::finish(uint64_t limit) {
  for (uint64_t done = 0; done <= limit;) {
    size_t got;
    if (Fetched result = packed_.read(buffer_.data(), buffer_.size(), &got); result.result != Fetched::ok) return result;
    if (got < buffer_.size()) return {};
    done += got;
  }
  return wrong("goes on behind its end");
}

Fetched TarReader::step_over(uint64_t bytes) {
  while (bytes > 0) {
    const auto n = static_cast<size_t>(std::min<uint64_t>(bytes, buffer_.size()));
    size_t got;
    if (Fetched result = packed_.read(buffer_.data(), n, &got); result.result != Fetched::ok) return result;
    if (got < n) return wrong("ends in the middle of an entry");
    bytes -= n;
  }
  return {};
}

}  // namespace lt::tool
