// The CPU device and its executor. Set-up makes one kernel an op and the threads; a run then calls the kernels one after
// the other on the session's region and allocates nothing. The executor belongs to one thread at a time.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "backends/cpu/bf16/unit.h"
#include "backends/cpu/choice.h"
#include "backends/cpu/cpu.h"
#include "backends/cpu/highway/bf16.h"
#include "backends/cpu/int8/unit.h"
#include "backends/cpu/kernel.h"
#include "backends/cpu/thread_pool.h"
#include "src/executor.h"

namespace lt::cpu {
namespace {

class CpuExecutor final : public HostExecutor {
 public:
  CpuExecutor(const Program& program, std::byte* region, highway::Target target)
      : HostExecutor(program, region), round_(highway::for_target(highway::round_row_table, target)) {}

  Status prepare(KernelChoice choice, highway::Target target, uint32_t threads) {
    LT_TRY(ThreadPool::create(threads, &pool_));
    kernels_.reserve(program_.ops.size());
    for (const Op& op : program_.ops) {
      auto kernel = make_kernel(program_, {&op, program_.micro_batch, threads, program_.frugal}, choice, target);
      if (kernel == nullptr) return Status::unsupported;
      if (kernel->scratch_bytes() > program_.scratch_bytes)
        return fail(Status::internal, "%s: %s needs %llu bytes of scratch, the plan has %llu", op.layer.c_str(),
                    kernel->name(), static_cast<unsigned long long>(kernel->scratch_bytes()),
                    static_cast<unsigned long long>(program_.scratch_bytes));
      kernels_.push_back(std::move(kernel));
    }
    return Status::ok;
  }

  Status run(uint32_t first, uint32_t last, const RunArguments& arguments) override {
    LT_TRY(check_run(program_, first, last, arguments));
    const KernelContext context{&program_, &arguments, pool_.get(), region_};
    if (copies_are_stale_) take_weights(context);
    for (uint32_t i = first; i < last; ++i) {
      kernels_[i]->run(context);
      LT_TRY(kernels_[i]->outcome());
    }
    return Status::ok;
  }

 private:
  // What was uploaded is rounded for the products (bf16) and prepared by the kernels (inference), once and in front of the
  // next run.
  void take_weights(const KernelContext& context) {
    for (const Op& op : program_.ops)
      if (op.copies != no_tensor)
        round_(context.at<float>(op.parameters), op.parameter_elements, context.at<Bf16>(op.copies));
    if (program_.inference)
      for (const auto& kernel : kernels_) kernel->take_weights(context);
    copies_are_stale_ = false;
  }

  std::unique_ptr<ThreadPool> pool_;
  std::vector<std::unique_ptr<Kernel>> kernels_;
  highway::RoundRow* const round_;
};

// The value of the first line that starts with `key`, such as "model name" in "model name\t: AMD EPYC"; "" where there is
// none.
void read_field(const char* path, const char* key, char* value, size_t value_bytes) {
  value[0] = '\0';
  FILE* file = std::fopen(path, "re");
  if (file == nullptr) return;
  char line[512];
  while (std::fgets(line, sizeof(line), file) != nullptr) {
    const char* colon = std::strchr(line, ':');
    if (colon == nullptr || std::strncmp(line, key, std::strlen(key)) != 0) continue;
    line[std::strcspn(line, "\n")] = '\0';
    std::snprintf(value, value_bytes, "%s", colon + 1 + std::strspn(colon + 1, " \t"));
    break;
  }
  std::fclose(file);
}

// "AMD EPYC, 2 threads, AVX-512"
void describe_processor(uint32_t threads, highway::Target target, char* text, size_t text_bytes) {
  char model[64];
  read_field("/proc/cpuinfo", "model name", model, sizeof(model));
  std::snprintf(text, text_bytes, "%s, %u thread%s, %s", model[0] != '\0' ? model : "CPU", threads, threads == 1 ? "" : "s",
                target_name(target));
}

class CpuDevice final : public Device {
 public:
  CpuDevice(KernelChoice choice, highway::Target target, uint32_t threads, Precision precision, const char* onednn)
      : choice_(choice), target_(target), threads_(threads) {
    const bool native = choice == KernelChoice::automatic;
    const char* const unit = native && precision == Precision::bf16   ? bf16::unit_name(bf16::unit_best())
                             : native && precision == Precision::int8 ? int8::unit_name(int8::unit_best())
                                                                      : "";
    std::snprintf(kernels_, sizeof(kernels_), "%s%shighway %s%s%s", unit, *unit != '\0' ? " + " : "", target_name(target),
                  onednn != nullptr ? " + oneDNN " : "", onednn != nullptr ? onednn : "");
    describe_processor(threads, target, description_, sizeof(description_));
  }

