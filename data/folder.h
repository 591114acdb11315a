// Paths under the folder that a user names, and what is said of it where it is none. Any thread.
#pragma once

#include <span>
#include <string>

#include "src/base/status.h"

namespace lt::data {

bool path_exists(const std::string& path);
bool is_folder(const std::string& path);

// `folder` itself where `name` is "".
std::string join_path(const std::string& folder, const char* name);

// The path of `name` in the first of these subfolders of `directory` ("" is itself) that has it; "" where none has.
std::string find_below(const std::string& directory, std::span<const char* const> subfolders, const std::string& name);

// Status::io where `directory` is not there or no folder. `title` is what people call the set, `kind` what
// `lean-train data get` does, `file` a file that the folder should hold.
Status check_folder(const char* directory, const char* title, const char* kind, const char* file);

}  // namespace lt::data
