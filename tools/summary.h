// What a training came to, for people, on stdout. Closing only, main thread.
#pragma once

#include "tools/run_log.h"
#include "tools/terminal.h"

namespace lt::tool {

// `saved` is the file written, or "".
void print_summary(const RunFacts& facts, const RunEnd& end, const std::string& saved, StandardOutput* out);

}  // namespace lt::tool
