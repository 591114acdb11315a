// What a comparison came to: for people, as one JSON object, and as run logs in one file. Closing only; main thread.
#pragma once

#include <string>

#include "tools/compare/comparison.h"
#include "tools/terminal.h"

namespace lt::tool {

void print_comparison(const Comparison& comparison, StandardOutput* out);
void print_comparison_json(const Comparison& comparison, StandardOutput* out);

// A run log for each side, one behind the other; `report` draws them. False, the reason said, where it cannot be written.
bool log_comparison(const Comparison& comparison, const std::string& path);

// "onednn agrees with highway: ...", or "... differs from ..." and how.
std::string verdict_sentence(const Side& side, const Side& base);

}  // namespace lt::tool
