// Texts as numbers of words: what the film reviews and their built-in stand-in have in common. A sample is a review's last
// 150 numbers as i32, zeros behind a shorter one's last; reading allocates nothing, from any thread.
#pragma once

#include "src/dataset.h"

namespace lt::data {

inline constexpr uint32_t review_steps = 150;
// Numbers that are no words: padding, before each review, and a word without a number of its own.
inline constexpr uint16_t review_padding = 0, review_start = 1, review_unknown = 2, review_first_word = 4;

// One split. Review i is words[offsets[i] .. offsets[i + 1]); the first offset is 0, none is below the one before it.
struct ReviewArrays {
  const int64_t* offsets = nullptr;  // count + 1
  const uint16_t* words = nullptr;   // offsets[count], each below the vocabulary
  const uint8_t* labels = nullptr;   // count, 0 negative or 1 positive
  uint64_t count = 0;
};

class ReviewDataset : public Dataset {
 public:
  const DatasetInfo& info() const final { return info_; }
  Status read(const uint32_t* indices, uint32_t n, void* x, int32_t* labels) const final;
  Status lengths(const uint32_t* indices, uint32_t n, uint32_t* lengths) const final;
  // Over offsets, words and labels.
  Status hash(uint8_t out[16]) const final;

 protected:
  // `place` is what errors name first. Both have to outlive the object.
  void set(const char* name, const char* place, uint32_t vocabulary, const ReviewArrays& arrays);
  // 32 hex digits, which have to outlive the object too.
  void set_vocabulary_hash(const char* digits) { info_.vocabulary_hash = digits; }
  // Called before every touch of the arrays.
  virtual Status check_bytes() const { return Status::ok; }

 private:
  struct Review {
    const uint16_t* words = nullptr;
    uint32_t length = 0;
  };
  // The review as it is read, looked at anew: the bytes of a file belong to whoever may write it.
  Status find(uint32_t index, Review* review) const;

  const char* place_ = "";
  ReviewArrays arrays_;
  uint64_t word_count_ = 0;
  DatasetInfo info_;
};

}  // namespace lt::data
