// Sets of pictures that the program draws from a seed, for where nothing has been fetched. Only + - * / and square roots
// may go into a picture, whose results IEEE 754 fixes, so that a seed gives the same bytes on every machine. A data set
// owns its samples; any thread may read it.
#pragma once

#include "src/base/philox.h"
#include "src/dataset.h"

namespace lt::data {

// The random numbers of one sample, in the order in which they are asked for.
class Draw {
 public:
  Draw(uint64_t seed, Split split, uint32_t sample) : seed_(seed), split_(split == Split::test), sample_(sample) {}

  uint32_t bits() {
    if (next_ == 4) {
      numbers_ = philox4x32(philox_counter(RandomStream::synthetic, split_, 0, sample_, block_++), seed_);
      next_ = 0;
    }
    return numbers_.v[next_++];
  }
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(uint64_t{bits()} * n >> 32); }
  float uniform() { return philox_uniform(bits()); }
  float between(float low, float high) { return low + (high - low) * uniform(); }
  // Mean 0, deviation 1, and never past 3.5: the sum of four uniform numbers has variance 4 / 12.
  float normal() {
    float sum = -2;
    for (int i = 0; i < 4; ++i) sum += uniform();
    return sum * 1.7320508f;
  }

 private:
  uint64_t seed_;
  uint32_t split_, sample_, block_ = 0, next_ = 4;
  Philox4 numbers_{};
};

struct SyntheticSet {
  const char* title;  // as errors say it
  Extent extent;
  uint32_t classes;
  uint32_t counts[2];  // samples to train on, and to test with
  // Draws a picture of class `label` into extent.elements() bytes, [channel][row][column].
  void (*draw)(uint32_t label, Draw& draw, uint8_t* out);
};

// Draws the whole split; Status::memory where the system refuses the bytes.
Status open_synthetic(const SyntheticSet& set, Split split, uint64_t seed, std::unique_ptr<Dataset>* dataset);

// They need no files.
bool synthetic_found(const char* directory);

}  // namespace lt::data
