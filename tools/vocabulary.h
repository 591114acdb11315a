// The words of a model of texts: the numbers that `data prepare` gave them, and the file that tells them (review_words.h),
// which goes with a checkpoint as CHECKPOINT.words.txt. A vocabulary is known by the hash of that file. Set-up only, one
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace lt::tool {

class Vocabulary {
 public:
  // False, the reason said.
  bool read(const std::string& path);
  const std::string& path() const { return path_; }
  // 32 hex digits: vocabulary_digits of the file.
  const std::string& digits() const { return digits_; }
  const std::string& text() const { return text_; }
  // The number for words without one of their own, where it is none of the vocabulary.
  int32_t number(std::string_view word) const;

 private:
  std::string path_, digits_, text_;  // the last of which the keys lie in
  std::unordered_map<std::string_view, int32_t> numbers_;
};

// Where a checkpoint is to have its words.
std::string vocabulary_beside(const std::string& checkpoint);
// Where it has them: there or, for an older one that --keep left (F.2), beside the youngest (F). "" where they are not.
std::string vocabulary_found_beside(const std::string& checkpoint);
// The file of words in a folder of data, or one below it where the data set looks; "" where there is none.
std::string vocabulary_in(const std::string& folder);
// Puts the words that have this hash beside a checkpoint, unless they are there. What is wrong is said; the training can do
// without.
void keep_vocabulary(const std::string& folder, const std::string& digits, const std::string& checkpoint);

}  // namespace lt::tool
