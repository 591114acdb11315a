// Times the matrix product that the linear layers stand on by itself, and holds it against sums in double: a square one in
// all transpositions, and the small ones of recurrent layers, which meet the same packed weights step after step. Main
// thread.
#pragma once

#include <vector>

#include "tools/bench_ops.h"

namespace lt::tool {

// What it is called beside the models.
inline constexpr const char* bench_gemm_name = "gemm";

// Adds a row for each product, by threads, rounds and check of `what`. On failure says why.
ExitCode bench_gemm(const BenchOps& what, std::vector<OpTime>* rows);

}  // namespace lt::tool
