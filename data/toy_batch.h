// The one batch that the speed of recurrent networks is measured on: 25 sequences of 1000 steps with 123 features,
// RandomState(11).uniform(-1, 1, (25, 1000, 123)) of NumPy as float32, the same bits, and the labels that the same
// generator draws next. Plain data that the caller owns.
#pragma once

#include <cstdint>
#include <vector>

namespace lt::data {

inline constexpr uint32_t toy_samples = 25, toy_steps = 1000, toy_features = 123;
inline constexpr uint32_t toy_classes = 25;
// Connectionist temporal classification: 0 is the blank, and of the others each sample has 100.
inline constexpr uint32_t toy_ctc_classes = 59, toy_ctc_labels = 100;

struct ToyBatch {
  std::vector<float> x;  // [sample][step][feature]
  // One a sample: randint(0, 24, 25). For CTC [sample][100]: randint(1, 58, 2500).
  std::vector<int32_t> labels;
};

enum class ToyLabels : uint8_t { classes, ctc };

ToyBatch make_toy_batch(ToyLabels labels);

// Steps of each sample where the network is trained by CTC: 25 numbers evenly from 500 to 1000, cut to whole ones.
constexpr uint32_t toy_ctc_length(uint32_t sample) { return 500 + 500 * sample / (toy_samples - 1); }

}  // namespace lt::data
