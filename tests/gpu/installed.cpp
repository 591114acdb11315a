// The machine's own libraries, for the programs of this folder.
#include "tests/gpu/counted_libraries.h"

namespace lt::cuda {

const LibrarySource& gpu_libraries() { return installed_libraries; }
const bool gpu_is_fake = false;

}  // namespace lt::cuda
