// One pass for each step of Keras' text_to_word_sequence: see keras_words.h.
#include "tools/keras_words.h"

#include <algorithm>
#include <array>

#include "tools/unicode_lower.h"

namespace lt::tool {
namespace {

constexpr std::string_view marks = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r";

constexpr std::array<bool, 128> is_mark = [] {
  std::array<bool, 128> result{};
  for (const char mark : marks) result[static_cast<size_t>(mark)] = true;
  return result;
}();

}  // namespace

const std::vector<std::string_view>& KerasWords::split(std::string_view text) {
  characters_.clear();
  replaced_ += decode_utf8(text, &characters_);
  text_.clear();
  lower(characters_, [this](char32_t c) { append_utf8(c < 0x80 && is_mark[c] ? U' ' : c, &text_); });
  words_.clear();
  for (size_t i = 0; i < text_.size();) {
    const size_t end = std::min(text_.find(' ', i), text_.size());
    if (end > i) words_.emplace_back(text_.data() + i, end - i);
    i = end + 1;
  }
  return words_;
}

}  // namespace lt::tool
