// One block of memory: reserved from the system in one piece, or the caller's.
#pragma once

#include <cstddef>

#include "src/base/status.h"

namespace lt {

inline constexpr size_t region_alignment = 4096;

class Region {
 public:
  Region() = default;
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  // Zeroed memory of the system; asks for huge pages, which spare page faults at the start.
  Status reserve(size_t bytes);
  // The caller's memory, zeroed here; not freed.
  Status adopt(void* memory, size_t bytes, size_t needed_bytes);
  std::byte* bytes() const { return bytes_; }

 private:
  std::byte* bytes_ = nullptr;
  size_t size_ = 0;
  bool owned_ = false;
};

}  // namespace lt
