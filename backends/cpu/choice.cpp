// Which kernels serve which op: the fixed table of `auto`, and the way from an op to a kernel of either family. The kernels
// belong to the caller; oneDNN is opened when the first op asks for it and stays open. Any thread, in set-up.
#include "backends/cpu/choice.h"

#include "backends/cpu/bf16/factory.h"
#include "backends/cpu/highway/factory.h"
#include "backends/cpu/int8/factory.h"
#include "backends/cpu/onednn/onednn.h"

namespace lt::cpu {
namespace {

std::unique_ptr<Kernel> make_onednn(const Program& program, const KernelRequest& request) {
  if (request.op->residual != no_tensor) {
    (void)fail(Status::unsupported, "%s: no convolution with a residual by oneDNN", request.op->layer.c_str());
    return nullptr;
  }
  const OneDnn* library = nullptr;
  return ok(OneDnn::open(&library)) ? library->make_kernel(program, request) : nullptr;
}

}  // namespace

Status parse_kernel_choice(const std::string& name, KernelChoice* choice, highway::Target* target) {
  std::string words;
  for (size_t i = 0; i < highway::target_count; ++i) {
    const auto named = static_cast<highway::Target>(i);
    words += std::string(", highway:") + highway::target_word(named);
    if (name != std::string("highway:") + highway::target_word(named)) continue;
    *choice = KernelChoice::highway;
    *target = named;
    return Status::ok;
  }
  if (name == "auto")
    *choice = KernelChoice::automatic;
  else if (name == "highway")
    *choice = KernelChoice::highway;
  else if (name == "onednn")
    *choice = KernelChoice::onednn;
  else
    return fail(Status::argument, "--kernels %.64s: on a CPU it is auto, highway, onednn%s", name.c_str(), words.c_str());
  return Status::ok;
}

// Microseconds on two threads of a Zen 5, the own kernels against oneDNN 2.6.3, best of ten steps of mnist/cnn-same taken
// in one run:
//                      AVX-512           AVX2
//   conv1            268 :   386     512 :   518
//   conv2           1453 :  2516    2421 :  4895
//   conv2 backward  2340 :  5547    5605 : 10943
//   conv1 backward   462 :   524    1251 :   949
//   fc1             1169 :  1093    2335 :  3254
//   fc1 backward    2079 :  2066    3960 :  3950
//   whole step      8327 : 12758   16773 : 25292
// Where oneDNN is ahead it does not pay for loading it: 20 ms, 5 MB, and a result that depends on the thread count.
Family automatic_family(const Op&) { return Family::highway; }

std::unique_ptr<Kernel> make_kernel(const Program& program, const KernelRequest& request, KernelChoice choice,
                                    highway::Target target) {
  if (request.op->scales != no_tensor)
    return int8::make_kernel(program, request,
                             choice == KernelChoice::automatic ? int8::unit_best() : int8::Unit::portable, target);
  const bool onednn_first = choice == KernelChoice::onednn ||
                            (choice == KernelChoice::automatic && automatic_family(*request.op) == Family::onednn);
  if (onednn_first)
    if (auto kernel = make_onednn(program, request)) return kernel;
  if (choice == KernelChoice::automatic && has_bf16(program, *request.op))
    if (auto kernel = bf16::make_kernel(program, request, bf16::unit_best())) return kernel;
  if (auto kernel = highway::make_kernel(program, request, target)) return kernel;
  // oneDNN's kernels here are of floats alone.
  if (choice == KernelChoice::automatic && !onednn_first && !has_bf16(program, *request.op))
    return make_onednn(program, request);
  return nullptr;
}

const char* onednn_version() {
  const OneDnn* library = nullptr;
  return ok(OneDnn::open(&library)) ? library->version() : nullptr;
}

}  // namespace lt::cpu
