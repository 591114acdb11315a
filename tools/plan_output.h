// What commands print and say of a plan before they begin. Main thread.
#pragma once

#include <string>

#include "tools/options.h"
#include "tools/terminal.h"

namespace lt::tool {

// --plan (with --json as JSON) or --print-recipe, to stdout. On failure the sentence is lt_last_error().
lt_status print_plan(const lt_plan* plan, const TrainOptions& options, StandardOutput* out);

// The line of the device, kernels, precision, threads, seed and data; and what --device auto passed over.
void say_device(const lt_plan_info& plan, const std::string& data);

}  // namespace lt::tool
