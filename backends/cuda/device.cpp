// The CUDA device: says what there is, opens a GPU, answers what an operation needs and makes executors.
#include <cstdio>
#include <cstring>
#include <mutex>

#include "backends/cuda/context.h"
#include "backends/cuda/cublaslt/table.h"
#include "backends/cuda/cuda_backend.h"
#include "backends/cuda/cudnn/table.h"
#include "backends/cuda/executor.h"

namespace lt::cuda {
namespace {

// 91900 is "9.19.0", 130200 "13.2.0": cuDNN 9 and cuBLAS count alike, up to the hundreds.
void format_cudnn_version(const CudnnTable& table, char* text, size_t text_bytes) {
  const size_t version = table.cudnnGetVersion();
  std::snprintf(text, text_bytes, "%zu.%zu.%zu", version / 10000, version / 100 % 100, version % 100);
}
void format_cublaslt_version(const CublasLtTable& table, char* text, size_t text_bytes) {
  const size_t version = table.cublasLtGetVersion();
  std::snprintf(text, text_bytes, "%zu.%zu.%zu", version / 10000, version / 100 % 100, version % 100);
}

class CudaDevice final : public Device {
 public:
  Status open(const LibrarySource& libraries, const DeviceConfig& config) {
    LT_TRY(parse_kernel_choice(config.kernels, &choice_));
    if (config.precision == Precision::int8) {
      if (choice_ == KernelChoice::cudnn)
        return fail(
            Status::unsupported,
            "--kernels cudnn does not compute in int8, whose roundings are fixed to the bit and cuDNN's are not; take "
            "own, or leave the option out");
      choice_ = KernelChoice::own;  // of the calibration too, which is in fp32
    } else {
      precision_ = config.precision;
    }
    deterministic_ = config.deterministic;
    const bool with_libraries = needs_libraries(choice_);
    LT_TRY(context_.open(libraries, config.index, with_libraries, with_libraries));
    const int driver = context_.driver_version(), capability = context_.compute_capability();
    std::snprintf(description_, sizeof description_, "%s, compute capability %d.%d, driver for CUDA %d.%d", context_.name(),
                  capability / 10, capability % 10, driver / 1000, driver % 1000 / 10);
    const LibraryHandles& handles = context_.libraries();
    if (with_libraries) {
      char cudnn[24], cublas[24];
      format_cudnn_version(*handles.cudnn, cudnn, sizeof cudnn);
      format_cublaslt_version(*handles.cublaslt, cublas, sizeof cublas);
      std::snprintf(kernels_, sizeof kernels_, "own + cuDNN %s + cuBLASLt %s", cudnn, cublas);
    }
    return Status::ok;
  }

  const char* description() const override { return description_; }
  WeightLayout weight_layout() const override { return WeightLayout::out_in; }
  uint32_t threads() const override { return 1; }
  const char* kernels() const override { return kernels_; }
  bool host_regions() const override { return false; }
  // cuDNN takes no graph whose result is one of what it reads.
  bool sums_in_place() const override { return choice_ == KernelChoice::own; }
  // An embedding's, which is a step of few rows; linear layers' updates are done with all others.
  bool folds_updates(OpKind backward) const override { return backward == OpKind::embedding_backward; }

  Status prepare(const Program& program, const Op& op, OpNeeds* needs) const override {
    const std::lock_guard lock(mutex_);
    LT_TRY(context_.enter());
    KernelRequest wanted = request();
    wanted.program = &program;
    wanted.op = &op;
    wanted.micro_batch = program.micro_batch;
    const auto kernel = make_kernel(wanted, choice_);
    if (kernel == nullptr) return Status::unsupported;
    *needs = OpNeeds{kernel->scratch_bytes(), kernel->saved_bytes(), ""};
    std::snprintf(needs->kernel, sizeof needs->kernel, "%s", kernel->name());
    return Status::ok;
  }

