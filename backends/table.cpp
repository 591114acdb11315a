// The devices of this build, in the order in which "auto" tries them. One line a backend.
#include "src/backend.h"

#include <iterator>

#include "backends/cpu/cpu.h"
#include "backends/reference/reference.h"

namespace lt {

namespace cuda {
extern const Backend backend;
}

const Backend* const backend_table[] = {
    &cuda::backend,
    &cpu::backend,
    &reference::backend,
};
const size_t backend_table_size = std::size(backend_table);

}  // namespace lt
