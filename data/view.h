// What Dataset::view is asked for, for the sets whose samples lie one behind the other in memory. Any thread.
#pragma once

#include <cstdint>

#include "src/base/status.h"

namespace lt::data {

// Fails where samples [first, first + n) of the set, which `name` calls by its path or title, are not all among its
// `count`.
inline Status check_view(const char* name, uint32_t first, uint32_t n, uint64_t count) {
  if (first <= count && n <= count - first) return Status::ok;
  return fail(Status::argument, "%s: %u samples from sample %u on asked for, has %llu", name, n, first,
              static_cast<unsigned long long>(count));
}

}  // namespace lt::data
