// Time since the program was executed. mark_process_start is the first call of main; the rest may be called by any thread.
#pragma once

namespace lt::tool {

double monotonic_seconds();

// The kernel tells no fine time of exec: starttime of /proc/self/stat has a grain of 10 ms and is that of the fork. What
// went before main (exec itself, the dynamic loader, static objects) is therefore taken from the processor time used until
// now plus the time spent waiting for a processor (/proc/self/schedstat), both counted in nanoseconds. Time asleep on a
// cold disk before main is not seen; a parent that computed before it called exec without a fork is counted in.
void mark_process_start();
double seconds_since_exec();

}  // namespace lt::tool
