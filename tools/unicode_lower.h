// Lower case as Python's str.lower makes it: all of Unicode, U+0130 as the two characters that it becomes, and a capital
// sigma as the small one that its place in the word asks for (Unicode, section 3.13, Final_Sigma). Pure functions: any
// thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lt::tool {

// The characters of UTF-8 text, appended to `characters`. Where it is none, U+FFFD stands for each longest beginning of a
// character that breaks off (Unicode, section 3.9, "Substitution of Maximal Subparts"), as Python's errors="replace" does;
// returns how often.
uint64_t decode_utf8(std::string_view text, std::vector<char32_t>* characters);

void append_utf8(char32_t character, std::string* text);

// Calls take(character) for each character of the lower-case text.
template <class Take>
void lower(std::span<const char32_t> characters, const Take& take);

// A character that becomes one character, whatever stands beside it.
char32_t lower_simple(char32_t character);
// True where the capital sigma at `position` ends a word.
bool is_final_sigma(std::span<const char32_t> characters, size_t position);

template <class Take>
void lower(std::span<const char32_t> characters, const Take& take) {
  for (size_t i = 0; i < characters.size(); ++i) {
    const char32_t c = characters[i];
    if (c < 0x80) {
      take(c >= U'A' && c <= U'Z' ? c + 32 : c);
    } else if (c == 0x3a3) {  // the capital sigma
      take(is_final_sigma(characters, i) ? char32_t{0x3c2} : char32_t{0x3c3});
    } else if (c == 0x130) {  // the capital i with a dot: a small i, and the dot on its own
      take(U'i');
      take(char32_t{0x307});
    } else {
      take(lower_simple(c));
    }
  }
}

}  // namespace lt::tool
