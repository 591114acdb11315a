// The executor of a list of CPU kernels: what the CPU device does, without its choices and its limits. See kernel_device.h.
#include "tests/ops/kernel_device.h"

#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

namespace lt::ops {
namespace {

class KernelExecutor final : public Executor {
 public:
  KernelExecutor(const Program& program, std::byte* region) : program_(program), region_(region) {}

  Status set_up(const KernelMaker& maker, uint32_t threads) {
    LT_TRY(cpu::ThreadPool::create(threads, &pool_));
    for (const Op& op : program_.ops) {
      kernels_.push_back(maker(program_, {&op, program_.micro_batch, threads}));
      if (kernels_.back() == nullptr) return Status::unsupported;
    }
    return Status::ok;
  }

  Status run(uint32_t first, uint32_t last, const RunArguments& arguments) override {
    const cpu::KernelContext context{&program_, &arguments, pool_.get(), region_};
    if (std::exchange(has_new_weights_, false))
      for (const auto& kernel : kernels_) kernel->take_weights(context);
    for (uint32_t i = first; i < last; ++i) kernels_[i]->run(context);
    return Status::ok;
  }
  Status upload(TensorId destination, uint64_t offset_bytes, const void* source, uint64_t bytes) override {
    std::memcpy(region_ + program_.tensors[destination].offset + offset_bytes, source, bytes);
    has_new_weights_ = program_.inference;
    return Status::ok;
  }
  Status download(TensorId source, uint64_t offset_bytes, void* destination, uint64_t bytes) override {
    std::memcpy(destination, region_ + program_.tensors[source].offset + offset_bytes, bytes);
    return Status::ok;
  }
  Status synchronize() override { return Status::ok; }
  std::byte* staging(TensorId tensor) override { return region_ + program_.tensors[tensor].offset; }

 private:
  Program program_;
  std::byte* region_;
  std::unique_ptr<cpu::ThreadPool> pool_;
  std::vector<std::unique_ptr<cpu::Kernel>> kernels_;
  bool has_new_weights_ = false;
};

class KernelDevice final : public Device {
 public:
  KernelDevice(KernelMaker maker, uint32_t threads) : maker_(std::move(maker)), threads_(threads) {}
  WeightLayout weight_layout() const override { return WeightLayout::in_out; }
  uint32_t threads() const override { return threads_; }
  const char* kernels() const override { return "kernels of a test"; }
  bool folds_updates(OpKind) const override { return true; }
  bool takes_rows() const override { return true; }

  Status prepare(const Program& program, const Op& op, OpNeeds* needs) const override {
    const std::unique_ptr<cpu::Kernel> kernel = maker_(program, {&op, program.micro_batch, threads_});
    if (kernel == nullptr) return Status::unsupported;
    *needs = OpNeeds{};
    needs->scratch_bytes = kernel->scratch_bytes();
    needs->saved_bytes = kernel->saved_bytes();
    std::snprintf(needs->kernel, sizeof needs->kernel, "%s", kernel->name());
    return Status::ok;
  }

  Status attach(const Program& program, std::byte* region, std::unique_ptr<Executor>* executor) const override {
    auto made = std::make_unique<KernelExecutor>(program, region);
    LT_TRY(made->set_up(maker_, threads_));
    *executor = std::move(made);
    return Status::ok;
  }

 private:
  KernelMaker maker_;
  uint32_t threads_;
};

}  // namespace

std::unique_ptr<Device> kernel_device(KernelMaker maker, uint32_t threads) {
  return std::make_unique<KernelDevice>(std::move(maker), threads);
}

}  // namespace lt::ops
