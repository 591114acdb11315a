// Opens libdnnl by its soname and fills the table. Nothing is closed again: kernels and the library's own caches live as
// long as the process. Called once, under the lock of OneDnn::open.
#include "backends/cpu/onednn/table.h"

#include <dlfcn.h>

namespace lt::cpu::onednn {
namespace {

#define LT_ONEDNN_TEXT(x) LT_ONEDNN_TEXT_(x)
#define LT_ONEDNN_TEXT_(x) #x
constexpr char library_name[] = "libdnnl.so." LT_ONEDNN_TEXT(DNNL_VERSION_MAJOR);

template <class Function>
bool find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

}  // namespace

FunctionTable functions;

Status load_functions() {
  void* library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    return fail(Status::device, "oneDNN: %s; install oneDNN %d (Debian: libdnnl%d) or use --kernels highway",
                reason == nullptr ? library_name : reason, DNNL_VERSION_MAJOR, DNNL_VERSION_MAJOR);
  }
  FunctionTable found;
#define LT_ONEDNN_FIND(function)                                                                                    \
  if (!find(library, #function, &found.function)) {                                                                 \
    dlclose(library);                                                                                               \
    return fail(Status::device, "oneDNN: %s has no function %s; expected version %d.%d or newer of the same major", \
                library_name, #function, DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR);                                   \
  }
  LT_ONEDNN_FUNCTIONS(LT_ONEDNN_FIND)
#undef LT_ONEDNN_FIND

  const dnnl_version_t* version = found.dnnl_version();
  if (version->major != DNNL_VERSION_MAJOR) {
    const int major = version->major;
    dlclose(library);
    return fail(Status::device, "oneDNN: %s is version %d, but this program was built for version %d, whose calls differ",
                library_name, major, DNNL_VERSION_MAJOR);
  }
  if (version->cpu_runtime == DNNL_RUNTIME_OMP) {
    // The order in which the library's own calls are resolved: what the process already has, then what the library brought.
    if (!find(RTLD_DEFAULT, "omp_set_num_threads", &found.omp_set_num_threads) ||
        !find(RTLD_DEFAULT, "omp_get_max_threads", &found.omp_get_max_threads)) {
      if (!find(library, "omp_set_num_threads", &found.omp_set_num_threads) ||
          !find(library, "omp_get_max_threads", &found.omp_get_max_threads)) {
        dlclose(library);
        return fail(Status::device, "oneDNN: %s uses OpenMP, but omp_set_num_threads is not to be found", library_name);
      }
    }
  } else if (version->cpu_runtime != DNNL_RUNTIME_SEQ) {
    dlclose(library);
    return fail(Status::device,
                "oneDNN: %s brings threads of its own (runtime %u); expected a build for OpenMP or without threads",
                library_name, version->cpu_runtime);
  }
  functions = found;
  return Status::ok;
}

}  // namespace lt::cpu::onednn
