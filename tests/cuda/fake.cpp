// Counts of the fakes. See fake.h.
#include "tests/cuda/fake.h"

#include <cstdarg>
#include <cstdio>
#include <utility>

namespace lt::cuda::fake {
namespace {

uint64_t call_count = 0, failing_call = 0, failed_count = 0;
std::string failing_function;  // whose calls alone count for failing_call; empty: all do
uint64_t function_calls = 0;
const char* failed = nullptr;
int64_t objects = 0;
std::vector<std::string> complaints;

}  // namespace

bool fails(const char* function) {
  ++call_count;
  if (!failing_function.empty()) {
    if (failing_function != function || ++function_calls != failing_call) return false;
  } else if (call_count != failing_call) {
    return false;
  }
  failed = function;
  failed_count = call_count;
  return true;
}

void fail_call(uint64_t n) { fail_call_of("", n); }
void fail_call_of(const char* function, uint64_t n) {
  call_count = function_calls = 0;
  failing_call = n;
  failing_function = function;
  failed = nullptr;
}

uint64_t calls() { return call_count; }
const char* failed_function() { return failed; }
uint64_t failed_call() { return failed_count; }

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