  const char* description() const override { return description_; }
  WeightLayout weight_layout() const override { return WeightLayout::in_out; }
  uint32_t threads() const override { return threads_; }
  const char* kernels() const override { return kernels_; }
  // The own kernels do; the library's have no place for it.
  bool folds_updates(OpKind) const override { return choice_ != KernelChoice::onednn; }
  bool takes_rows() const override { return true; }

  Status prepare(const Program& program, const Op& op, OpNeeds* needs) const override {
    const auto kernel = make_kernel(program, {&op, program.micro_batch, threads_, program.frugal}, choice_, target_);
    if (kernel == nullptr) return Status::unsupported;
    *needs = OpNeeds{kernel->scratch_bytes(), kernel->saved_bytes(), ""};
    std::snprintf(needs->kernel, sizeof(needs->kernel), "%s", kernel->name());
    return Status::ok;
  }

  Status attach(const Program& program, std::byte* region, std::unique_ptr<Executor>* executor) const override {
    auto made = std::make_unique<CpuExecutor>(program, region, target_);
    LT_TRY(made->prepare(choice_, target_, threads_));
    *executor = std::move(made);
    return Status::ok;
  }

 private:
  KernelChoice choice_;
  highway::Target target_;
  uint32_t threads_;
  char kernels_[64];
  char description_[128];
};

uint64_t memory_bytes(const char* key) {
  char value[64];
  read_field("/proc/meminfo", key, value, sizeof(value));
  return std::strtoull(value, nullptr, 10) * 1024;
}

uint32_t device_count() { return 1; }

void describe(uint32_t, DeviceInfo* info) {
  *info = DeviceInfo{};
  std::snprintf(info->name, sizeof(info->name), "cpu");
  char processor[128];
  describe_processor(threads_allowed(), highway::target_best(), processor, sizeof(processor));
  const char* onednn = onednn_version();
  std::snprintf(info->description, sizeof(info->description), "%s; %s%s", processor, onednn != nullptr ? "oneDNN " : "",
                onednn != nullptr ? onednn : last_error());
  info->memory_total_bytes = memory_bytes("MemTotal");
  info->memory_free_bytes = memory_bytes("MemAvailable");
  info->usable = true;
}

Status open(const DeviceConfig& config, std::unique_ptr<Device>* device) {
  const uint32_t allowed = threads_allowed();
  if (config.threads > allowed)
    return fail(Status::argument, "--threads %u: this process may use %u; ask for fewer or leave the option out",
                config.threads, allowed);
  return open_with(config, highway::target_best(), device);
}

}  // namespace

Status open_with(const DeviceConfig& config, highway::Target target, std::unique_ptr<Device>* device) {
  if (config.index != 0) return fail(Status::device, "device cpu:%u: there is one CPU device, cpu", config.index);
  KernelChoice choice{};
  LT_TRY(parse_kernel_choice(config.kernels, &choice, &target));
  if (!target_supported(target))
    return fail(Status::device, "this processor or build does not have %s instructions", target_name(target));
  if (choice == KernelChoice::onednn && config.precision != Precision::fp32)
    return fail(Status::unsupported,
                "--kernels onednn computes in fp32 alone; with --precision %s take highway, or leave the option out",
                precision_name(config.precision));
  const char* onednn = nullptr;
  if (choice == KernelChoice::onednn && (onednn = onednn_version()) == nullptr) return Status::device;
  *device = std::make_unique<CpuDevice>(choice, target, config.threads != 0 ? config.threads : threads_allowed(),
                                        config.precision, onednn);
  return Status::ok;
}

const Backend backend = {"cpu", precision_set(Precision::fp32, Precision::bf16, Precision::int8), device_count, describe, open};

}  // namespace lt::cpu
