// Whole files, and what comes on stdin, as text. Set-up only.
#pragma once

#include <cstdint>
#include <string>

namespace lt::tool {

// The first `most` bytes of a file, or of stdin for "-", in place of what `text` was. False, the reason said.
bool read_input(const std::string& path, uint64_t most, std::string* text);

}  // namespace lt::tool
