// See plan_output.h.
#include "tools/plan_output.h"

#include <cinttypes>

namespace lt::tool {
namespace {

int write_to_stdout(void* out, const void* bytes, size_t size) {
  static_cast<StandardOutput*>(out)->write({static_cast<const char*>(bytes), size});
  return 0;
}

}  // namespace

lt_status print_plan(const lt_plan* plan, const TrainOptions& options, StandardOutput* out) {
  return options.plan ? lt_plan_describe(plan, options.json ? LT_JSON : LT_TEXT, write_to_stdout, out)
                      : lt_plan_recipe(plan, write_to_stdout, out);
}

void say_device(const lt_plan_info& plan, const std::string& data) {
  say("device: %s (%s), kernels: %s, precision: %s, threads: %u, seed: %" PRIu64 ", data: %s", plan.device,
      plan.device_name, plan.kernels, plan.precision, plan.threads, plan.seed, data.c_str());
  if (*plan.passed_over != '\0') say("device: auto passed over %s", plan.passed_over);
}

}  // namespace lt::tool
