// The GPU behind the counting table, as the CUDA device of the programs of this folder.
#include "tests/cuda/tested_table.h"
#include "tests/gpu/counted_libraries.h"

namespace lt::cuda {

const LibrarySource& tested_libraries() { return counted::libraries; }
const char tested_name[] = "gpu";

}  // namespace lt::cuda
