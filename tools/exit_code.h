// What the program's exit status says, and how a failure of the library becomes one: the same status means different
// things depending on whose file or option it came from.
#pragma once

#include "src/lean_train.h"

namespace lt::tool {

enum class ExitCode : int {
  ok = 0,
  internal = 1,
  usage = 2,
  data = 3,
  device = 4,
  memory = 5,
  numeric = 6,
  weights = 7,
  io = 8,
};

// What the program was about when a call of the library failed.
enum class Stage { plan, data, session, weights, training, save };

ExitCode exit_code(lt_status status, Stage stage);

// "ok", "numeric", ...: `status` of the run log's end record.
const char* exit_name(ExitCode code);

// A shell's convention for a program that a signal ended.
constexpr int exit_status_of_signal(int signal_number) { return 128 + signal_number; }

}  // namespace lt::tool
