// What the kernel says that this process uses. Reads /proc with a fixed buffer: nothing is allocated. Any thread.
#pragma once

#include <cstdint>

namespace lt::tool {

// Private memory: "Anonymous" of /proc/self/smaps_rollup. Mapped files are not in it. 0 where it cannot be told.
uint64_t anonymous_bytes();
// The greatest resident size so far: "VmHWM" of /proc/self/status. 0 where it cannot be told.
uint64_t peak_resident_bytes();

// The kernel keeps no maximum of private memory, so it is looked at where it can have grown: after set-up, after the first
// two steps, after evaluations and a save. Between these nothing allocates, which makes the greatest look the peak.
class AnonymousPeak {
 public:
  void sample();
  // The same, at most twice a second: one look walks the page tables, about 10 ns a page.
  void sample_sometimes();
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t bytes_ = 0;
  double last_seconds_ = -1;
};

}  // namespace lt::tool
