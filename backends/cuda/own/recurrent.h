// How recurrent layers run on the kernels of kernels/recurrent.h: in which clusters, if any, and where what is kept from
// forward to backward lies. Decided in set-up, by shape and device alone.
#pragma once

#include <cstdint>
#include <string>

#include "backends/cuda/kernel.h"
#include "backends/cuda/kernels/recurrent.h"
#include "backends/cuda/own/gemm.h"
#include "src/base/checked.h"

namespace lt::cuda {

// How all steps of a layer are one launch; threads 0: they are not, each step is a launch.
struct RecurrentPlan {
  uint32_t threads = 0, cluster = 1;
  uint32_t most_slice = 0;          // samples that a cluster can take
  uint32_t clusters_at_a_time = 1;  // of one direction, by the number of multiprocessors

  uint32_t slice(uint32_t samples) const;
};
// The samples that a thread multiplies at a time.
constexpr uint32_t recurrent_group(uint32_t slice) { return slice <= 2 ? slice : 4; }

RecurrentPlan plan_recurrent(bool backward, Cell cell, uint32_t units, uint32_t directions, int compute_capability,
                             uint32_t multiprocessors);
uint32_t recurrent_shared_bytes_of(bool backward, Cell cell, uint32_t units, const RecurrentPlan& plan, uint32_t slice);

// What every recurrent op is, forward or backward.
struct RecurrentOp {
  Op op;
  bool backward = false;
  GemmPrecision precision{};
  RecurrentPlan plan;
  uint32_t steps = 0, features = 0, outputs = 0;  // outputs: of all gates
  uint64_t most_rows = 0;                         // of the largest micro-batch

  // Fails with Status::unsupported and a sentence where types or extents are not what the kernels take.
  Status make(const KernelRequest& request, bool is_backward);
  std::string kernel_name() const;  // "own GRU, clusters of 8", "own LSTM by steps"
  DType type() const { return gemm_type(precision); }
  uint64_t rows(const Site& site) const { return uint64_t{site.samples} * steps; }
  // x weight and h weight as products of so many rows.
  GemmConvolution convolution(uint32_t in) const { return {{1, 1, in}, {1, 1, outputs}, Window{}, false, outputs}; }

  // Of the tensor `saved`, in bytes from its start.
  uint64_t gates_at(uint32_t direction) const { return direction * direction_bytes(); }
  uint64_t kept_at(uint32_t direction) const { return gates_at(direction) + gates_bytes(); }
  uint64_t before_at(uint32_t direction) const { return kept_at(direction) + kept_bytes(); }
  uint64_t saved_bytes() const { return op.directions * direction_bytes(); }

  // The shape for a run; puts the samples in order, in `order`, where they have lengths and the plan wants them so.
  Status shape(const Site& site, uint32_t* order, RecurrentShape* shape) const;

  // All steps at once, by the kernel of the cell and of the samples that a thread multiplies at a time: 1, 2 or 4.
  template <KernelId gru_1, KernelId gru_2, KernelId gru_4, KernelId lstm_1, KernelId lstm_2, KernelId lstm_4>
  Status launch_all_steps(const Site& site, const typename KernelArguments<gru_1>::type& arguments) const {
    return op.cell == Cell::gru ? launch_group<gru_1, gru_2, gru_4>(site, arguments)
                                : launch_group<lstm_1, lstm_2, lstm_4>(site, arguments);
  }
  // Of one step's launch, whose blocks have so many units.
  Grid step_grid(const Site& site, uint32_t units_of_block) const;

 private:
  template <KernelId one, KernelId two, KernelId four>
  Status launch_group(const Site& site, const typename KernelArguments<one>::type& arguments) const {
    const uint32_t slice = arguments.shape.slice, group = recurrent_group(slice);
    const Grid grid{static_cast<uint32_t>(divide_up(site.samples, slice)) * plan.cluster, op.directions};
    const uint32_t shared_bytes = recurrent_shared_bytes_of(backward, op.cell, op.units, plan, slice);
    const Launcher& launcher = site.launcher;
    return group == 1   ? launcher.launch_clusters<one>(plan.cluster, grid, plan.threads, arguments, shared_bytes)
           : group == 2 ? launcher.launch_clusters<two>(plan.cluster, grid, plan.threads, arguments, shared_bytes)
                        : launcher.launch_clusters<four>(plan.cluster, grid, plan.threads, arguments, shared_bytes);
  }
  uint64_t gates_bytes() const;
  uint64_t kept_bytes() const;
  uint64_t direction_bytes() const;
};

}  // namespace lt::cuda
