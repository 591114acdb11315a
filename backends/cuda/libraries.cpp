#include "backends/cuda/libraries.h"

#include <dlfcn.h>
#include <glob.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "backends/cuda/cublaslt/table.h"
#include "backends/cuda/cudnn/table.h"

namespace lt::cuda {
namespace {

// The major version whose header the table was compiled against: layouts of its structures hold for that one.
#define LT_TEXT_OF(name) #name
#define LT_EXPANDED_TEXT_OF(name) LT_TEXT_OF(name)
constexpr char cublaslt_soname[] = "libcublasLt.so." LT_EXPANDED_TEXT_OF(CUBLAS_VER_MAJOR);
constexpr char cudnn_soname[] = "libcudnn.so." LT_EXPANDED_TEXT_OF(CUDNN_MAJOR);

// Folders of pip's packages below a site-packages folder, and CUDA's own. The driver lies where the loader looks.
const char* const usual_folders[] = {
    "/usr/local/cuda/lib64",
    "/usr/local/cuda/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64",
};
const char* const python_folders[] = {"/usr/local/lib/python3*", "/usr/lib/python3*", "/opt/conda/lib/python3*"};

void add_matches(const std::string& pattern, std::vector<std::string>* folders) {
  glob_t found{};
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0)
    for (size_t i = 0; i < found.gl_pathc; ++i) folders->push_back(found.gl_pathv[i]);
  globfree(&found);
}

void add_python(const std::string& python, std::vector<std::string>* folders) {
  for (const char* packages : {"site-packages", "dist-packages"})
    add_matches(python + "/" + packages + "/nvidia/*/lib", folders);
}

std::vector<std::string> given_folders() {
  std::vector<std::string> folders;
  const char* const path = std::getenv("LEAN_TRAIN_CUDA_PATH");
  std::string rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    if (const std::string folder = rest.substr(0, end); !folder.empty()) {
      folders.insert(folders.end(), {folder, folder + "/lib64", folder + "/lib"});
      add_matches(folder + "/nvidia/*/lib", &folders);
    }
    rest.erase(0, end + 1);
  }
  return folders;
}

std::vector<std::string> known_folders() {
  std::vector<std::string> folders;
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* home = std::getenv(name); home != nullptr && *home != '\0')
      folders.insert(folders.end(), {std::string(home) + "/lib64", std::string(home) + "/lib"});
  folders.insert(folders.end(), std::begin(usual_folders), std::end(usual_folders));
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (const char* home = std::getenv(name); home != nullptr && *home != '\0')
      add_python(std::string(home) + "/lib/python3*", &folders);
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    add_python(std::string(home) + "/.local/lib/python3*", &folders);
  for (const char* python : python_folders) add_python(python, &folders);
  return folders;
}

// Opens a library by its soname; null with the reason in `why` (of the first place that has the file, else of the loader).
void* open_library(const char* soname, std::string* why) {
  why->clear();
  const auto try_path = [&](const std::string& path) -> void* {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    const char* const error = library == nullptr ? dlerror() : nullptr;
    // A file that is there and does not open says more than all those that are not there.
    if (error != nullptr && (why->empty() || std::strstr(error, "No such file") == nullptr)) *why = error;
    return library;
  };
  for (const std::string& folder : given_folders())
    if (void* library = try_path(folder + "/" + soname)) return library;
  if (void* library = try_path(soname)) return library;
  for (const std::string& folder : known_folders())
    if (void* library = try_path(folder + "/" + soname)) return library;
  return nullptr;
}

void* lookup(void* library, const char* name) { return dlsym(library, name); }

// One library: opened once, its outcome kept for all later callers.
template <class Table>
struct Opened {
  std::once_flag once;
  Table table;
  Status status = Status::device;
  char why[400] = "";
};

template <class Table, class Fill>
Status open_once(Opened<Table>* opened, const char* soname, const char* advice, const Fill& fill, const Table** table) {
  std::call_once(opened->once, [&] {
    std::string why;
    void* const library = open_library(soname, &why);
    const char* missing = nullptr;
    if (library == nullptr) {
      std::snprintf(opened->why, sizeof opened->why, "%s cannot be opened (%s): %s", soname, why.c_str(), advice);
    } else if (!fill(&opened->table, library, &missing)) {
      std::snprintf(opened->why, sizeof opened->why, "%s is too old: it has no %s; %s", soname, missing, advice);
    } else {
      opened->status = Status::ok;
    }
  });
  if (!ok(opened->status)) return fail(opened->status, "%s", opened->why);
  *table = &opened->table;
  return Status::ok;
}

// By the names that the header's macros stand for.
bool fill_driver(DriverTable* table, void* library, const char** missing) {
#define LT_DRIVER_LOOKUP(name)                                                                       \
  table->name = reinterpret_cast<decltype(table->name)>(lookup(library, LT_EXPANDED_TEXT_OF(name))); \
  if (table->name == nullptr) {                                                                      \
    *missing = LT_EXPANDED_TEXT_OF(name);                                                            \
    return false;                                                                                    \
  }
  LT_CUDA_DRIVER_FUNCTIONS(LT_DRIVER_LOOKUP)
#undef LT_DRIVER_LOOKUP
  return true;
}

Status open_driver(const DriverTable** table) {
  static Opened<DriverTable> opened;
  return open_once(&opened, "libcuda.so.1", "install NVIDIA's driver", fill_driver, table);
}

Status open_cudnn_library(const CudnnTable** table) {
  static Opened<CudnnTable> opened;
  return open_once(
      &opened, cudnn_soname, "install cuDNN 9 from NVIDIA's packages or pip (nvidia-cudnn-cu13)",
      [](CudnnTable* t, void* library, const char** missing) { return fill(t, lookup, library, missing); }, table);
}

Status open_cublaslt_library(const CublasLtTable** table) {
  static Opened<CublasLtTable> opened;
  return open_once(
      &opened, cublaslt_soname, "install cuBLAS from NVIDIA's packages or pip (nvidia-cublas)",
      [](CublasLtTable* t, void* library, const char** missing) { return fill(t, lookup, library, missing); }, table);
}

}  // namespace

const LibrarySource installed_libraries = {open_driver, open_cudnn_library, open_cublaslt_library};

}  // namespace lt::cuda