  Status attach(const Program& program, std::byte* region, std::unique_ptr<Executor>* executor) const override {
    const std::lock_guard lock(mutex_);
    auto made = std::make_unique<CudaExecutor>(context_, program, request(), choice_);
    LT_TRY(made->set_up(region));
    *executor = std::move(made);
    return Status::ok;
  }

 private:
  KernelRequest request() const {
    KernelRequest result{};
    result.precision = precision_;
    result.deterministic = deterministic_;
    result.multiprocessors = context_.multiprocessors();
    result.compute_capability = context_.compute_capability();
    result.libraries = context_.libraries();
    return result;
  }

  Context context_;
  mutable std::mutex mutex_;  // the libraries' handles serve one thread at a time
  KernelChoice choice_ = KernelChoice::automatic;
  Precision precision_ = Precision::fp32;  // of programs that are not in int8
  bool deterministic_ = false;
  char description_[224] = "", kernels_[96] = "own";
};

// " + WORD VERSION", or " + no WORD (reason)".
template <class Table>
void add_library(Status status, const Table* table, void (*format)(const Table&, char*, size_t), const char* word,
                 DeviceInfo* info) {
  const size_t used = std::strlen(info->description);
  char version[24] = "";
  if (ok(status)) format(*table, version, sizeof version);
  std::snprintf(info->description + used, sizeof info->description - used, ok(status) ? "; %s %s" : "; no %s: %s", word,
                ok(status) ? version : last_error());
}

}  // namespace

uint32_t device_count_of(const LibrarySource& libraries) {
  const DriverTable* driver = nullptr;
  int version = 0, devices = 0;
  // A machine that has none still lists one, with the reason why it cannot be used.
  return ok(start_driver(libraries, &driver, &version, &devices)) ? static_cast<uint32_t>(devices) : 1;
}

void describe_with(const LibrarySource& libraries, uint32_t index, DeviceInfo* info) {
  *info = DeviceInfo{};
  std::snprintf(info->name, sizeof info->name, index == 0 ? "cuda" : "cuda:%u", index);
  Context context;
  if (!ok(context.open(libraries, index, false, false))) {
    std::snprintf(info->why_not, sizeof info->why_not, "%s", last_error());
    std::snprintf(info->description, sizeof info->description, "%s", context.name());
    return;
  }
  const int capability = context.compute_capability(), version = context.driver_version();
  std::snprintf(info->description, sizeof info->description, "%s, compute capability %d.%d, driver for CUDA %d.%d",
                context.name(), capability / 10, capability % 10, version / 1000, version % 1000 / 10);
  info->memory_total_bytes = context.memory_total_bytes();
  size_t free_bytes = 0, total_bytes = 0;
  if (context.driver().cuMemGetInfo(&free_bytes, &total_bytes) == CUDA_SUCCESS) info->memory_free_bytes = free_bytes;
  const CudnnTable* cudnn = nullptr;
  const CublasLtTable* cublaslt = nullptr;
  const Status cudnn_status = libraries.cudnn(&cudnn);
  add_library(cudnn_status, cudnn, format_cudnn_version, "cuDNN", info);
  const Status cublaslt_status = libraries.cublaslt(&cublaslt);
  add_library(cublaslt_status, cublaslt, format_cublaslt_version, "cuBLASLt", info);
  info->usable = true;
}

Status open_with(const LibrarySource& libraries, const DeviceConfig& config, std::unique_ptr<Device>* device) {
  auto made = std::make_unique<CudaDevice>();
  LT_TRY(made->open(libraries, config));
  *device = std::move(made);
  return Status::ok;
}

const Backend backend = {
    "cuda",
    precisions,
    [] { return device_count_of(installed_libraries); },
    [](uint32_t index, DeviceInfo* info) { describe_with(installed_libraries, index, info); },
    [](const DeviceConfig& config, std::unique_ptr<Device>* device) {
      return open_with(installed_libraries, config, device);
    },
};

}  // namespace lt::cuda
