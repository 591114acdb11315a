// A message in protocol buffers' wire form (protobuf.dev/programming-guides/encoding), field by field: each is a key,
// number << 3 | type, and a value. Little-endian, as the hosts are. Nested messages are texts, written by a writer of their
// own. One thread at a time; nothing allocates within what was reserved.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace lt::tool {

class ProtobufWriter {
 public:
  void reserve(size_t bytes) { bytes_.reserve(bytes); }
  void clear() { bytes_.clear(); }
  std::string_view view() const { return bytes_; }
  size_t size() const { return bytes_.size(); }

  // Of the types int32, int64, uint64, bool and enum; negative ones as their two's complement.
  void integer(unsigned field, int64_t value) {
    key(field, 0);
    varint(static_cast<uint64_t>(value));
  }
  void real(unsigned field, double value) {
    key(field, 1);
    raw(value);
  }
  void real(unsigned field, float value) {
    key(field, 5);
    raw(value);
  }
  // Of the types string and bytes, and messages.
  void text(unsigned field, std::string_view bytes) {
    text_head(field, bytes.size());
    bytes_ += bytes;
  }
  // What stands in front of `size` bytes that the caller writes elsewhere.
  void text_head(unsigned field, uint64_t size) {
    key(field, 2);
    varint(size);
  }

  // Outside of any field.
  template <class T>
  void raw(T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    bytes_.append(bytes, sizeof value);
  }
  void raw_text(std::string_view bytes) { bytes_ += bytes; }

 private:
  void key(unsigned field, unsigned type) { varint(field << 3 | type); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

}  // namespace lt::tool
