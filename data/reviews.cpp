// Cutting and padding: see reviews.h.
#include "data/reviews.h"

#include <algorithm>

#include "data/hash.h"

namespace lt::data {

void ReviewDataset::set(const char* name, const char* place, uint32_t vocabulary, const ReviewArrays& arrays) {
  place_ = place;
  arrays_ = arrays;
  word_count_ = static_cast<uint64_t>(arrays.offsets[arrays.count]);
  info_.name = name;
  info_.extent = {review_steps, 1, 1};
  info_.x_dtype = DType::i32;
  info_.vocabulary = vocabulary;
  info_.classes = 2;
  info_.has_lengths = true;
  info_.count = arrays.count;
  info_.cut = 0;
  for (uint64_t i = 0; i < arrays.count; ++i) info_.cut += arrays.offsets[i + 1] - arrays.offsets[i] > review_steps;
}

Status ReviewDataset::find(uint32_t index, Review* review) const {
  if (index >= info_.count) {
    return fail(Status::argument, "%s: review %u asked for, has %llu", place_, index,
                static_cast<unsigned long long>(info_.count));
  }
  const auto begin = static_cast<uint64_t>(arrays_.offsets[index]), end = static_cast<uint64_t>(arrays_.offsets[index + 1]);
  if (begin > end || end > word_count_)
    return fail(Status::io, "%s: review %u changed its place while in use", place_, index);
  const uint64_t length = std::min<uint64_t>(end - begin, review_steps);
  *review = {arrays_.words + (end - length), static_cast<uint32_t>(length)};
  return Status::ok;
}

Status ReviewDataset::read(const uint32_t* indices, uint32_t n, void* x, int32_t* labels) const {
  LT_TRY(check_bytes());
  auto* out = static_cast<int32_t*>(x);
  for (uint32_t i = 0; i < n; ++i, out += review_steps) {
    Review review;
    LT_TRY(find(indices[i], &review));
    uint32_t highest = 0;
    for (uint32_t step = 0; step < review.length; ++step) {
      const uint32_t word = review.words[step];
      highest = std::max(highest, word);
      out[step] = static_cast<int32_t>(word);
    }
    std::fill(out + review.length, out + review_steps, int32_t{review_padding});
    const uint8_t label = arrays_.labels[indices[i]];
    if (highest >= info_.vocabulary)
      return fail(Status::io, "%s: review %u changed to hold number %u while in use", place_, indices[i], highest);
    if (label >= info_.classes)
      return fail(Status::io, "%s: review %u changed to label %u while in use", place_, indices[i], label);
    labels[i] = label;
  }
  return Status::ok;
}

Status ReviewDataset::lengths(const uint32_t* indices, uint32_t n, uint32_t* lengths) const {
  LT_TRY(check_bytes());
  for (uint32_t i = 0; i < n; ++i) {
    Review review;
    LT_TRY(find(indices[i], &review));
    lengths[i] = std::max(review.length, 1u);  // of one without words, a step of padding
  }
  return Status::ok;
}

Status ReviewDataset::hash(uint8_t out[16]) const {
  LT_TRY(check_bytes());
  const HashedPart parts[] = {{arrays_.offsets, (arrays_.count + 1) * sizeof(int64_t)},
                              {arrays_.words, word_count_ * sizeof(uint16_t)},
                              {arrays_.labels, arrays_.count}};
  hash_parts(parts, out);
  return Status::ok;
}

}  // namespace lt::data
