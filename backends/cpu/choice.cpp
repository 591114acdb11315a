#include "backends/cpu/choice.h"

#include "backends/cpu/highway/factory.h"

#if __has_include("backends/cpu/onednn/onednn.h")
#include "backends/cpu/onednn/onednn.h"
#define LT_HAS_ONEDNN
#endif

namespace lt::cpu {
namespace {

std::unique_ptr<Kernel> make_onednn(const Program& program, const KernelRequest& request) {
#ifdef LT_HAS_ONEDNN
  const OneDnn* library = nullptr;
  if (!ok(OneDnn::open(&library))) return nullptr;
  return library->make_kernel(program, request);
#else
  (void)program;
  (void)fail(Status::unsupported, "%s: there is no oneDNN kernel for this operation", request.op->layer.c_str());
  return nullptr;
#endif
}

}  // namespace

Status parse_kernel_choice(const std::string& name, KernelChoice* choice) {
  if (name == "auto")
    *choice = KernelChoice::automatic;
  else if (name == "highway")
    *choice = KernelChoice::highway;
  else if (name == "onednn")
    *choice = KernelChoice::onednn;
  else
    return fail(Status::argument, "--kernels %.64s: on a CPU it is auto, highway or onednn", name.c_str());
  return Status::ok;
}

Family automatic_family(const Op&) { return Family::highway; }

std::unique_ptr<Kernel> make_kernel(const Program& program, const KernelRequest& request, KernelChoice choice,
                                    highway::Target target) {
  const bool onednn_first = choice == KernelChoice::onednn ||
                            (choice == KernelChoice::automatic && automatic_family(*request.op) == Family::onednn);
  if (onednn_first)
    if (auto kernel = make_onednn(program, request)) return kernel;
  if (auto kernel = highway::make_kernel(program, request, target)) return kernel;
  if (choice == KernelChoice::automatic && !onednn_first) return make_onednn(program, request);
  return nullptr;
}

const char* onednn_version() {
#ifdef LT_HAS_ONEDNN
  const OneDnn* library = nullptr;
  return ok(OneDnn::open(&library)) ? library->version() : nullptr;
#else
  (void)fail(Status::device, "this build has no oneDNN kernels");
  return nullptr;
#endif
}

}  // namespace lt::cpu
