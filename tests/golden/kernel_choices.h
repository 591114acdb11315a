#pragma once

#include <string>
#include <vector>

namespace lt::test {

// What `--kernels` may be given on this processor's architecture; on the processor at hand some may be refused by LT_ERR_DEVICE.
inline std::vector<std::string> kernel_choices() {
  std::vector<std::string> found = {"auto", "highway", "onednn"};
#if defined(__x86_64__)
  found.insert(found.end(), {"highway:baseline", "highway:sse4", "highway:avx2"});
#endif
  return found;
}

}  // namespace lt::test
