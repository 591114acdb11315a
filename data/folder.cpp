// What is there: see folder.h.
#include "data/folder.h"

#include <sys/stat.h>

namespace lt::data {

bool path_exists(const std::string& path) {
  struct stat about;
  return ::stat(path.c_str(), &about) == 0;
}

bool is_folder(const std::string& path) {
  struct stat about;
  return ::stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode);
}

std::string join_path(const std::string& folder, const char* name) {
  if (*name == 0) return folder;
  return folder.empty() || folder.back() == '/' ? folder + name : folder + "/" + name;
}

}  // namespace lt::data
