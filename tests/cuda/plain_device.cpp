// See plain_device.h. Defines what fake.h leaves to the device.
#include "tests/cuda/plain_device.h"

#include <map>

#include "tests/cuda/fake.h"

namespace lt::cuda {
namespace {

std::map<const std::byte*, size_t> ranges;
int stream_place;

}  // namespace

namespace plain {

void add_device_range(const void* first, size_t bytes) { ranges[static_cast<const std::byte*>(first)] = bytes; }
void remove_device_range(const void* first) { ranges.erase(static_cast<const std::byte*>(first)); }
CUstream stream() { return reinterpret_cast<CUstream>(&stream_place); }

}  // namespace plain

namespace fake {

bool is_device_range(const void* first, size_t bytes) {
  const auto* begin = static_cast<const std::byte*>(first);
  auto range = ranges.upper_bound(begin);
  if (range == ranges.begin()) return false;
  --range;
  return begin + bytes <= range->first + range->second;
}

void enqueue(CUstream stream, std::function<void()> work, const char* what) {
  if (stream != plain::stream()) complain("%s: put on a stream that nobody made", what);
  work();
}

void forbid_in_capture(const char*) {}

}  // namespace fake

}  // namespace lt::cuda
