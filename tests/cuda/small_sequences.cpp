#include "tests/cuda/small_sequences.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "src/api/handles.h"

namespace lt::cuda {
namespace {

class Shortened final : public Dataset {
 public:
  Shortened(std::unique_ptr<Dataset> whole, uint32_t count, uint32_t steps, uint32_t labels)
      : whole_(std::move(whole)), info_(whole_->info()), labels_(whole_->info().label_count) {
    info_.count = count;
    info_.extent.height = steps;
    info_.label_count = labels;
    x_.resize(whole_->info().sample_bytes());
  }

  const DatasetInfo& info() const override { return info_; }
  Status read(const uint32_t* indices, uint32_t n, void* x, int32_t* labels) const override {
    for (uint32_t i = 0; i < n; ++i) {
      LT_TRY(whole_->read(indices + i, 1, x_.data(), labels_.data()));
      std::memcpy(static_cast<std::byte*>(x) + i * info_.sample_bytes(), x_.data(), info_.sample_bytes());
      std::copy_n(labels_.begin(), info_.label_count, labels + uint64_t{i} * info_.label_count);
    }
    return Status::ok;
  }
  Status lengths(const uint32_t* indices, uint32_t n, uint32_t* lengths) const override {
    LT_TRY(whole_->lengths(indices, n, lengths));
    for (uint32_t i = 0; i < n; ++i) lengths[i] = 1 + (lengths[i] - 1) * info_.extent.height / whole_->info().extent.height;
    return Status::ok;
  }
  Status hash(uint8_t out[16]) const override { return whole_->hash(out); }

 private:
  std::unique_ptr<Dataset> whole_;
  DatasetInfo info_;
  mutable std::vector<std::byte> x_;
  mutable std::vector<int32_t> labels_;
};

}  // namespace

ShortSequences::ShortSequences(const char* kind, uint32_t count, uint32_t steps, uint32_t labels)
    : dataset_(new lt_dataset) {
  std::unique_ptr<Dataset> whole;
  EXPECT_EQ(dataset_format(kind)->open(nullptr, Split::train, 1, &whole), Status::ok) << last_error();
  dataset_->dataset = std::make_unique<Shortened>(std::move(whole), count, steps, labels);
}
ShortSequences::~ShortSequences() { lt_dataset_free(dataset_); }

void replace_numbers(const std::string& key, uint32_t number, std::string* text) {
  for (size_t at = text->find(key); at != std::string::npos; at = text->find(key, at)) {
    at += key.size();
    const size_t end = text->find_first_not_of("0123456789", at);
    text->replace(at, (end == std::string::npos ? text->size() : end) - at, std::to_string(number));
  }
}

std::string short_recipe(const char* model, uint32_t steps, uint32_t labels) {
  std::string text = lt_recipe_text(model);
  replace_numbers("steps = ", steps, &text);
  replace_numbers("labels = ", labels, &text);
  return text;
}

}  // namespace lt::cuda
