// A training from its options to its exit status: set-up, the steps, the records, the closing. Main thread, once a process.
#pragma once

#include "tools/options.h"

namespace lt::tool {

// `options.command` and `options.recipe` are set. Returns the program's exit status.
int train(const TrainOptions& options);

}  // namespace lt::tool
