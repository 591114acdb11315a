// One prepared operation of the CPU backend. A kernel is made in set-up, by a family (highway, onednn) that may allocate
// then, and runs without allocating. It belongs to one executor; `run` is called by that executor's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "backends/cpu/thread_pool.h"
#include "src/backend.h"
#include "src/op.h"

namespace lt::cpu {

// Where a run finds its memory.
struct KernelContext {
  const Program* program;
  const RunArguments* arguments;
  ThreadPool* pool;
  std::byte* region;

  // The tensor's first element, or null for no_tensor.
  template <class T>
  T* at(TensorId id) const {
    return id == no_tensor ? nullptr : reinterpret_cast<T*>(region + program->tensors[id].offset);
  }
  // Scratch of at least the kernel's scratch_bytes(), aligned to tensor_alignment.
  template <class T>
  T* scratch() const {
    return reinterpret_cast<T*>(region + program->scratch_offset);
  }
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(const KernelContext& context) = 0;
  // Of inference programs alone: in front of the first run, and of the first one after parameters were uploaded. Makes what
  // it keeps of the weight in Op::saved.
  virtual void take_weights(const KernelContext&) {}
  virtual uint64_t scratch_bytes() const { return 0; }
  virtual uint64_t saved_bytes() const { return 0; }
  // Ok, or what went wrong in the runs so far: own kernels cannot fail, a library's may. Asked by the executor after a run.
  virtual Status outcome() const { return Status::ok; }
  virtual const char* name() const = 0;  // "highway conv2d AVX3": static or owned by the kernel
};

// What a family is told when it makes a kernel: the op and the largest batch it will see.
struct KernelRequest {
  const Op* op;
  uint32_t micro_batch;
  uint32_t threads;
  bool frugal = false;  // Program::frugal
};

// Whether some of what passes through the op, or its weight, is bfloat16: such an op is for kernels that know it.
inline bool has_bf16(const Program& program, const Op& op) {
  for (const TensorId id : {op.x, op.y, op.residual, op.weight, op.dx, op.dy})
    if (id != no_tensor && program.tensors[id].dtype == DType::bf16) return true;
  return false;
}

}  // namespace lt::cpu
