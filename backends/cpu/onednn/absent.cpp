// Stands in for oneDNN in builds without its headers. Any thread.
#include "backends/cpu/onednn/onednn.h"

namespace lt::cpu {

Status OneDnn::open(const OneDnn** library) {
  *library = nullptr;
  return fail(Status::device,
              "oneDNN: this program was built without it; use --kernels highway or rebuild with -Donednn=enabled");
}

const char* OneDnn::version() const { return ""; }

std::unique_ptr<Kernel> OneDnn::make_kernel(const Program&, const KernelRequest&) const { return nullptr; }

}  // namespace lt::cpu
