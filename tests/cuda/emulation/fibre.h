// Stacks that are switched between: what runs the threads of an emulated block. All belong to the thread that made them.
// The sanitizers are told of every switch.
#pragma once

#include <cstddef>

namespace emulation {

class Fibre {
 public:
  // A fibre of its own stack, with a page that cannot be touched below it. Ends the program where there is no memory.
  explicit Fibre(void (*entry)());
  // The one that runs already: the caller's.
  Fibre() = default;
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;
  ~Fibre() = default;  // keeps its stack: fibres are there to the end

  // Leaves off here and goes on there. Comes back when somebody switches to this one.
  void switch_to(Fibre& next);
  // Has the stack start at `entry` again; what stood on it is forgotten.
  void restart();
  // The first thing that `entry` does.
  void arrived();
  // Takes note that the caller's own stack may be another one than the last time.
  void on_caller();

 private:
  static Fibre* left_;  // the last one that switched

  void (*entry_)() = nullptr;
  std::byte* mapping_ = nullptr;
  std::byte* stack_ = nullptr;
  size_t stack_bytes_ = 0;
  void* stack_pointer_ = nullptr;  // or the ucontext
  void* address_checker_ = nullptr;
  void* race_checker_ = nullptr;
};

// What the sanitizers may and may not see. `Hidden` keeps the race checker out of the emulation's own state.
class Hidden {
 public:
  Hidden();
  ~Hidden();
};
void happens_before(void* event);
void happens_after(void* event);
void forbid(const void* from, size_t bytes);
void allow(const void* from, size_t bytes);

// True where each emulated thread needs a fibre of its own, for the race checker to tell them apart.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool fibre_for_each_thread = true;
#else
inline constexpr bool fibre_for_each_thread = false;
#endif

}  // namespace emulation
