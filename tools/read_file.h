// Files that are read whole, up to a limit. Set-up only.
#pragma once

#include <cstdint>
#include <string>

namespace lt::tool {

// Appends the first `most` bytes of a file, or of stdin for "-", to `bytes`. 0, or errno.
int read_file(const std::string& path, uint64_t most, std::string* bytes);
// The same in place of what `text` was. False, the reason said.
bool read_input(const std::string& path, uint64_t most, std::string* text);

}  // namespace lt::tool
