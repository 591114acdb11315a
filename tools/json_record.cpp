// JSON in a fixed buffer. One thread.
#include "tools/json_record.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "tools/text.h"

namespace lt::tool {
namespace {

constexpr size_t text_limit = 2048;  // bytes of one string in the record, escapes included

}  // namespace

JsonRecord::JsonRecord(std::string_view type) {
  append("{");
  text("type", type);
}

void JsonRecord::append(std::string_view bytes) {
  std::memcpy(buffer_ + length_, bytes.data(), bytes.size());
  length_ += bytes.size();
}

bool JsonRecord::begin(std::string_view name, size_t value_size) {
  if (closed_ || !fits(name.size() + 4 + value_size)) return false;
  if (length_ > 1) append(",");
  append("\"");
  append(name);
  append("\":");
  return true;
}

void JsonRecord::append_escaped(std::string_view value, size_t limit) {
  const size_t start = length_;
  while (!value.empty() && length_ - start + 6 <= limit) {
    const auto byte = static_cast<unsigned char>(value[0]);
    const size_t sequence = utf8_sequence(value);
    if (sequence == 0) {
      append("\xEF\xBF\xBD");
    } else if (byte == '"' || byte == '\\') {
      append("\\");
      append(value.substr(0, 1));
    } else if (byte < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      append(escape);
    } else {
      append(value.substr(0, sequence));
    }
    value.remove_prefix(std::max<size_t>(sequence, 1));
  }
}

JsonRecord& JsonRecord::text(std::string_view name, std::string_view value) {
  const size_t room = std::min(text_limit, 6 * value.size() + 6);
  if (!begin(name, room + 2)) return *this;
  append("\"");
  append_escaped(value, room);
  append("\"");
  return *this;
}

JsonRecord& JsonRecord::whole(std::string_view name, uint64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  if (begin(name, sizeof digits)) append({digits, static_cast<size_t>(end - digits)});
  return *this;
}

JsonRecord& JsonRecord::number(std::string_view name, double value) {
  if (!std::isfinite(value)) return null(name);
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  if (begin(name, sizeof digits)) append({digits, static_cast<size_t>(end - digits)});
  return *this;
}

JsonRecord& JsonRecord::boolean(std::string_view name, bool value) {
  if (begin(name, 5)) append(value ? "true" : "false");
  return *this;
}

JsonRecord& JsonRecord::null(std::string_view name) {
  if (begin(name, 4)) append("null");
  return *this;
}

JsonRecord& JsonRecord::base64(std::string_view name, const uint8_t* bytes, size_t n) {
  constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (n > capacity || !begin(name, (n + 2) / 3 * 4 + 2)) return *this;
  append("\"");
  for (size_t i = 0; i < n; i += 3) {
    const size_t rest = std::min<size_t>(n - i, 3);
    const unsigned group =
        unsigned{bytes[i]} << 16 | (rest > 1 ? unsigned{bytes[i + 1]} << 8 : 0) | (rest > 2 ? bytes[i + 2] : 0u);
    const char four[4] = {digits[group >> 18], digits[group >> 12 & 63], rest > 1 ? digits[group >> 6 & 63] : '=',
                          rest > 2 ? digits[group & 63] : '='};
    append({four, 4});
  }
  append("\"");
  return *this;
}

size_t JsonRecord::reserve(std::string_view name, size_t width) {
  if (!begin(name, width)) return 0;
  const size_t offset = length_;
  append("null");
  while (length_ < offset + width) append(" ");
  return offset;
}

std::string_view JsonRecord::line() {
  if (!closed_) append("}\n");
  closed_ = true;
  return {buffer_, length_};
}

}  // namespace lt::tool
