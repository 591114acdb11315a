// A GPU's libraries behind a driver table that counts: how often each function was called, how long the calls took, and
// what memory they handed out that was not given back. What the libraries ask of the driver themselves is not seen. The
// libraries are those of the program's gpu_libraries(). One thread at a time.
#pragma once

#include <cstdint>

#include "backends/cuda/libraries.h"

namespace lt::cuda {

// installed.cpp: the machine's; fakes.cpp: the fakes that tests/cuda runs on.
const LibrarySource& gpu_libraries();
extern const bool gpu_is_fake;

namespace counted {

extern const LibrarySource libraries;

struct Calls {
  uint64_t count = 0;
  double seconds = 0;
};
// Since the last reset, by the driver's own name, such as "cuMemAlloc"; also "open libcuda", "open cuDNN" and
// "open cuBLASLt", which have a time alone once they were opened.
Calls calls_of(const char* function);
Calls all_calls();
// Calls f(name, calls) for every function that was called.
void for_each(void (*f)(void* user, const char* function, const Calls& calls), void* user);
void reset_calls();

// Called with true before and with false after each call of the driver, where it is not null.
extern void (*at_call)(bool begins);

// Bytes of device memory and of pinned memory that are held, by cuMemAlloc and cuMemHostAlloc.
uint64_t device_bytes_held();
uint64_t pinned_bytes_held();
// What the driver says of the current context's device.
uint64_t device_bytes_free();

}  // namespace counted
}  // namespace lt::cuda
