// Starts this program once more and takes what it prints. Main thread; the child dies with its parent.
#pragma once

#include <string>
#include <vector>

#include "tools/bench/load.h"

namespace lt::tool {

struct ChildResult {
  bool started = false;    // else `said` holds why not
  bool timed_out = false;  // ended for taking longer than it had
  int exit_code = -1;      // 128 + the signal's number where one ended it
  std::string output;      // stdout
  std::string said;        // the last sentence on stderr, without the program's name
  double cpu_seconds = 0;  // of all its threads
  double seconds = 0;      // from its start to its end
  MachineTime begin, end;
};

// `arguments` without the program's name. `limit_seconds`: it is killed then; 0: no limit.
ChildResult run_this_program(const std::vector<std::string>& arguments, double limit_seconds);

// The first file of the running program, whatever it is called.
inline constexpr const char* this_program = "/proc/self/exe";

}  // namespace lt::tool
