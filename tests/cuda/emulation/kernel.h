// The words that kernels are written in (backends/cuda/kernels/device.h), for the host: a kernel is a function that is
// listed by its name when the program starts. Included by kernel files alone.
#pragma once

#include <cstddef>
#include <type_traits>

#include "tests/cuda/emulation/launch.h"

namespace emulation {

inline constexpr size_t most_argument_bytes = 4096;

struct Registration {
  explicit Registration(const Kernel& kernel);  // ends the program where the name is taken
};

// The running block's own object for `key`; the same one for all its threads, poisoned when the block starts.
void* shared_object(const void* key, size_t bytes, size_t alignment);
// The launch's shared_bytes.
void* dynamic_shared();

}  // namespace emulation

#define LT_KERNEL(name, Arguments, threads)                                                                        \
  static void name##_body([[maybe_unused]] const Arguments& a);                                                    \
  static const ::emulation::Registration name##_registration(                                                      \
      {#name, sizeof(Arguments), threads,                                                                          \
       [](const void* arguments) { name##_body(*static_cast<const Arguments*>(arguments)); }});                    \
  static_assert(sizeof(Arguments) <= ::emulation::most_argument_bytes && std::is_trivially_copyable_v<Arguments>); \
  static void name##_body([[maybe_unused]] const Arguments& a)
#define LT_SHARED(name, ...)                                                                \
  static constexpr char name##_key = 0;                                                     \
  auto& name = *static_cast<std::type_identity_t<__VA_ARGS__>*>(::emulation::shared_object( \
      &name##_key, sizeof(std::type_identity_t<__VA_ARGS__>), alignof(std::type_identity_t<__VA_ARGS__>)))
#define LT_UNROLL
#define LT_DEVICE inline

namespace lt::cuda {
template <class T>
T* dynamic_shared() {
  return static_cast<T*>(::emulation::dynamic_shared());
}
}  // namespace lt::cuda
