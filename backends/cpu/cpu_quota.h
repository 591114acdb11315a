// The CPU time that control groups leave to this process, in whole CPUs. Reads a few small files of the kernel; any thread.
#pragma once

#include <cstdint>

namespace lt::cpu {

// The tightest quota of the process's own control groups and their parents (cgroup v2 cpu.max, v1 cpu.cfs_quota_us),
// rounded up to whole CPUs; 0 where there is none. `root` stands in front of every path: "" on a machine, a folder in
// tests.
uint32_t cgroup_cpus(const char* root = "");

}  // namespace lt::cpu
