// Numbers as people read and type them. Readers take a whole string or nothing: no sign, no wrap-around, no trailing
// characters. Pure functions: any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lt::tool {

std::optional<uint64_t> parse_whole_number(std::string_view text);
// A finite decimal number, as "0.01" or "1e-3".
std::optional<double> parse_number(std::string_view text);
// "33554432", "500MB" (powers of 1000), "32MiB" (powers of 1024); also kB, KiB, GB, GiB, B.
std::optional<uint64_t> parse_size(std::string_view text);

// Bytes of the well-formed UTF-8 sequence at the start of `text` (Unicode 15, table 3-7); 0 where there is none.
size_t utf8_sequence(std::string_view text);

// Columns that a terminal takes for UTF-8 text of narrow characters: one each, and one for a byte that is part of none.
size_t display_columns(std::string_view text);
// Bytes of the longest start of `text` that fits into so many columns.
size_t bytes_of_columns(std::string_view text, size_t columns);

// "1 step", "2 steps".
std::string format_count_of(uint64_t count, const char* noun);
std::string format_count(uint64_t count);     // "3,274,624"
std::string format_bytes(uint64_t bytes);     // "23.4 MiB"
std::string format_figure(double value);      // "1230", "123", "12.3", "0.0123": three digits that count, no exponent
std::string format_duration(double seconds);  // "0.412 s", "12.3 s", "4 min 07 s", "2 h 05 min"

// RFC 4180: in quotes where a comma, a quote or a line's end is in it.
std::string csv_field(const std::string& text);

// The one of `words` that `word` most likely was meant to be, or nothing.
template <class Words>
std::string closest_word(std::string_view word, const Words& words);

unsigned edit_distance(std::string_view a, std::string_view b);

template <class Words>
std::string closest_word(std::string_view word, const Words& words) {
  std::string best;
  const size_t dashes = word.find_first_not_of('-') == std::string_view::npos ? word.size() : word.find_first_not_of('-');
  unsigned best_distance = static_cast<unsigned>(word.size() - dashes) / 3;  // a third of the letters wrong at most
  for (const auto& candidate : words) {
    const unsigned distance = edit_distance(word, candidate);
    if (distance <= best_distance && (best.empty() || distance < best_distance)) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace lt::tool
