// The random numbers of NumPy's RandomState(seed), bit for bit, for a seed that is one number: the Mersenne Twister
// (Matsumoto & Nishimura 1998), seeded by its authors' init_genrand as std::mt19937 is, and of NumPy's methods those that
// are needed here. NumPy keeps this stream as it is for good (NEP 19). One thread at a time.
#pragma once

#include <cstdint>
#include <random>

namespace lt::data {

class NumpyRandom {
 public:
  explicit NumpyRandom(uint32_t seed) : twister_(seed) {}

  // uniform(low, high): 53 bits of two draws.
  double uniform(double low, double high) {
    const auto upper = static_cast<double>(twister_() >> 5), lower = static_cast<double>(twister_() >> 6);
    return low + (high - low) * ((upper * 0x1p26 + lower) * 0x1p-53);
  }

  // randint(low, high), low <= result < high, for ranges of at most 2^32 numbers: 32 bits a draw, masked to as many as the
  // range needs and drawn again where they are past it. A range of one number draws nothing.
  int64_t randint(int64_t low, int64_t high) {
    const auto largest = static_cast<uint32_t>(static_cast<uint64_t>(high) - static_cast<uint64_t>(low) - 1);
    if (largest == 0) return low;
    const uint32_t mask = UINT32_MAX >> __builtin_clz(largest);
    uint32_t value;
    do value = static_cast<uint32_t>(twister_()) & mask;
    while (value > largest);
    return low + value;
  }

 private:
  std::mt19937 twister_;
};

}  // namespace lt::data
