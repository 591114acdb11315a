// Early checks of output paths. Set-up only.
#include "tools/output_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tools/terminal.h"

namespace lt::tool {

bool check_output_path(const char* option, const std::string& path) {
  if (path.empty()) return true;
  struct stat state {};
  if (stat(path.c_str(), &state) == 0) {
    if (S_ISDIR(state.st_mode)) {
      complain("%s: '%s' is a folder; give the name of a file", option, path.c_str());
      return false;
    }
    if (!S_ISREG(state.st_mode)) return true;  // a device or a pipe: its folder is not written to
  }
  const size_t slash = path.find_last_of('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  if (stat(folder.c_str(), &state) != 0) {
    complain("%s: the folder '%s' cannot be used (%s); make it or give another path", option, folder.c_str(),
             std::strerror(errno));
  } else if (!S_ISDIR(state.st_mode)) {
    complain("%s: '%s' is not a folder; give another path", option, folder.c_str());
  } else if (access(folder.c_str(), W_OK | X_OK) != 0) {
    complain("%s: the folder '%s' cannot be written to (%s); give another path", option, folder.c_str(),
             std::strerror(errno));
  } else {
    return true;
  }
  return false;
}

}  // namespace lt::tool
