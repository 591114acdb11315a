// Random numbers by counting: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A
// number depends on the seed and on where it is used alone, so every device draws the same and nothing has to be saved.
#pragma once

#include <cstdint>

namespace lt {

struct Philox4 {
  uint32_t v[4];
};

inline constexpr uint32_t philox_multiplier0 = 0xD2511F53u, philox_multiplier1 = 0xCD9E8D57u;
inline constexpr uint32_t philox_weyl0 = 0x9E3779B9u, philox_weyl1 = 0xBB67AE85u;
inline constexpr int philox_rounds = 10;

constexpr Philox4 philox4x32(Philox4 c, uint64_t key) {
  uint32_t key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < philox_rounds; ++round) {
    const uint64_t product0 = uint64_t{philox_multiplier0} * c.v[0], product1 = uint64_t{philox_multiplier1} * c.v[2];
    c = {{static_cast<uint32_t>(product1 >> 32) ^ c.v[1] ^ key0, static_cast<uint32_t>(product1),
          static_cast<uint32_t>(product0 >> 32) ^ c.v[3] ^ key1, static_cast<uint32_t>(product0)}};
    key0 += philox_weyl0;
    key1 += philox_weyl1;
  }
  return c;
}

// What the numbers are for; part of the counter, so that no two uses share numbers.
enum class RandomStream : uint32_t { weights = 0, dropout = 1, shuffle = 2, synthetic = 3 };

// The counter's words: block (element / 4), sample (or index), step (or epoch), and layer and stream together.
constexpr Philox4 philox_counter(RandomStream stream, uint32_t layer, uint64_t step, uint32_t sample, uint32_t block) {
  return {{block, sample, static_cast<uint32_t>(step), layer << 8 | static_cast<uint32_t>(stream)}};
}

// Uniform in [0, 1): the top 24 bits, exact in float.
constexpr float philox_uniform(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }

// An element is dropped where its word is below this.
constexpr uint32_t dropout_threshold(float rate) { return static_cast<uint32_t>(static_cast<double>(rate) * 4294967296.0); }

// True where dropout keeps element `element` of sample `sample` (its place in the whole batch) in step `step`.
constexpr bool dropout_keeps(uint64_t seed, uint64_t step, uint32_t layer, uint32_t sample, uint32_t element, float rate) {
  return philox4x32(philox_counter(RandomStream::dropout, layer, step, sample, element / 4), seed).v[element % 4] >=
         dropout_threshold(rate);
}

}  // namespace lt
