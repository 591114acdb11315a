// Splits a text into words as the tokenizer of Keras does by default: lower case (see unicode_lower.h), then Keras' marks,
// tabs and newlines turned into spaces, then split at spaces alone, so that other white space and apostrophes stay inside
// words. A carriage return is a newline, as in a file that Python opens as text. Owns the words of the last text; one
// thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lt::tool {

class KerasWords {
 public:
  // UTF-8; what is none is replaced, and counted. The words are valid until the next call.
  const std::vector<std::string_view>& split(std::string_view text);
  // Places so far that were no UTF-8.
  uint64_t replaced() const { return replaced_; }

 private:
  std::vector<char32_t> characters_;
  std::string text_;
  std::vector<std::string_view> words_;
  uint64_t replaced_ = 0;
};

}  // namespace lt::tool
