// What threads do together: barriers, warp exchanges, atomics, clusters. Each call notes the line that it stands in, which
// must be the same for all that meet there. Included by kernel files alone.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace emulation {

struct Site {
  const char* file;
  unsigned line;
};

inline constexpr size_t exchange_bytes = 128;  // most that one lane can hand over

// What the lanes of a mask left for each other. Valid until the lane's next exchange under this mask.
struct Exchanged {
  const std::byte* slots;  // [32][exchange_bytes]
  unsigned lanes;          // that are there
};

// Each returns when all that are to come have come, and ends the launch where that cannot be. See scheduler.cpp.
void block_barrier(Site site);
void cluster_barrier(Site site);
Exchanged exchange(unsigned mask, const void* value, size_t bytes, const char* kind, Site site);
[[noreturn]] void fail_lane(const char* kind, unsigned lane, Site site);

unsigned lane_index();
// Lets other threads go on, in the orders that do so, as their atomics may come before.
void before_atomic();
void set_graph_condition(uint64_t handle, uint32_t value);

unsigned cluster_rank();
unsigned cluster_blocks();
// The same place in the shared memory of another block of the cluster.
void* in_block_of_cluster(const void* place, unsigned rank);

// All lanes of a mask leave a value and get all values.
template <class T>
class Gathered {
 public:
  Gathered(unsigned mask, const T& value, const char* kind, Site site)
      : kind_(kind), site_(site), all_(exchange(mask, &value, sizeof value, kind, site)) {
    static_assert(sizeof(T) <= exchange_bytes && std::is_trivially_copyable_v<T>);
  }
  unsigned lanes() const { return all_.lanes; }
  bool has(unsigned lane) const { return (all_.lanes >> lane & 1) != 0; }
  T operator[](unsigned lane) const {
    if (lane >= 32 || !has(lane)) fail_lane(kind_, lane, site_);
    T value;
    std::memcpy(static_cast<void*>(&value), all_.slots + lane * exchange_bytes, sizeof value);
    return value;
  }

 private:
  const char* kind_;
  Site site_;
  Exchanged all_;
};

}  // namespace emulation

#define LT_EMULATION_SITE const char *file = __builtin_FILE(), unsigned line = __builtin_LINE()

inline void __syncthreads(LT_EMULATION_SITE) { emulation::block_barrier({file, line}); }
inline void __syncwarp(unsigned mask = ~0u, LT_EMULATION_SITE) {
  const char nothing = 0;
  emulation::exchange(mask, &nothing, sizeof nothing, "__syncwarp", {file, line});
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, LT_EMULATION_SITE) {
  const unsigned lane = emulation::lane_index(), last = static_cast<unsigned>(width) - 1;
  const emulation::Gathered<T> all(mask, value, "__shfl_sync", {file, line});
  return all[(lane & ~last) | (static_cast<unsigned>(source) & last)];
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, LT_EMULATION_SITE) {
  const unsigned lane = emulation::lane_index(), last = static_cast<unsigned>(width) - 1;
  const emulation::Gathered<T> all(mask, value, "__shfl_down_sync", {file, line});
  return all[(lane & last) + delta <= last ? lane + delta : lane];
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, LT_EMULATION_SITE) {
  const unsigned lane = emulation::lane_index(), last = static_cast<unsigned>(width) - 1;
  const emulation::Gathered<T> all(mask, value, "__shfl_up_sync", {file, line});
  return all[(lane & last) >= delta ? lane - delta : lane];
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, LT_EMULATION_SITE) {
  const unsigned lane = emulation::lane_index(), source = lane ^ static_cast<unsigned>(lanes);
  const unsigned last = static_cast<unsigned>(width) - 1;
  const emulation::Gathered<T> all(mask, value, "__shfl_xor_sync", {file, line});
  return all[(source & ~last) > (lane & ~last) ? lane : source];
}
inline unsigned __ballot_sync(unsigned mask, int predicate, LT_EMULATION_SITE) {
  const emulation::Gathered<bool> all(mask, predicate != 0, "vote", {file, line});
  unsigned bits = 0;
  for (unsigned lane = 0; lane < 32; ++lane) bits |= (all.has(lane) && all[lane] ? 1u : 0u) << lane;
  return bits;
}
inline int __any_sync(unsigned mask, int predicate, LT_EMULATION_SITE) {
  return __ballot_sync(mask, predicate, file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, LT_EMULATION_SITE) {
  return __ballot_sync(mask, predicate == 0, file, line) == 0;
}
template <std::integral T>
T __reduce_add_sync(unsigned mask, T value, LT_EMULATION_SITE) {
  const emulation::Gathered<T> all(mask, value, "__reduce_add_sync", {file, line});
  T sum = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    if (all.has(lane)) sum += all[lane];
  return sum;
}

template <std::integral T>
T __reduce_max_sync(unsigned mask, T value, LT_EMULATION_SITE) {
  const emulation::Gathered<T> all(mask, value, "__reduce_max_sync", {file, line});
  for (unsigned lane = 0; lane < 32; ++lane)
    if (all.has(lane) && all[lane] > value) value = all[lane];
  return value;
}

// Of whole numbers alone: sums of floats would depend on the order of the threads.
template <std::integral T>
T atomicAdd(T* p, std::type_identity_t<T> value) {
  emulation::before_atomic();
  return __atomic_fetch_add(p, value, __ATOMIC_RELAXED);
}
template <std::integral T>
T atomicOr(T* p, std::type_identity_t<T> value) {
  emulation::before_atomic();
  return __atomic_fetch_or(p, value, __ATOMIC_RELAXED);
}
template <std::integral T>
T atomicExch(T* p, std::type_identity_t<T> value) {
  emulation::before_atomic();
  return __atomic_exchange_n(p, value, __ATOMIC_RELAXED);
}
template <std::integral T>
T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  emulation::before_atomic();
  __atomic_compare_exchange_n(p, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}
template <std::integral T>
T atomicMax(T* p, std::type_identity_t<T> value) {
  emulation::before_atomic();
  T old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (old < value && !__atomic_compare_exchange_n(p, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}

using cudaGraphConditionalHandle = unsigned long long;
inline void cudaGraphSetConditional(cudaGraphConditionalHandle handle, unsigned value) {
  emulation::set_graph_condition(handle, value);
}

namespace cooperative_groups {

struct cluster_group {
  void sync(LT_EMULATION_SITE) const { emulation::cluster_barrier({file, line}); }
  unsigned block_rank() const { return emulation::cluster_rank(); }
  unsigned num_blocks() const { return emulation::cluster_blocks(); }
  template <class T>
  T* map_shared_rank(T* p, unsigned rank) const {
    return static_cast<T*>(emulation::in_block_of_cluster(p, rank));
  }
};
inline cluster_group this_cluster() { return {}; }

}  // namespace cooperative_groups
