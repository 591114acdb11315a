// Counts every call that takes memory from the system or starts a thread, in the whole process, while it is armed. The
// functions of libc are replaced by this program's own (allocation_counter.cpp); any thread may call them.
#pragma once

#include <cstdint>

namespace lt::test {

struct AllocationCounts {
  uint64_t ours = 0;     // malloc and its kin, from this project's code or a library called by it
  uint64_t vendors = 0;  // the same, from inside libdnnl or libgomp; and all that NVIDIA's driver and libraries call
  uint64_t maps = 0;     // mmap, mremap, brk, sbrk, whoever else calls
  uint64_t threads = 0;  // pthread_create, whoever else calls
  char first[256] = "";  // the first one of ours: what called, and from where
};

// From here on calls are counted, from zero.
void arm_allocation_counter();
AllocationCounts disarm_allocation_counter();
// While paused, what the calling thread does is not counted.
void pause_allocation_counter(bool paused);

}  // namespace lt::test
