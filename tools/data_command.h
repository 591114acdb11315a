// lean-train data: list, get, check and prepare data sets. Adds its commands to `app`; when the line is parsed, the chosen
// one runs and leaves the program's exit status in `exit_code`, which outlives the app.
#pragma once

#include <CLI/App.hpp>

namespace lt::tool {

void add_data_command(CLI::App& app, int* exit_code);

}  // namespace lt::tool
