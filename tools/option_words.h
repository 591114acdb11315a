// Values of options that several commands take, checked as they are read, so that an error names its option; and lists of
// them, separated by commas. Each throws CLI::ValidationError. Set-up only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lt::tool {

using Words = std::vector<std::string>;

// "OPTION: expected ..., found '...'"
[[noreturn]] void reject(const char* option, const std::string& expected, const std::string& found);

inline constexpr const char* device_words = "auto|cpu|cuda[:N]|reference";
inline constexpr const char* kernel_words = "auto|highway[:SET]|onednn|cudnn|own";
inline constexpr const char* precision_words = "fp32|tf32|bf16|int8";

// Of a word alone; whether the machine has it, and which sets of highway:SET there are, is for the library to say.
bool is_device(const std::string& text);
bool is_kernels(const std::string& text);
bool is_precision(const std::string& text);
void check_device(const char* option, const std::string& text);
void check_kernels(const char* option, const std::string& text);
void check_precision(const char* option, const std::string& text);
uint64_t check_whole_number(const char* option, const std::string& text, uint64_t low, uint64_t high);

using Check = std::function<void(const char* option, const std::string& text)>;
// "a,b": at least one word, each of them sound, none of them twice.
Words parse_list(const char* option, const std::string& text, const Check& check);

}  // namespace lt::tool
