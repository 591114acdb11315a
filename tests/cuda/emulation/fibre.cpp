// See fibre.h. On x86-64 a switch keeps the six registers that a call must keep and nothing else; elsewhere it is
// ucontext's.
#include "tests/cuda/emulation/fibre.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
extern "C" {
void __tsan_ignore_thread_begin();
void __tsan_ignore_thread_end();
}
#endif

#if defined(__x86_64__)
// emulation_switch(void** leave, void* enter)
asm(R"(
.text
.p2align 4
.type emulation_switch, @function
emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulation_switch, .-emulation_switch
)");
extern "C" void emulation_switch(void** leave, void* enter);
#endif

namespace emulation {
namespace {

constexpr size_t page_bytes = 4096;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t usual_stack_bytes = 256 << 10;
#else
constexpr size_t usual_stack_bytes = 64 << 10;
#endif

}  // namespace

Fibre* Fibre::left_ = nullptr;

Fibre::Fibre(void (*entry)()) : entry_(entry), stack_bytes_(usual_stack_bytes) {
  void* mapping =
      mmap(nullptr, page_bytes + stack_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED || mprotect(mapping, page_bytes, PROT_NONE) != 0) {
    std::fputs("emulation: no memory for a thread's stack\n", stderr);
    std::abort();
  }
  mapping_ = static_cast<std::byte*>(mapping);
  stack_ = mapping_ + page_bytes;
#if !defined(__x86_64__)
  stack_pointer_ = new ucontext_t;
#endif
  restart();
}

void Fibre::restart() {
  allow(stack_, stack_bytes_);  // the red zones of frames that were left standing
  address_checker_ = nullptr;
#if defined(__SANITIZE_THREAD__)
  race_checker_ = __tsan_create_fiber(0);  // one that was left in the middle is not to be ended
#endif
#if defined(__x86_64__)
  void** top = reinterpret_cast<void**>(stack_ + stack_bytes_);
  *--top = nullptr;  // where entry would return to; leaves the stack as a call does, 8 off a multiple of 16
  *--top = reinterpret_cast<void*>(entry_);
  stack_pointer_ = top - 6;
#else
  auto* context = static_cast<ucontext_t*>(stack_pointer_);
  getcontext(context);
  context->uc_stack = {stack_, 0, stack_bytes_};
  context->uc_link = nullptr;
  makecontext(context, entry_, 0);
#endif
}

void Fibre::on_caller() {
  stack_ = nullptr;
#if !defined(__x86_64__)
  if (stack_pointer_ == nullptr) stack_pointer_ = new ucontext_t;
#endif
#if defined(__SANITIZE_THREAD__)
  race_checker_ = __tsan_get_current_fiber();
#endif
}

void Fibre::switch_to(Fibre& next) {
  left_ = this;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&address_checker_, next.stack_, next.stack_bytes_);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(next.race_checker_, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__x86_64__)
  emulation_switch(&stack_pointer_, next.stack_pointer_);
#else
  swapcontext(static_cast<ucontext_t*>(stack_pointer_), static_cast<ucontext_t*>(next.stack_pointer_));
#endif
  arrived();
}

void Fibre::arrived() {
#if defined(__SANITIZE_ADDRESS__)
  const void* bottom = nullptr;
  size_t bytes = 0;
  __sanitizer_finish_switch_fiber(address_checker_, &bottom, &bytes);
  if (left_->mapping_ == nullptr) {  // the caller's stack, of which nobody else tells
    left_->stack_ = static_cast<std::byte*>(const_cast<void*>(bottom));
    left_->stack_bytes_ = bytes;
  }
#endif
}

Hidden::Hidden() {
#if defined(__SANITIZE_THREAD__)
  __tsan_ignore_thread_begin();
#endif
}
Hidden::~Hidden() {
#if defined(__SANITIZE_THREAD__)
  __tsan_ignore_thread_end();
#endif
}

void happens_before([[maybe_unused]] void* event) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(event);
#endif
}
void happens_after([[maybe_unused]] void* event) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(event);
#endif
}
void forbid([[maybe_unused]] const void* from, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(from, bytes);
#endif
}
void allow([[maybe_unused]] const void* from, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(from, bytes);
#endif
}

}  // namespace emulation
