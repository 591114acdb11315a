// JSON in a fixed buffer. One thread.
#include "tools/json_record.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace lt::tool {
namespace {

constexpr size_t text_limit = 2048;  // bytes of one string in the record, escapes included

// Bytes of the well-formed UTF-8 sequence at the start of `text` (Unicode 15, table 3-7); 0 where there is none.
size_t utf8_sequence(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return follows(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;
    if (lead == 0xED && byte(1) > 0x9F) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (lead == 0xF0 && byte(1) < 0x90) return 0;
    if (lead == 0xF4 && byte(1) > 0x8F) return 0;
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

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
