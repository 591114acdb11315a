// Chains of multiply-adds in registers, and a sweep over memory: see machine_peak.h.
#include "tools/machine_peak.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <thread>
#include <vector>

#include "tools/bf16_peak.h"

namespace lt::tool {
namespace {

double now_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

constexpr int chains = 12;  // independent sums: a multiply-add takes 4 cycles, and two start in each
constexpr long rounds = 1'000'000, rounds_now = 50'000;

// Vectors of the compiler's own. Float arithmetic is not associative, so the loop may not be folded.
template <int Bytes>
__attribute__((always_inline)) inline float multiply_add_chains(long count) {
  typedef float Vector __attribute__((vector_size(Bytes)));
  Vector sums[chains], factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
  for (int i = 0; i < chains; ++i) sums[i] = Vector{} + static_cast<float>(i);
  for (long round = 0; round < count; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < chains; ++i) sums[i] = sums[i] * factor + term;
  }
  float total = 0;
  for (int i = 0; i < chains; ++i) {
    float lanes[Bytes / 4];
    std::memcpy(lanes, &sums[i], Bytes);
    total += lanes[0];
  }
  return total;
}

struct Kernel {
  const char* name;
  int bytes;
  float (*run)(long rounds);
};

#if defined(__x86_64__)
__attribute__((target("avx512f"))) float chains_512(long count) { return multiply_add_chains<64>(count); }
__attribute__((target("avx2,fma"))) float chains_256(long count) { return multiply_add_chains<32>(count); }
#endif
float chains_128(long count) { return multiply_add_chains<16>(count); }

Kernel best_kernel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {"AVX-512", 64, chains_512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {"AVX2", 32, chains_256};
#endif
  return {"128-bit", 16, chains_128};
}

template <class Task>
double best_seconds(unsigned threads, int tries, const Task& task) {
  double best = 1e30;
  for (int i = 0; i < tries; ++i) {
    std::vector<std::thread> others;
    const double begun = now_seconds();
    for (unsigned t = 1; t < threads; ++t) others.emplace_back(task, t);
    task(0u);
    for (std::thread& other : others) other.join();
    best = std::min(best, now_seconds() - begun);
  }
  return best;
}

}  // namespace

double flops_per_second_now() {
  const Kernel kernel = best_kernel();
  volatile float sink = kernel.run(rounds_now / 10);  // wide units that were idle take microseconds to wake
  const double begun = now_seconds();
  sink = kernel.run(rounds_now);
  (void)sink;
  return 2.0 * chains * (kernel.bytes / 4) * static_cast<double>(rounds_now) / (now_seconds() - begun);
}

MachinePeak measure_machine_peak(unsigned threads) {
  const Kernel kernel = best_kernel();
  volatile float sink = 0;
  const double arithmetic = best_seconds(threads, 20, [&](unsigned) { sink = kernel.run(rounds); });
  const double operations = 2.0 * chains * (kernel.bytes / 4) * static_cast<double>(rounds) * threads;

  const Bf16Chains bf16 = bf16_chains();
  double bf16_flops_per_second = 0;
  if (bf16.run != nullptr)
    bf16_flops_per_second = bf16.operations * threads / best_seconds(threads, 20, [&](unsigned) { bf16.run(); });

  constexpr size_t words = size_t{24} << 20;  // 96 MiB a thread: past the caches
  std::vector<std::vector<float>> blocks(threads, std::vector<float>(words, 1.0f));
  const double memory = best_seconds(threads, 10, [&](unsigned t) {
    for (float& value : blocks[t]) value = value * 0.5f + 1.0f;
  });
  return {kernel.name, operations / arithmetic, bf16.kernel, bf16_flops_per_second,
          2.0 * sizeof(float) * words * threads / memory};
}

}  // namespace lt::tool
