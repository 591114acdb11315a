// UTF-8 both ways, and searches in the tables of unicode_lower_tables.py. See unicode_lower.h.
#include "tools/unicode_lower.h"

#include <algorithm>
#include <iterator>

#include "tools/unicode_lower_tables.h"

namespace lt::tool {
namespace {

template <class Range, size_t n>
const Range* find_range(const Range (&ranges)[n], char32_t character) {
  const Range* const behind = std::upper_bound(std::begin(ranges), std::end(ranges), character,
                                               [](char32_t c, const Range& range) { return c < range.first; });
  return behind != ranges && character <= behind[-1].last ? behind - 1 : nullptr;
}

// A character's first byte says how many follow, and what the first of them may be: not what a shorter character could
// say, no half of a UTF-16 pair, nothing past U+10FFFF (Unicode, table 3-7).
struct Lead {
  uint8_t following, low, high;
};

Lead lead(uint8_t byte) {
  if (byte >= 0xc2 && byte <= 0xdf) return {1, 0x80, 0xbf};
  if (byte == 0xe0) return {2, 0xa0, 0xbf};
  if (byte == 0xed) return {2, 0x80, 0x9f};
  if (byte >= 0xe1 && byte <= 0xef) return {2, 0x80, 0xbf};
  if (byte == 0xf0) return {3, 0x90, 0xbf};
  if (byte >= 0xf1 && byte <= 0xf3) return {3, 0x80, 0xbf};
  if (byte == 0xf4) return {3, 0x80, 0x8f};
  return {0, 0, 0};
}

}  // namespace

uint64_t decode_utf8(std::string_view text, std::vector<char32_t>* characters) {
  uint64_t replaced = 0;
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<uint8_t>(text[i++]);
    if (first < 0x80) {
      characters->push_back(first);
      continue;
    }
    Lead expected = lead(first);
    bool whole = expected.following > 0;
    char32_t character = expected.following == 1 ? first & 0x1f : expected.following == 2 ? first & 0x0f : first & 0x07;
    for (uint8_t k = 0; whole && k < expected.following; ++k) {
      const auto next = static_cast<uint8_t>(i < text.size() ? text[i] : 0);
      whole = next >= expected.low && next <= expected.high;
      if (!whole) break;
      character = character << 6 | (next & 0x3f);
      expected.low = 0x80, expected.high = 0xbf;
      ++i;
    }
    replaced += !whole;
    characters->push_back(whole ? character : char32_t{0xfffd});
  }
  return replaced;
}

void append_utf8(char32_t c, std::string* text) {
  const auto byte = [text](char32_t value) { text->push_back(static_cast<char>(value)); };
  if (c < 0x80) return byte(c);
  if (c < 0x800) {
    byte(0xc0 | c >> 6);
  } else if (c < 0x10000) {
    byte(0xe0 | c >> 12);
    byte(0x80 | (c >> 6 & 0x3f));
  } else {
    byte(0xf0 | c >> 18);
    byte(0x80 | (c >> 12 & 0x3f));
    byte(0x80 | (c >> 6 & 0x3f));
  }
  byte(0x80 | (c & 0x3f));
}

char32_t lower_simple(char32_t character) {
  const LowerRange* const range = find_range(lower_ranges, character);
  if (!range || (character - range->first) % range->step != 0) return character;
  return static_cast<char32_t>(static_cast<int32_t>(character) + range->difference);
}

bool is_final_sigma(std::span<const char32_t> characters, size_t position) {
  const auto is_cased = [&](size_t i) { return find_range(cased_ranges, characters[i]) != nullptr; };
  const auto is_ignorable = [&](size_t i) { return find_range(case_ignorable_ranges, characters[i]) != nullptr; };
  size_t before = position;
  while (before > 0 && is_ignorable(before - 1)) --before;
  if (before == 0 || !is_cased(before - 1)) return false;
  size_t after = position + 1;
  while (after < characters.size() && is_ignorable(after)) ++after;
  return after == characters.size() || !is_cased(after);
}

}  // namespace lt::tool
