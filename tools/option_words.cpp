// Words of options and lists of them. See option_words.h.
#include "tools/option_words.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "tools/text.h"

namespace lt::tool {

void reject(const char* option, const std::string& expected, const std::string& found) {
  throw CLI::ValidationError(option, "expected " + expected + ", found '" + found + "'");
}

bool is_device(const std::string& text) {
  const bool numbered = text.starts_with("cuda:") && parse_whole_number(std::string_view(text).substr(5)).has_value();
  return numbered || text == "auto" || text == "cpu" || text == "cuda" || text == "reference";
}

bool is_kernels(const std::string& text) {
  const bool of_a_set = text.starts_with("highway:") && text != "highway:";
  return of_a_set || text == "auto" || text == "highway" || text == "onednn" || text == "cudnn" || text == "own";
}

bool is_precision(const std::string& text) {
  return text == "fp32" || text == "tf32" || text == "bf16" || text == "int8";
}

void check_device(const char* option, const std::string& text) {
  if (!is_device(text)) reject(option, "auto, cpu, cuda, cuda:N or reference", text);
}

void check_kernels(const char* option, const std::string& text) {
  if (!is_kernels(text)) reject(option, "one of auto, highway, highway:SET, onednn, cudnn, own", text);
}

void check_precision(const char* option, const std::string& text) {
  if (!is_precision(text)) reject(option, "one of fp32, tf32, bf16, int8", text);
}

uint64_t check_whole_number(const char* option, const std::string& text, uint64_t low, uint64_t high) {
  const auto value = parse_whole_number(text);
  if (!value || *value < low || *value > high)
    reject(option, "a whole number from " + std::to_string(low) + " to " + std::to_string(high), text);
  return *value;
}

Words parse_list(const char* option, const std::string& text, const Check& check) {
  Words words;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    check(option, word);
    if (std::find(words.begin(), words.end(), word) != words.end()) reject(option, "each word once", text);
    words.push_back(word);
    begin = end + 1;
  }
  return words;
}

}  // namespace lt::tool
