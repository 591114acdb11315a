// What the fakes of CUDA's libraries share: a count of all their calls, any of which can be made to fail; what they
// complain about; and the fake device, whose memory and streams fake_driver.cpp keeps. One thread.
//
//     fake::fail_call(7);                  // the seventh call from here on fails
//     EXPECT_EQ(make(...), Status::...);
//     EXPECT_EQ(fake::live_objects(), 0);  // and nothing is left behind
#pragma once

#include <cuda.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lt::cuda::fake {

// fake.cpp

// Every function of a fake asks this first: counts the call, and is true for the one that is to fail.
bool fails(const char* function);
// The n-th call from here on fails, counted from 1; 0: none does.
void fail_call(uint64_t n);
// The n-th call of that function does.
void fail_call_of(const char* function, uint64_t n);
uint64_t calls();               // since the last fail_call, or fail_call_of
const char* failed_function();  // the name of the call that failed; null when none did yet
uint64_t failed_call();         // its number

// A breach of a library's rules: the test that did not plant it fails by asking for complaints. The fake also returns the
// status that the library has for it, if it has one.
void complain(const char* format, ...) __attribute__((format(printf, 1, 2)));
std::vector<std::string> take_complaints();

// Handles and descriptors that were made and not yet destroyed, of all fakes.
int64_t live_objects();
void count_object(int64_t change);

// fake_driver.cpp

// Whether all these bytes lie in one allocation of the device, or in pinned memory that it may reach.
bool is_device_range(const void* first, size_t bytes);
// Does the work now, or puts it into the graph that is captured from the stream, to be done at each launch of it.
void enqueue(CUstream stream, std::function<void()> work, const char* what);
// Complains where some stream is being captured.
void forbid_in_capture(const char* function);

}  // namespace lt::cuda::fake
