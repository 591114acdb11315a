// Counts of the fakes. See fake.h.
#include "tests/cuda/fake.h"

#include <cstdarg>
#include <cstdio>
#include <utility>

namespace lt::cuda::fake {
namespace {

uint64_t call_count = 0, failing_call = 0;
const char* failed = nullptr;
int64_t objects = 0;
std::vector<std::string> complaints;

}  // namespace

bool fails(const char* function) {
  if (++call_count != failing_call) return false;
  failed = function;
  return true;
}

void fail_call(uint64_t n) {
  call_count = 0;
  failing_call = n;
  failed = nullptr;
}

uint64_t calls() { return call_count; }
const char* failed_function() { return failed; }

void complain(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  complaints.emplace_back(text);
}

std::vector<std::string> take_complaints() { return std::exchange(complaints, {}); }

int64_t live_objects() { return objects; }
void count_object(int64_t change) { objects += change; }

}  // namespace lt::cuda::fake
