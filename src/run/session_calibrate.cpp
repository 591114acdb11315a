// int8: the scales of what is between operations, found by the forward pass in floats on samples of the caller's.
#include <algorithm>

#include "src/run/calibration.h"
#include "src/run/session.h"

namespace lt {
namespace {

constexpr uint64_t piece_bytes = 1 << 20;

// Waits for what is on its way to `piece`, twice where the first time fails: the piece is gone behind a failure.
Status download(Executor* from, TensorId tensor, uint64_t at, uint64_t bytes, std::vector<std::byte>* piece) {
  LT_TRY(from->download(tensor, at, piece->data(), bytes));
  const Status status = from->synchronize();
  if (!ok(status)) (void)from->synchronize();
  return status;
}

// The parameters of one executor to another's, whose plan has the same ones in the same layout.
Status copy_parameters(const Plan& from_plan, Executor* from, const Plan& to_plan, Executor* to,
                       std::vector<std::byte>* piece) {
  for (size_t i = 0; i < from_plan.parameters.size(); ++i) {
    const Parameter &source = from_plan.parameters[i], &destination = to_plan.parameters[i];
    const uint64_t bytes = source.elements() * sizeof(float);
    for (uint64_t at = 0; at < bytes; at += piece_bytes) {
      const uint64_t n = std::min(piece_bytes, bytes - at);
      LT_TRY(download(from, source.tensor, at, n, piece));
      LT_TRY(to->upload(destination.tensor, at, piece->data(), n));
    }
  }
  return to->synchronize();
}

// The numbers of `samples` that an op of the program in floats has written.
Status read_numbers(const Program& program, const Op& op, uint32_t samples, Executor* executor,
                    std::vector<std::byte>* piece, Calibration* calibration) {
  const uint64_t bytes = program.tensors[op.y].sample_elements * samples * sizeof(float);
  for (uint64_t at = 0; at < bytes; at += piece_bytes) {
    const uint64_t n = std::min(piece_bytes, bytes - at);
    LT_TRY(download(executor, op.y, at, n, piece));
    calibration->add(reinterpret_cast<const float*>(piece->data()), n / sizeof(float));
  }
  return Status::ok;
}

}  // namespace

Status Session::check_calibrated() const {
  if (plan_->scales == no_tensor || calibrated_) return Status::ok;
  return fail(Status::state, "model %s computes in int8 with these weights once it is calibrated (lt_session_calibrate)",
              plan_->recipe.name.c_str());
}

Status Session::calibrate(const void* x, uint32_t n) {
  if (plan_->scales == no_tensor)
    return fail(Status::state, "model %s computes in %s, which has nothing to calibrate", plan_->recipe.name.c_str(),
                precision_name(plan_->precision));
  if (n == 0) return fail(Status::argument, "0 samples to calibrate by, expected 1 or more");
  const Plan& floats = *plan_->calibration;
  const Program& program = floats.program;
  std::vector<std::byte> piece(piece_bytes);  // outlives the executor, which may be copying when a call fails
  Region region;
  if (floats.device->host_regions()) LT_TRY(region.reserve(program.region_bytes));
  std::unique_ptr<Executor> executor;
  LT_TRY(floats.device->attach(program, region.bytes(), &executor));
  LT_TRY(copy_parameters(*plan_, executor_.get(), floats, executor.get(), &piece));

  std::vector<Calibration> found(program.ops.size());
  RunArguments run;
  for (uint32_t first = 0; first < n; first += run.samples) {
    run = arguments(std::min(program.micro_batch, n - first), first, n, false);
    run.x = static_cast<const std::byte*>(x) + first * plan_->sample_bytes();
    for (uint32_t i = 0; i < program.forward_end; ++i) {
      LT_TRY(executor->run(i, i + 1, run));
      LT_TRY(read_numbers(program, program.ops[i], run.samples, executor.get(), &piece, &found[i]));
      if (!found[i].finite())
        return fail(Status::numeric,
                    "calibration: layer %s gives numbers that are not finite or too large; look at the weights",
                    program.ops[i].layer.c_str());
    }
  }
  std::vector<float> scales;
  for (uint32_t i = 0; i < program.forward_end; ++i)
    scales.push_back(found[i].scale(plan_->program.ops[i].y_scale.zero == 0 ? 255 : 127));
  LT_TRY(executor_->upload(plan_->scales, 0, scales.data(), scales.size() * sizeof(float)));
  LT_TRY(executor_->synchronize());
  calibrated_ = true;
  return Status::ok;
}

}  // namespace lt
