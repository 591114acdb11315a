// One pass over the test set by lt_session_predict. Main thread.
#include "tools/mistakes.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lt::tool {
namespace {

// The place in the file decides between equal losses, so that equal runs give equal logs.
bool is_worse(const Mistake& a, const Mistake& b) { return a.loss != b.loss ? a.loss > b.loss : a.index < b.index; }

}  // namespace

bool are_images(const lt_dataset_info& info) {
  return info.vocabulary == 0 && (info.channels == 1 || info.channels == 3) && info.height > 1 && info.width > 1 &&
         info.sample_bytes == uint64_t{info.channels} * info.height * info.width;
}

lt_status find_mistakes(lt_session* session, const lt_dataset* test, const lt_dataset_info& info, uint32_t batch,
                        std::vector<Mistake>* mistakes) {
  std::vector<uint8_t> samples(size_t{batch} * info.sample_bytes);
  std::vector<uint32_t> labels(batch);
  std::vector<float> probabilities(size_t{batch} * info.classes);
  mistakes->clear();
  mistakes->reserve(mistakes_kept + 1);
  for (uint64_t first = 0; first < info.count; first += batch) {
    const auto n = static_cast<uint32_t>(std::min<uint64_t>(batch, info.count - first));
    for (uint32_t i = 0; i < n; ++i)
      if (const lt_status status = lt_dataset_read(test, first + i, &samples[i * info.sample_bytes], &labels[i]))
        return status;
    if (const lt_status status =
            lt_session_predict(session, samples.data(), n, probabilities.data(), size_t{n} * info.classes))
      return status;
    for (uint32_t i = 0; i < n; ++i) {
      const float* const row = &probabilities[size_t{i} * info.classes];
      const float* const best = std::max_element(row, row + info.classes);
      const auto predicted = static_cast<uint32_t>(best - row);
      if (predicted == labels[i]) continue;
      // A probability that rounded to zero is still below the least float.
      const double likelihood = std::max<double>(row[labels[i]], std::numeric_limits<float>::denorm_min());
      const Mistake mistake = {first + i, labels[i], predicted, -std::log(likelihood), *best};
      mistakes->insert(std::upper_bound(mistakes->begin(), mistakes->end(), mistake, is_worse), mistake);
      if (mistakes->size() > mistakes_kept) mistakes->pop_back();
    }
  }
  return LT_OK;
}

}  // namespace lt::tool
