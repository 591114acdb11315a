// What else the machine did while something was measured, as /proc counts it. Set-up and closing; one thread.
#pragma once

namespace lt::tool {

// Processor time since the machine started, of all its processors together. All zero where /proc/stat cannot be read.
struct MachineTime {
  double busy_seconds = 0;   // in user mode and in the kernel, of all processes
  double steal_seconds = 0;  // a hypervisor gave it to others
  double all_seconds = 0;    // idle time included
};
MachineTime machine_time();

// What the time between two readings went to, as fractions of all processors.
struct Load {
  double others = 0;  // processes other than the measured ones
  double stolen = 0;  // the hypervisor's other guests
};
// `own_seconds`: processor time of the measured processes in between. Clocks of 10 ms count the two: a fraction below 0 is
// 0.
Load load_between(const MachineTime& begin, const MachineTime& end, double own_seconds);

// How long the threads of this process have stood ready to run and found no processor free, summed over the threads there
// are. 0 where the kernel does not count it.
double waited_seconds();

}  // namespace lt::tool
