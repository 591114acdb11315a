// Completion of command lines by the shells. A shell's script asks `lean-train completion words WORD...` what the last
// word, which may be empty, can become; the answer is made from the commands and options that the program has. Main thread.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace lt::tool {

void add_completion_command(CLI::App& app, int* exit_code);

// What the last of `words` can become, in the order of --help. ":files" and ":folders" among them: names of these too.
std::vector<std::string> completions(const CLI::App& app, const std::vector<std::string>& words);

// `lean-train completion words WORD...`: before the line is parsed, since it is not one of the program's. -1 for any other
// line, else the exit status.
int answer_completion(const CLI::App& app, int argc, char** argv);

}  // namespace lt::tool
