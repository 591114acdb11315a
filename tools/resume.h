// --resume: the configuration of a training that goes on from a checkpoint, and the line that a user types for it. Set-up
// and closing only, main thread.
#pragma once

#include <string>

#include "tools/exit_code.h"
#include "tools/handles.h"
#include "tools/options.h"

namespace lt::tool {

// The checkpoint's configuration with the options that were given on top; what contradicts the checkpoint is left for
// lt_session_load to name. Its strings point into `file` and `options`. False, the reason said and `code` set, where the
// file is none, is of another command's model, or nothing tells when to stop.
bool resume_config(const TrainOptions& options, FilePtr* file, lt_config* config, ExitCode* code);

// "lean-train mnist --resume F --save F --epochs 3": goes on from the checkpoint that `options` saved to. `model` is the
// plan's.
std::string resume_line(const TrainOptions& options, const std::string& model);

}  // namespace lt::tool
