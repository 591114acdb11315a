// The fakes, as the CUDA device of the programs that are linked with this file.
#include "tests/cuda/fake_driver.h"
#include "tests/cuda/tested_table.h"

namespace lt::cuda {

const LibrarySource& tested_libraries() { return fake::libraries; }
const char tested_name[] = "cuda";

}  // namespace lt::cuda
