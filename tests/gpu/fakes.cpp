// The fakes of tests/cuda in the place of the machine's libraries: shows that the tests of this folder test something, on
// machines without a GPU.
#include "tests/cuda/fake_driver.h"
#include "tests/gpu/counted_libraries.h"

namespace lt::cuda {

const LibrarySource& gpu_libraries() { return fake::libraries; }
const bool gpu_is_fake = true;

}  // namespace lt::cuda
