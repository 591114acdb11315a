// Keeping what was drawn: see synthetic.h.
#include "data/synthetic.h"

#include <cstring>
#include <new>
#include <vector>

#include "data/hash.h"
#include "data/view.h"

namespace lt::data {
namespace {

class SyntheticDataset final : public Dataset {
 public:
  SyntheticDataset(const SyntheticSet& set, Split split, uint64_t seed) : title_(set.title) {
    info_.name = "synthetic";
    info_.extent = set.extent;
    info_.x_dtype = DType::u8;
    info_.classes = set.classes;
    info_.count = set.counts[static_cast<int>(split)];
    samples_.resize(info_.count * info_.sample_bytes());
    labels_.resize(info_.count);
    for (uint32_t i = 0; i < info_.count; ++i) {
      Draw draw(seed, split, i);
      labels_[i] = static_cast<uint8_t>(draw.below(set.classes));
      set.draw(labels_[i], draw, &samples_[i * info_.sample_bytes()]);
    }
  }

  const DatasetInfo& info() const override { return info_; }

  Status read(const uint32_t* indices, uint32_t n, void* x, int32_t* labels) const override {
    const uint64_t bytes = info_.sample_bytes();
    auto* out = static_cast<uint8_t*>(x);
    for (uint32_t i = 0; i < n; ++i, out += bytes) {
      if (indices[i] >= info_.count) {
        return fail(Status::argument, "%s: sample %u asked for, has %llu", title_, indices[i],
                    static_cast<unsigned long long>(info_.count));
      }
      std::memcpy(out, &samples_[indices[i] * bytes], bytes);
      labels[i] = labels_[indices[i]];
    }
    return Status::ok;
  }

  Status view(uint32_t first, uint32_t n, const void** x, int32_t* labels) const override {
    LT_TRY(check_view(title_, first, n, info_.count));
    for (uint32_t i = 0; i < n; ++i) labels[i] = labels_[first + i];
    *x = samples_.data() + first * info_.sample_bytes();
    return Status::ok;
  }

  Status hash(uint8_t out[16]) const override {
    const HashedPart parts[] = {{samples_.data(), samples_.size()}, {labels_.data(), labels_.size()}};
    hash_parts(parts, out);
    return Status::ok;
  }

 private:
  const char* title_;
  std::vector<uint8_t> samples_, labels_;
  DatasetInfo info_;
};

}  // namespace

Status open_synthetic(const SyntheticSet& set, Split split, uint64_t seed, std::unique_ptr<Dataset>* dataset) {
  try {
    *dataset = std::make_unique<SyntheticDataset>(set, split, seed);
  } catch (const std::bad_alloc&) {
    const uint64_t bytes = set.counts[static_cast<int>(split)] * set.extent.elements();
    return fail(Status::memory, "%s: %llu bytes of samples were refused by the system", set.title,
                static_cast<unsigned long long>(bytes));
  }
  return Status::ok;
}

bool synthetic_found(const char*) { return true; }

}  // namespace lt::data
