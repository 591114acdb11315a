// Files that a training will write at its end are looked at before it begins. Set-up only.
#pragma once

#include <string>

namespace lt::tool {

// True where `path` can be expected to be writable: its folder is there and takes files, and the path is no folder itself.
// True, too, where it is empty: nothing will be written.
// Otherwise says, on stderr, what is wrong with `option`.
bool check_output_path(const char* option, const std::string& path);

}  // namespace lt::tool
