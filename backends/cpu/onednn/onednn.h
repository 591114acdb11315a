// oneDNN's convolutions and matrix products as kernels of the CPU backend. The library is opened at run time, once a
// process, and never closed; `open` may be called by any thread. It runs on the CPU backend's own threads alone: its
// OpenMP runtime is told, call by call, to use the calling thread, so that its workers never come into being.
#pragma once

#include <memory>

#include "backends/cpu/kernel.h"

namespace lt::cpu {

class OneDnn {
 public:
  // Fails with Status::device and the reason where the library is absent, of another major version than the headers this
  // was built with, or built for threads that cannot be tamed; the same answer for the life of the process.
  static Status open(const OneDnn** library);

  const char* version() const;  // "2.6.3"

  // Null where no oneDNN kernel serves the op; the sentence then lies in last_error().
  std::unique_ptr<Kernel> make_kernel(const Program& program, const KernelRequest& request) const;
};

}  // namespace lt::cpu
