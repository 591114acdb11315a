// A program made runnable on a GPU. Owns the region (or uses the caller's), the pinned memory through which samples and
// results travel, two streams, the data sets that it keeps and the graphs that train on them: all taken in set-up. Belongs
// to one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "backends/cuda/choice.h"
#include "backends/cuda/context.h"
#include "backends/cuda/graph.h"
#include "backends/cuda/memory.h"
#include "src/backend.h"

namespace lt::cuda {

class CudaExecutor final : public Executor {
 public:
  // What kernels are made with; its program and op are the executor's business.
  CudaExecutor(const Context& context, const Program& program, const KernelRequest& request, KernelChoice choice);
  ~CudaExecutor() override;

  // region: null, or region_bytes of the GPU's memory that outlive the executor.
  Status set_up(std::byte* region);

  Status run(uint32_t first, uint32_t last, const RunArguments& arguments) override;
  Status upload(TensorId destination, uint64_t offset_bytes, const void* source, uint64_t bytes) override;
  Status download(TensorId source, uint64_t offset_bytes, void* destination, uint64_t bytes) override;
  Status synchronize() override;
  std::byte* staging(TensorId tensor) override;
  Status keep(Split split, const Dataset& dataset, bool* kept) override;
  Status train_kept(const KeptBatches& batches, const RunArguments& first, KeptResult* result) override;
  Status evaluate_kept(Split split, const RunArguments& arguments, Statistics* statistics) override;

 private:
  // A graph that walks over a kept set, with what it was captured for.
  struct Walk {
    LoopGraph graph;
    uint32_t batch = 0, unrolled = 0;
    bool dropout = false;
  };
  // A set in the GPU's memory.
  struct Kept {
    DeviceMemory memory;
    KeptSet set;
    Walk training, evaluation;
  };
  // The pinned block: control words, then a copy of the staging segment.
  struct Control {
    LoopControl loops;
    StepState result;
  };

  // kept: null where samples and labels stand in the staging tensors.
  Site site(CUstream stream, const RunArguments& arguments, const KeptSet* kept) const;
  StepState state_of(const RunArguments& arguments, const KeptBatches* kept) const;
  Status stage(const RunArguments& arguments);
  Status refresh_copies();
  Status enqueue_ops(const Site& site, uint32_t first, uint32_t last);
  Status infer(const RunArguments& arguments);
  Status enqueue_step(CUstream stream, const KeptSet& set, uint32_t samples, bool dropout, uint32_t loop, uint64_t handle);
  Status enqueue_evaluation(CUstream stream, const KeptSet& set, uint32_t samples, uint32_t batch_samples, uint32_t loop,
                            uint64_t handle);
  Status enqueue_advance(CUstream stream, const Statistics* statistics, uint32_t samples, uint32_t loop, uint64_t handle);
  using Body = std::function<Status(CUstream stream, uint32_t samples, uint32_t loop, uint64_t handle)>;
  Status ready_kernels(const KeptSet& set, uint32_t samples, bool evaluation);
  Status capture(const KeptSet& set, const Body& body, bool evaluation, Walk* walk);
  Status launch(const Walk& walk, const StepState& start, uint32_t full, uint32_t short_steps);
  Launcher launcher(CUstream stream) const { return {&context_.driver(), &context_.kernels(), stream}; }
  Control* control() const { return reinterpret_cast<Control*>(pinned_.host()); }
  Control* control_on_device() const { return reinterpret_cast<Control*>(pinned_.device()); }
  TensorId statistics_tensor() const { return program_.ops[program_.forward_end - 1].statistics; }

  const Context& context_;
  const Program program_;
  const KernelRequest request_;
  const KernelChoice choice_;
  DeviceMemory own_region_, own_state_;
  std::byte* region_ = nullptr;
  StepState* state_ = nullptr;     // device
  uint32_t* remaining_ = nullptr;  // device, graph_loops of them
  PinnedMemory pinned_;
  uint64_t staging_offset_ = 0, staging_bytes_ = 0;  // of the staging segment in the region
  CUstream stream_ = nullptr, body_stream_ = nullptr;
  std::vector<std::unique_ptr<Kernel>> kernels_;
  std::unique_ptr<Kept> kept_[2];
  LoopGraph inference_;  // of an inference program: all of a whole micro-batch, which has no loop
  bool copies_are_stale_ = false;
};

}  // namespace lt::cuda
