#include "backends/cpu/choice.h"

#include "backends/cpu/highway/factory.h"
#include "backends/cpu/onednn/onednn.h"

namespace lt::cpu {
namespace {

std::unique_ptr<Kernel> make_onednn(const Program& program, const KernelRequest& request) {
  const OneDnn* library = nullptr;
  return ok(OneDnn::open(&library)) ? library->make_kernel(program, request) : nullptr;
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

// Microseconds of CPU time on one thread of a Zen 5, the own kernels against oneDNN 2.6.3, batches as the recipes have
// them:
//                      AVX-512                  AVX2
//   conv1 (same)       508 :   751        1012 :  1025
//   conv2             5563 :  5007       12781 :  9883
//   conv2 backward    4826 : 10631       10475 : 22236
//   conv1 backward     877 :  1048        2262 :  1838
//   fc1 (64x3136x1024) 2296 :  2828        5066 :  6380
//   fc1 backward      3899 :  4069        7766 :  7498
//   whole step       18768 : 25197       40277 : 49753
// Where oneDNN is ahead it does not pay for loading it: 20 ms, 5 MB, and a result that depends on the thread count.
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
  const OneDnn* library = nullptr;
  return ok(OneDnn::open(&library)) ? library->version() : nullptr;
}

}  // namespace lt::cpu
