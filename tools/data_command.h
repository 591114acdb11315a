// lean-train data: list, get, check and prepare data sets. Adds its commands to `app`; when the line is parsed, the chosen
// one runs and leaves the program's exit status in `exit_code`, which outlives the app.
#pragma once

#include <CLI/App.hpp>
#include <string>

#include "tools/data_get.h"
#include "tools/exit_code.h"

namespace lt::tool {

void add_data_command(CLI::App& app, int* exit_code);

// For those that put data right before they use it: progress for people, and what the program exits with.
DataGetEvents events_on_terminal();
ExitCode exit_code_of(const Fetched& fetched);

// Texts become numbers when they are first used: where the folder of a kind (`data`, as --data has it, or the one that
// would be found) holds raw texts, they are prepared, and `data` is where. What is wrong is said, and unless `quiet` what
// was done.
Fetched prepare_texts_once(const std::string& kind, std::string* data, bool quiet);

}  // namespace lt::tool
