// What this machine can do at most: the ground that speeds are held against. Compiled with -ffp-contract=fast, which makes
// one instruction of `a * b + c`. Each thread owns its own block; one call at a time.
#pragma once

namespace lt::tool {

struct MachinePeak {
  const char* kernel = "";                     // the vectors that were used: "AVX-512"
  double flops_per_second = 0;                 // fp32 multiply-adds on registers alone, two operations each
  const char* bf16_kernel = "";                // the processor's own products of bfloat16: "AMX"; "" where it has none
  double bf16_flops_per_second = 0;            // with sums in float; 0 where it has none
  double read_and_write_bytes_per_second = 0;  // in memory, past the caches
};

// Each figure is the best of several short runs, so that other work disturbs little. About a second.
MachinePeak measure_machine_peak(unsigned threads);

// fp32 operations a second of the calling thread as it is now, in a tenth of a millisecond on registers alone. Long work on
// wide vectors slows processors down, some by a quarter and for milliseconds: what is measured right beside another
// computation is what that one could have reached.
double flops_per_second_now();

}  // namespace lt::tool
