// The options of `lean-train bench` itself, beside its command `ops`.
#pragma once

#include <CLI/App.hpp>

namespace lt::tool {

// When the line is parsed and no command behind `bench` was named, the models are measured. `exit_code` outlives the app.
void add_bench_models(CLI::App* bench, int* exit_code);

}  // namespace lt::tool
