// Paths under the folder that a user names. Any thread.
#pragma once

#include <string>

namespace lt::data {

bool path_exists(const std::string& path);
bool is_folder(const std::string& path);

// `folder` itself where `name` is "".
std::string join_path(const std::string& folder, const char* name);

}  // namespace lt::data
