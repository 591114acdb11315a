// Drawing the batch (toy_batch.h), and the built-in data sets that it is: with a class a sample, and with lengths and lists
// of labels for connectionist temporal classification. There is one batch, whatever the split and the seed.
#include "data/toy_batch.h"

#include <cstring>
#include <new>

#include "data/formats.h"
#include "data/hash.h"
#include "data/numpy_random.h"
#include "data/synthetic.h"

namespace lt::data {

ToyBatch make_toy_batch(ToyLabels labels) {
  constexpr uint32_t seed = 11;
  NumpyRandom random(seed);
  ToyBatch batch;
  batch.x.resize(size_t{toy_samples} * toy_steps * toy_features);
  for (float& x : batch.x) x = static_cast<float>(random.uniform(-1, 1));
  const bool ctc = labels == ToyLabels::ctc;
  batch.labels.resize(ctc ? toy_samples * toy_ctc_labels : toy_samples);
  for (int32_t& label : batch.labels)
    label = static_cast<int32_t>(ctc ? random.randint(1, toy_ctc_classes - 1) : random.randint(0, toy_classes - 1));
  return batch;
}

namespace {

class ToySequences final : public Dataset {
 public:
  explicit ToySequences(ToyLabels labels) : batch_(make_toy_batch(labels)) {
    info_.name = "synthetic";
    info_.extent = {toy_steps, toy_features, 1};
    info_.x_dtype = DType::f32;
    info_.has_lengths = labels == ToyLabels::ctc;
    info_.classes = info_.has_lengths ? toy_ctc_classes : toy_classes;
    info_.label_count = info_.has_lengths ? toy_ctc_labels : 1;
    info_.count = toy_samples;
  }

  const DatasetInfo& info() const override { return info_; }

  Status read(const uint32_t* indices, uint32_t n, void* x, int32_t* labels) const override {
    constexpr size_t elements = size_t{toy_steps} * toy_features;
    for (uint32_t i = 0; i < n; ++i) {
      if (indices[i] >= toy_samples)
        return fail(Status::argument, "toy sequences: sample %u asked for, has %u", indices[i], toy_samples);
      std::memcpy(static_cast<float*>(x) + i * elements, &batch_.x[indices[i] * elements], elements * sizeof(float));
      const size_t list = info_.label_count;
      std::memcpy(labels + i * list, &batch_.labels[indices[i] * list], list * sizeof(int32_t));
    }
    return Status::ok;
  }

  Status lengths(const uint32_t* indices, uint32_t n, uint32_t* lengths) const override {
    for (uint32_t i = 0; i < n; ++i) lengths[i] = info_.has_lengths ? toy_ctc_length(indices[i]) : toy_steps;
    return Status::ok;
  }

  Status hash(uint8_t out[16]) const override {
    const HashedPart parts[] = {{batch_.x.data(), batch_.x.size() * sizeof(float)},
                                {batch_.labels.data(), batch_.labels.size() * sizeof(int32_t)}};
    hash_parts(parts, out);
    return Status::ok;
  }

 private:
  ToyBatch batch_;
  DatasetInfo info_;
};

template <ToyLabels labels>
Status open(const char*, Split, uint64_t, std::unique_ptr<Dataset>* dataset) {
  try {
    *dataset = std::make_unique<ToySequences>(labels);
  } catch (const std::bad_alloc&) {
    return fail(Status::memory, "toy sequences: their %zu bytes were refused by the system",
                sizeof(float) * toy_samples * toy_steps * toy_features);
  }
  return Status::ok;
}

}  // namespace

const DatasetFormat toy_sequences = {"toy-sequences", "one batch of random sequences", true, nullptr, nullptr,
                                     synthetic_found, open<ToyLabels::classes>};
const DatasetFormat toy_sequences_ctc = {
    "toy-sequences-ctc", "the same batch with lengths and lists of labels", true, nullptr, nullptr, synthetic_found,
    open<ToyLabels::ctc>};

}  // namespace lt::data
