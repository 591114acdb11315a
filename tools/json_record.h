// One JSON object on one line, put together in a fixed buffer inside the object: nothing is allocated. Numbers are the
// shortest that read back the same; NaN and infinities become null. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lt::tool {

class JsonRecord {
 public:
  explicit JsonRecord(std::string_view type);

  JsonRecord& text(std::string_view name, std::string_view value);  // bytes that are not UTF-8 become U+FFFD
  JsonRecord& whole(std::string_view name, uint64_t value);
  JsonRecord& number(std::string_view name, double value);
  JsonRecord& boolean(std::string_view name, bool value);
  JsonRecord& null(std::string_view name);
  // A text of four characters for three bytes each (RFC 4648). What does not fit is left out whole: 6000 bytes do.
  JsonRecord& base64(std::string_view name, const uint8_t* bytes, size_t n);
  // Null and blanks, as wide as `width` characters: to be written over later. Returns the value's offset in the line.
  size_t reserve(std::string_view name, size_t width);

  // The line, newline included.
  std::string_view line();

 private:
  static constexpr size_t capacity = 8192;

  // False where `size` bytes and the closing "}\n" do not fit any more; the member is then left out whole.
  bool fits(size_t size) const { return length_ + size + 2 <= capacity; }
  void append(std::string_view bytes);
  bool begin(std::string_view name, size_t value_size);
  void append_escaped(std::string_view value, size_t limit);

  char buffer_[capacity];
  size_t length_ = 0;
  bool closed_ = false;
};

}  // namespace lt::tool
