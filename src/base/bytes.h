// Reads numbers from bytes that nobody has checked: every read is compared with the bytes left first. The reader owns
// nothing; the bytes have to outlive it. A read that does not fit gives nullopt (or null) and moves nothing, so that the
// caller, who knows the field's name, can say what is missing. One thread at a time.
#pragma once

#include <cstdint>
#include <optional>

namespace lt {

class ByteReader {
 public:
  ByteReader(const void* bytes, uint64_t size) : begin_(static_cast<const uint8_t*>(bytes)), size_(size) {}

  uint64_t offset() const { return offset_; }
  uint64_t left() const { return size_ - offset_; }

  // The next n bytes, or null where fewer are left.
  const uint8_t* bytes(uint64_t n) {
    if (n > left()) return nullptr;
    const uint8_t* at = begin_ + offset_;
    offset_ += n;
    return at;
  }

  std::optional<uint8_t> u8() { return read<uint8_t, false>(); }
  std::optional<uint16_t> u16_little() { return read<uint16_t, false>(); }
  std::optional<uint32_t> u32_little() { return read<uint32_t, false>(); }
  std::optional<uint64_t> u64_little() { return read<uint64_t, false>(); }
  std::optional<uint16_t> u16_big() { return read<uint16_t, true>(); }
  std::optional<uint32_t> u32_big() { return read<uint32_t, true>(); }
  std::optional<uint64_t> u64_big() { return read<uint64_t, true>(); }

 private:
  template <class Number, bool big>
  std::optional<Number> read() {
    const uint8_t* at = bytes(sizeof(Number));
    if (!at) return std::nullopt;
    uint64_t value = 0;
    for (unsigned i = 0; i < sizeof(Number); ++i) value |= uint64_t{at[i]} << 8 * (big ? sizeof(Number) - 1 - i : i);
    return static_cast<Number>(value);
  }

  const uint8_t* begin_;
  uint64_t size_;
  uint64_t offset_ = 0;
};

}  // namespace lt
