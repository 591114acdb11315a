// Devices that are another one but for something: for tests of what is there to see the difference. Each owns the device
// that it stands in front of; any thread as with that one.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "src/backend.h"

namespace lt {

// All as the other device has it; what is to be different is overridden.
class DeviceInFront : public Device {
 public:
  explicit DeviceInFront(std::unique_ptr<Device> device) : device_(std::move(device)) {}
  const char* description() const override { return device_->description(); }
  WeightLayout weight_layout() const override { return device_->weight_layout(); }
  uint32_t threads() const override { return device_->threads(); }
  const char* kernels() const override { return device_->kernels(); }
  bool folds_updates(OpKind backward) const override { return device_->folds_updates(backward); }
  bool takes_rows() const override { return device_->takes_rows(); }
  bool sums_in_place() const override { return device_->sums_in_place(); }
  bool host_regions() const override { return device_->host_regions(); }
  Status prepare(const Program& program, const Op& op, OpNeeds* needs) const override {
    return device_->prepare(program, op, needs);
  }
  Status attach(const Program& program, std::byte* region, std::unique_ptr<Executor>* executor) const override {
    return device_->attach(program, region, executor);
  }

 private:
  std::unique_ptr<Device> device_;
};

// Called after each operation, with the program and the region: what it writes there is the fault.
using Fault = std::function<void(const Program& program, const Op& op, std::byte* region)>;

class FaultyExecutor final : public Executor {
 public:
  FaultyExecutor(const Program& program, std::byte* region, std::unique_ptr<Executor> executor, Fault fault)
      : program_(program), region_(region), executor_(std::move(executor)), fault_(std::move(fault)) {}
  Status run(uint32_t first, uint32_t last, const RunArguments& arguments) override {
    for (uint32_t i = first; i < last; ++i) {
      LT_TRY(executor_->run(i, i + 1, arguments));
      fault_(program_, program_.ops[i], region_);
    }
    return Status::ok;
  }
  Status upload(TensorId to, uint64_t offset_bytes, const void* from, uint64_t bytes) override {
    return executor_->upload(to, offset_bytes, from, bytes);
  }
  Status download(TensorId from, uint64_t offset_bytes, void* to, uint64_t bytes) override {
    return executor_->download(from, offset_bytes, to, bytes);
  }
  Status synchronize() override { return executor_->synchronize(); }
  std::byte* staging(TensorId tensor) override { return executor_->staging(tensor); }

 private:
  Program program_;
  std::byte* region_;
  std::unique_ptr<Executor> executor_;
  Fault fault_;
};

// A device of which each operation may be wrong. Its regions lie in the host's memory.
class FaultyDevice final : public DeviceInFront {
 public:
  FaultyDevice(std::unique_ptr<Device> device, Fault fault) : DeviceInFront(std::move(device)), fault_(std::move(fault)) {}
  Status attach(const Program& program, std::byte* region, std::unique_ptr<Executor>* executor) const override {
    std::unique_ptr<Executor> sound;
    LT_TRY(DeviceInFront::attach(program, region, &sound));
    *executor = std::make_unique<FaultyExecutor>(program, region, std::move(sound), fault_);
    return Status::ok;
  }

 private:
  Fault fault_;
};

}  // namespace lt
