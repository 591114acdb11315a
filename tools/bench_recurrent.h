// Times recurrent layers by themselves: those of the speed suite, over fewer steps, so that a round takes moments. What
// they compute is held against the reference in tests/ops. Main thread.
#pragma once

#include <vector>

#include "tools/bench_ops.h"

namespace lt::tool {

// What it is called beside the models.
inline constexpr const char* bench_recurrent_name = "recurrent";

// Adds a row for each layer and pass, by threads and rounds of `what`. On failure says why.
ExitCode bench_recurrent(const BenchOps& what, std::vector<OpTime>* rows);

}  // namespace lt::tool
