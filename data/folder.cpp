// What is there, and what is not: see folder.h.
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

std::string find_below(const std::string& directory, std::span<const char* const> subfolders, const std::string& name) {
  for (const char* subfolder : subfolders) {
    std::string path = join_path(join_path(directory, subfolder), name.c_str());
    if (path_exists(path)) return path;
  }
  return "";
}

Status check_folder(const char* directory, const char* title, const char* kind, const char* file) {
  if (is_folder(directory)) return Status::ok;
  if (!path_exists(directory)) {
    return fail(Status::io,
                "%s: there is no such folder; fetch %s with `lean-train data get %s`, or name the folder with its files",
                directory, title, kind);
  }
  return fail(Status::io, "%s: is not a folder; name the folder that holds %s, or fetch it with `lean-train data get %s`",
              directory, file, kind);
}

}  // namespace lt::data
