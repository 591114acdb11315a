// The test samples that a trained model got most wrong: for the run log and the report that is drawn from it. Reserves what
// it needs while it runs; main thread, after the last step.
#pragma once

#include <cstdint>
#include <vector>

#include "src/lean_train.h"

namespace lt::tool {

inline constexpr size_t mistakes_kept = 32;

struct Mistake {
  uint64_t index = 0;  // in the test set
  uint32_t label = 0, predicted = 0;
  double loss = 0;        // of this sample: -log of the label's probability
  float probability = 0;  // of the predicted class
};

// True where the samples are images whose bytes say what they show: grey or red-green-blue.
bool are_images(const lt_dataset_info& info);

// The wrongly classified samples of the largest losses, the worst one first, mistakes_kept at most. `batch` samples at a
// time.
lt_status find_mistakes(lt_session* session, const lt_dataset* test, const lt_dataset_info& info, uint32_t batch,
                        std::vector<Mistake>* mistakes);

}  // namespace lt::tool
