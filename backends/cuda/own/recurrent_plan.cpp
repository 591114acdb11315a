// See recurrent.h.
#include <algorithm>

#include "backends/cuda/own/recurrent.h"
#include "src/base/checked.h"

namespace lt::cuda {
namespace {

uint32_t threads_of(bool backward, uint32_t gates, uint32_t units, uint32_t cluster) {
  const uint32_t sums = gates * recurrent_own(units, cluster);
  return backward ? recurrent_lanes(units) * recurrent_parts(sums) : recurrent_lanes(sums) * recurrent_parts(units);
}

uint32_t shared_bytes_of(bool backward, uint32_t gates, uint32_t units, uint32_t cluster, uint32_t slice) {
  const uint32_t padded = recurrent_padded(slice, recurrent_group(slice));
  const uint32_t floats = backward ? recurrent_backward_layout(gates, units, cluster, padded).end
                                   : recurrent_layout(gates, units, cluster, padded).end;
  return floats * static_cast<uint32_t>(sizeof(float));
}

// Clusters of 16 are there on data centres' Hopper and Blackwell alone.
uint32_t most_cluster_of(int compute_capability) {
  return compute_capability < 90 ? 1 : compute_capability < 120 ? recurrent_most_cluster : 8;
}

}  // namespace

uint32_t RecurrentPlan::slice(uint32_t samples) const {
  return std::min(std::max(static_cast<uint32_t>(divide_up(samples, clusters_at_a_time)), 1u), most_slice);
}

RecurrentPlan plan_recurrent(bool backward, Cell cell, uint32_t units, uint32_t directions, int compute_capability,
                             uint32_t multiprocessors) {
  constexpr uint32_t most_units = 4096;  // past which nothing fits, and the numbers below stay small
  const uint32_t gates = gates_of(cell);
  for (uint32_t cluster = 1; cluster <= most_cluster_of(compute_capability) && units <= most_units; cluster *= 2) {
    const uint32_t threads = threads_of(backward, gates, units, cluster);
    if (threads > recurrent_threads || cluster > units) continue;
    RecurrentPlan plan;
    plan.threads = threads;
    plan.cluster = cluster;
    plan.clusters_at_a_time = std::max(multiprocessors / (cluster * directions), 1u);
    const uint32_t most = threads / recurrent_own(units, cluster);
    for (uint32_t slice = 1; slice <= recurrent_most_slice; slice *= 2)
      if (slice <= most && shared_bytes_of(backward, gates, units, cluster, slice) <= recurrent_shared_bytes)
        plan.most_slice = slice;
    if (plan.most_slice != 0) return plan;
  }
  return {};
}

uint32_t recurrent_shared_bytes_of(bool backward, Cell cell, uint32_t units, const RecurrentPlan& plan, uint32_t slice) {
  return shared_bytes_of(backward, gates_of(cell), units, plan.cluster, slice);
}

Status RecurrentOp::make(const KernelRequest& request, bool is_backward) {
  op = *request.op;
  backward = is_backward;
  precision = gemm_precision(request.precision);
  steps = op.x_extent.height;
  features = op.x_extent.channels;
  outputs = gates_of(op.cell) * op.units;
  most_rows = uint64_t{request.micro_batch} * steps;
  const auto& tensors = request.program->tensors;
  for (const TensorId id : {op.x, op.y, op.dx, op.dy, op.weights[0].ih, op.weights[0].hh}) {
    if (id == no_tensor || tensors[id].dtype == type()) continue;
    return fail(Status::unsupported, "%s: the own recurrent kernels of %s take %s as %s", op.layer.c_str(),
                precision_name(request.precision), tensors[id].name.c_str(), type() == DType::bf16 ? "bfloat16" : "float");
  }
  if (op.has_lengths && op.staging_lengths == no_tensor)
    return fail(Status::unsupported, "%s: its samples have lengths, and no place for them on the device", op.layer.c_str());
  if (most_rows * outputs >= uint64_t{1} << 40 || most_rows > INT32_MAX)
    return fail(Status::unsupported, "%s: %u samples of %u steps; the own recurrent kernels take %d steps of all samples",
                op.layer.c_str(), request.micro_batch, steps, INT32_MAX);
  plan = plan_recurrent(backward, op.cell, op.units, op.directions, request.compute_capability, request.multiprocessors);
  return Status::ok;
}

std::string RecurrentOp::kernel_name() const {
  const std::string cell = op.cell == Cell::gru ? "own GRU" : "own LSTM";
  return plan.threads == 0 ? cell + " by steps" : cell + ", clusters of " + std::to_string(plan.cluster);
}

Grid RecurrentOp::step_grid(const Site& site, uint32_t units_of_block) const {
  constexpr uint32_t most_rows_of_blocks = 1024;
  const auto rows = static_cast<uint32_t>(divide_up(site.samples, recurrent_step_samples));
  return {static_cast<uint32_t>(divide_up(op.units, units_of_block)), std::min(rows, most_rows_of_blocks), op.directions};
}

uint64_t RecurrentOp::gates_bytes() const { return align_up(most_rows * outputs * sizeof(float), tensor_alignment); }
uint64_t RecurrentOp::kept_bytes() const { return align_up(most_rows * op.units * sizeof(float), tensor_alignment); }
uint64_t RecurrentOp::direction_bytes() const {
  return gates_bytes() + kept_bytes() + align_up(most_rows * op.units * dtype_bytes(type()), tensor_alignment);
}

Status RecurrentOp::shape(const Site& site, uint32_t* order, RecurrentShape* shape) const {
  *shape = {};
  shape->lengths = op.has_lengths && site.has_lengths ? site.at<const uint32_t>(op.staging_lengths) : nullptr;
  shape->steps = steps;
  shape->samples = site.samples;
  shape->units = op.units;
  shape->directions = op.directions;
  shape->only_last = op.only_last_step ? 1 : 0;
  shape->bf16 = type() == DType::bf16 ? 1 : 0;
  if (plan.threads == 0) return Status::ok;
  shape->cluster = plan.cluster;
  shape->slice = plan.slice(site.samples);
  if (shape->lengths == nullptr) return Status::ok;
  shape->order = order;
  const uint32_t blocks = static_cast<uint32_t>(divide_up(site.samples, recurrent_threads));
  return site.launcher.launch<KernelId::recurrent_order>({blocks}, recurrent_threads,
                                                         {shape->lengths, order, site.samples});
}

}  // namespace lt::cuda
