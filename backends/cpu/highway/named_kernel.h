// A Highway kernel says its noun and its instruction set in its name, which it owns, and in a suffix what else it
// multiplies with. Made in set-up; see kernel.h.
#pragma once

#include <cstdio>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::highway {

class NamedKernel : public Kernel {
 public:
  NamedKernel(const char* noun, Target target, const char* suffix = "") {
    std::snprintf(name_, sizeof(name_), "highway %s %s%s", noun, target_name(target), suffix);
  }
  const char* name() const override { return name_; }

 private:
  char name_[48];
};

}  // namespace lt::cpu::highway
