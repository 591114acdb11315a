// The order of an epoch: a permutation of [0, count) that is computed, not stored. A Feistel network of four rounds on the
// index, keyed by seed and epoch, permutes the next power of four; walking its cycle until the result is below `count`
// makes it a permutation of any count (Black & Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
#pragma once

#include <cstdint>

#include "src/base/philox.h"

namespace lt {

class Shuffle {
 public:
  constexpr Shuffle(uint64_t seed, uint64_t epoch, uint32_t count) : seed_(seed), epoch_(epoch), count_(count) {
    while (half_bits_ < 16 && (uint64_t{1} << (2 * half_bits_)) < count) ++half_bits_;
  }

  // The sample that stands at `position` (< count) of this epoch.
  constexpr uint32_t at(uint32_t position) const {
    uint64_t index = position;
    do index = permute(index);
    while (index >= count_);
    return static_cast<uint32_t>(index);
  }

 private:
  constexpr uint64_t permute(uint64_t index) const {
    const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
    uint64_t left = index >> half_bits_, right = index & mask;
    for (uint32_t round = 0; round < 4; ++round) {
      const Philox4 random =
          philox4x32(philox_counter(RandomStream::shuffle, round, epoch_, 0, static_cast<uint32_t>(right)), seed_);
      const uint64_t next = left ^ (random.v[0] & mask);
      left = right;
      right = next;
    }
    return left << half_bits_ | right;
  }

  uint64_t seed_, epoch_;
  uint32_t count_;
  uint32_t half_bits_ = 1;
};

}  // namespace lt
