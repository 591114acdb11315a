// Names as CSV (RFC 4180): beside an array of features, which row belongs to which image. Any thread.
#pragma once

#include <string>
#include <vector>

namespace lt::tool {

// "features.csv" of "features.npy".
std::string names_path(const std::string& array_path);

// Two columns, `row` from 0 on and `name`; lines end with a newline. In one piece or not at all: false, with a sentence.
bool write_names(const std::string& path, const std::vector<std::string>& names, std::string* why);

}  // namespace lt::tool
