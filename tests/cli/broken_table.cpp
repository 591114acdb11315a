// The program's devices, but that the CPU's product of linear layers is wrong by a little in one element: what selftest and
// compare are there to see.
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include "backends/cpu/cpu.h"
#include "backends/reference/reference.h"
#include "src/backend.h"

namespace lt {
namespace {

class BrokenExecutor final : public Executor {
 public:
  BrokenExecutor(const Program& program, std::byte* region, std::unique_ptr<Executor> executor)
      : program_(program), region_(region), executor_(std::move(executor)) {}
  Status run(uint32_t first, uint32_t last, const RunArguments& arguments) override {
    for (uint32_t i = first; i < last; ++i) {
      LT_TRY(executor_->run(i, i + 1, arguments));
      const Op& op = program_.ops[i];
      if (op.kind != OpKind::linear || program_.tensors[op.y].dtype != DType::f32) continue;
      float value;
      std::byte* const y = region_ + program_.tensors[op.y].offset;
      std::memcpy(&value, y, sizeof value);
      value += 0.125f;
      std::memcpy(y, &value, sizeof value);
    }
    return Status::ok;
  }
  Status upload(TensorId to, uint64_t offset, const void* from, uint64_t bytes) override {
    return executor_->upload(to, offset, from, bytes);
  }
  Status download(TensorId from, uint64_t offset, void* to, uint64_t bytes) override {
    return executor_->download(from, offset, to, bytes);
  }
  Status synchronize() override { return executor_->synchronize(); }
  std::byte* staging(TensorId tensor) override { return executor_->staging(tensor); }

 private:
  Program program_;
  std::byte* region_;
  std::unique_ptr<Executor> executor_;
};

class BrokenDevice final : public Device {
 public:
  explicit BrokenDevice(std::unique_ptr<Device> device) : device_(std::move(device)) {}
  const char* description() const override { return device_->description(); }
  WeightLayout weight_layout() const override { return device_->weight_layout(); }
  uint32_t threads() const override { return device_->threads(); }
  const char* kernels() const override { return device_->kernels(); }
  bool folds_updates(OpKind backward) const override { return device_->folds_updates(backward); }
  bool takes_rows() const override { return device_->takes_rows(); }
  Status prepare(const Program& program, const Op& op, OpNeeds* needs) const override {
    return device_->prepare(program, op, needs);
  }
  Status attach(const Program& program, std::byte* region, std::unique_ptr<Executor>* executor) const override {
    std::unique_ptr<Executor> sound;
    LT_TRY(device_->attach(program, region, &sound));
    *executor = std::make_unique<BrokenExecutor>(program, region, std::move(sound));
    return Status::ok;
  }

 private:
  std::unique_ptr<Device> device_;
};

Status open_broken(const DeviceConfig& config, std::unique_ptr<Device>* device) {
  std::unique_ptr<Device> sound;
  LT_TRY(cpu::backend.open(config, &sound));
  *device = std::make_unique<BrokenDevice>(std::move(sound));
  return Status::ok;
}

const Backend broken_cpu = {"cpu", cpu::backend.precisions, cpu::backend.device_count, cpu::backend.describe, open_broken};

}  // namespace

const Backend* const backend_table[] = {&broken_cpu, &reference::backend};
const size_t backend_table_size = std::size(backend_table);

}  // namespace lt
