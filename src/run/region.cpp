#include "src/run/region.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace lt {

Region::~Region() {
  if (owned_) munmap(bytes_, size_);
}

Status Region::reserve(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return fail(Status::memory, "the system refused %zu bytes for the arena: %s", bytes, std::strerror(errno));
  (void)madvise(memory, bytes, MADV_HUGEPAGE);
  bytes_ = static_cast<std::byte*>(memory);
  size_ = bytes;
  owned_ = true;
  return Status::ok;
}

Status Region::adopt(void* memory, size_t bytes, size_t needed_bytes) {
  if (reinterpret_cast<uintptr_t>(memory) % region_alignment != 0)
    return fail(Status::argument, "the arena starts at %p, which is not a multiple of %zu", memory, region_alignment);
  bytes_ = static_cast<std::byte*>(memory);
  size_ = bytes;
  std::memset(memory, 0, needed_bytes);
  return Status::ok;
}

}  // namespace lt
