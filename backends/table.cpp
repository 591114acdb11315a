// The devices of this build, in the order in which "auto" tries them. One line a backend.
#include "src/backend.h"

namespace lt {

const Backend* const backend_table[] = {
    nullptr,
};
const size_t backend_table_size = 0;

}  // namespace lt
