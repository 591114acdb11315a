// See primitive.h. Runs allocate nothing of their own; what oneDNN takes from the heap while it executes, it gives back.
#include "backends/cpu/onednn/primitive.h"

#include <cstdio>

namespace lt::cpu::onednn {

dnnl::primitive_attr attributes(After after) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (after == After::sum) {
    dnnl::post_ops post_ops;
    post_ops.append_sum(1.0f);
    attr.set_post_ops(post_ops);
  }
  return attr;
}

Call::Call(const dnnl::engine& engine, const dnnl::primitive& primitive, const std::vector<Argument>& arguments)
    : primitive_(primitive), stream_(engine) {
  if (arguments.size() > most_arguments) throw dnnl::error(dnnl_invalid_arguments, "too many arguments");
  memories_.reserve(arguments.size());
  for (const Argument& argument : arguments) {
    memories_.emplace_back(argument.desc, engine, static_cast<void*>(nullptr));
    arguments_[memories_.size() - 1] = {argument.id, memories_.back().get()};
  }
}

void Call::bind(size_t place, const void* data) {
  if (bound_[place] == data) return;
  // The C function, which cannot throw; it takes inputs and outputs alike without const.
  const dnnl_status_t status = dnnl_memory_set_data_handle(memories_[place].get(), const_cast<void*>(data));
  if (status == dnnl_success)
    bound_[place] = data;
  else
    bind_status_ = status;
}

void Call::execute(std::atomic<int>* failure) {
  dnnl_status_t status = bind_status_;
  if (status == dnnl_success)
    status = dnnl_primitive_execute(primitive_.get(), stream_.get(), static_cast<int>(memories_.size()), arguments_.data());
  if (status != dnnl_success) failure->store(static_cast<int>(status), std::memory_order_relaxed);
}

SampleCounts::SampleCounts(uint32_t largest) {
  counts_.push_back(largest);
  uint32_t power = 1;
  while (power <= largest / 2) power *= 2;
  for (; power != 0; power /= 2)
    if (power < largest) counts_.push_back(power);
}

OneDnnKernel::OneDnnKernel(const KernelRequest& request)
    : op_(*request.op), micro_batch_(request.micro_batch), threads_(request.threads), target_(highway::target_best()) {}

void OneDnnKernel::set_name(const char* noun, const char* implementation) {
  std::snprintf(name_, sizeof name_, "oneDNN %s %s", noun, implementation);
}

Status OneDnnKernel::outcome() const {
  const int failure = failure_.load(std::memory_order_relaxed);
  if (failure == 0) return Status::ok;
  return fail(failure == dnnl_out_of_memory ? Status::memory : Status::internal,
              "%s of layer %s failed while running: oneDNN status %d (%s)", name_, op_.layer.c_str(), failure,
              failure == dnnl_out_of_memory ? "out of memory" : "see dnnl_status_t");
}

void OneDnnKernel::finish(const KernelContext& context, uint32_t sample, float* y) const {
  const RunArguments& arguments = *context.arguments;
  const uint64_t elements = op_.y_extent.elements();
  const highway::Dropout dropout = {arguments.seed, arguments.step, op_.layer_index,
                                    arguments.dropout ? op_.dropout : 0.0f};
  const bool drops = op_.dropout > 0 && arguments.training;
  uint8_t* mask = drops ? context.at<uint8_t>(op_.mask) + sample * mask_row_bytes(elements) : nullptr;
  highway::for_target(highway::activation_forward_table, target_)(y, elements, op_.has_relu, drops ? &dropout : nullptr,
                                                                  arguments.sample_offset + sample, mask);
}

void OneDnnKernel::undo(const KernelContext& context, uint32_t sample, float* dz) const {
  const uint64_t elements = op_.y_extent.elements();
  const float* dy = context.at<const float>(op_.dy) + sample * elements;
  const bool dropped = op_.dropout > 0;
  const float* y = dropped || !op_.has_relu ? nullptr : context.at<const float>(op_.y) + sample * elements;
  const uint8_t* mask = dropped ? context.at<const uint8_t>(op_.mask) + sample * mask_row_bytes(elements) : nullptr;
  const float scale = dropped && context.arguments->dropout ? 1 / (1 - op_.dropout) : 1.0f;
  highway::for_target(highway::activation_backward_table, target_)(dy, y, mask, elements, op_.has_relu, scale, dz);
}

}  // namespace lt::cpu::onednn
