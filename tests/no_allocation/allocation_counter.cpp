#include "tests/no_allocation/allocation_counter.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// glibc's own entries, which stay reachable when malloc is replaced.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);
}

namespace lt::test {
namespace {

std::atomic<bool> armed{false};
std::atomic<uint64_t> ours{0}, vendors{0}, maps{0}, threads{0};
std::atomic<bool> first_taken{false};
char first[256];
thread_local bool inside = false;  // backtrace and dladdr may call the functions that they are to explain

bool contains(const char* text, const char* part) { return std::strstr(text, part) != nullptr; }

// Who asked: the innermost caller that is not the C or C++ library, which only pass the request on.
__attribute__((noinline)) const char* find_caller(const void** address) {
  void* frames[24];
  const int depth = backtrace(frames, 24);
  for (int i = 3; i < depth; ++i) {
    Dl_info info;
    if (!dladdr(frames[i], &info) || !info.dli_fname) continue;
    const char* name = info.dli_fname;
    if (contains(name, "libc.so") || contains(name, "libstdc++") || contains(name, "libgcc") || contains(name, "ld-linux"))
      continue;
    *address =
        reinterpret_cast<const void*>(static_cast<const char*>(frames[i]) - static_cast<const char*>(info.dli_fbase));
    return name;
  }
  return "an unknown place";
}

bool is_nvidia(const char* caller) {
  return contains(caller, "libcuda") || contains(caller, "libcudnn") || contains(caller, "libcublas") ||
         contains(caller, "libnv");
}

__attribute__((noinline)) void count_heap_call(const char* what) {
  if (!armed.load(std::memory_order_relaxed) || inside) return;
  inside = true;
  const void* address = nullptr;
  const char* const caller = find_caller(&address);
  if (contains(caller, "libdnnl") || contains(caller, "libgomp") || is_nvidia(caller)) {
    ++vendors;
  } else {
    ++ours;
    if (!first_taken.exchange(true)) std::snprintf(first, sizeof first, "%s from %s at %p", what, caller, address);
  }
  inside = false;
}

__attribute__((noinline)) void count(std::atomic<uint64_t>& counter) {
  if (!armed.load(std::memory_order_relaxed) || inside) return;
  inside = true;
  const void* address = nullptr;
  ++(is_nvidia(find_caller(&address)) ? vendors : counter);
  inside = false;
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

void arm_allocation_counter() {
  void* frames[4];
  Dl_info info;
  backtrace(frames, 4);  // loads libgcc the first time
  dladdr(frames[0], &info);
  ours = vendors = maps = threads = 0;
  first_taken = false;
  first[0] = 0;
  armed = true;
}

AllocationCounts disarm_allocation_counter() {
  armed = false;
  AllocationCounts counts{ours, vendors, maps, threads, ""};
  std::memcpy(counts.first, first, sizeof first);
  return counts;
}

void pause_allocation_counter(bool paused) { inside = paused; }

}  // namespace lt::test

#define LT_REPLACES extern "C" __attribute__((visibility("default"), noinline))

LT_REPLACES void* malloc(size_t bytes) noexcept {
  lt::test::count_heap_call("malloc");
  return __libc_malloc(bytes);
}
LT_REPLACES void* calloc(size_t count, size_t bytes) noexcept {
  lt::test::count_heap_call("calloc");
  return __libc_calloc(count, bytes);
}
LT_REPLACES void* realloc(void* block, size_t bytes) noexcept {
  lt::test::count_heap_call("realloc");
  return __libc_realloc(block, bytes);
}
LT_REPLACES void free(void* block) noexcept {
  if (block) lt::test::count_heap_call("free");
  __libc_free(block);
}
LT_REPLACES void* memalign(size_t alignment, size_t bytes) noexcept {
  lt::test::count_heap_call("memalign");
  return __libc_memalign(alignment, bytes);
}
LT_REPLACES void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  lt::test::count_heap_call("aligned_alloc");
  return __libc_memalign(alignment, bytes);
}
LT_REPLACES int posix_memalign(void** block, size_t alignment, size_t bytes) noexcept {
  lt::test::count_heap_call("posix_memalign");
  *block = __libc_memalign(alignment, bytes);
  return *block ? 0 : ENOMEM;
}
LT_REPLACES void* mmap(void* address, size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  static auto* const original = lt::test::next<void*(void*, size_t, int, int, int, off_t)>("mmap");
  lt::test::count(lt::test::maps);
  return original(address, bytes, protection, flags, file, offset);
}
LT_REPLACES void* mremap(void* address, size_t old_bytes, size_t new_bytes, int flags, ...) noexcept {
  static auto* const original = lt::test::next<void*(void*, size_t, size_t, int, ...)>("mremap");
  lt::test::count(lt::test::maps);
  va_list arguments;
  va_start(arguments, flags);
  void* const destination = va_arg(arguments, void*);
  va_end(arguments);
  return original(address, old_bytes, new_bytes, flags, destination);
}
LT_REPLACES int brk(void* address) noexcept {
  static auto* const original = lt::test::next<int(void*)>("brk");
  lt::test::count(lt::test::maps);
  return original(address);
}
LT_REPLACES void* sbrk(intptr_t increment) noexcept {
  static auto* const original = lt::test::next<void*(intptr_t)>("sbrk");
  lt::test::count(lt::test::maps);
  return original(increment);
}
LT_REPLACES int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                               void* argument) noexcept {
  static auto* const original =
      lt::test::next<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>("pthread_create");
  lt::test::count(lt::test::threads);
  return original(thread, attributes, start, argument);
}
