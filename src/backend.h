// The contract of a device. A backend lists its devices, says why one cannot be used, opens it, answers what an operation
// needs, and runs lists of operations in one region of memory. backends/table.cpp joins the backends to the core.
//
// Memory: the plan owns the layout, the session owns the region, a backend owns nothing that grows after `attach`.
// Threads: a Device may be shared and its `prepare` called by several threads; an Executor belongs to one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "src/base/status.h"
#include "src/dataset.h"
#include "src/op.h"

namespace lt {

// fp32: true float everywhere. tf32: products of floats rounded to 10 bits of fraction, sums in float (CUDA). bf16: tensors
// between operations and copies of the weights in bfloat16; sums, loss, gradients of weights and the weights themselves in
// float. int8: in inference alone, tensors between operations and weights in 8 bits, sums in whole numbers of 32.
enum class Precision : uint8_t { fp32, tf32, bf16, int8 };

const char* precision_name(Precision precision);
// Fails with the names where `name` is none of them.
Status precision_from_name(const char* name, Precision* precision);

struct DeviceConfig {
  uint32_t index = 0;            // of the device within its backend
  uint32_t threads = 0;          // 0: as many as the process may use
  std::string kernels = "auto";  // "auto", or one of the backend's own names, such as "highway"
  Precision precision = Precision::fp32;
  bool deterministic = false;
};

struct DeviceInfo {
  char name[32] = "";          // "cpu", "reference"
  char description[256] = "";  // "AMD EPYC, 2 threads, AVX-512; oneDNN 2.6.3"
  uint64_t memory_total_bytes = 0, memory_free_bytes = 0;
  bool usable = false;
  char why_not[256] = "";  // one sentence where not usable
};

// What an operation will need, for at most Program::micro_batch samples.
struct OpNeeds {
  uint64_t scratch_bytes = 0;  // shared with all other ops; contents undefined when the op starts
  // Kept from a forward op to its backward op; in inference programs from run to run, undefined after an upload of
  // parameters.
  uint64_t saved_bytes = 0;
  char kernel[48] = "";  // which kernel serves it, such as "highway conv2d AVX3"
};

// A walk over a data set that the executor keeps: whole batches of `batch` samples, one after the other from `position` on,
// the last one of a pass shorter; never past the set's end.
struct KeptBatches {
  Split split = Split::train;
  uint64_t epoch = 0;     // of the shuffled order, counted from 1
  bool shuffle = false;   // false: the set's own order
  uint32_t position = 0;  // of the first sample, in that order
  uint32_t batch = 0;     // samples of a full step
  uint32_t steps = 1;
};

// What changes from run to run.
struct RunArguments {
  uint32_t samples = 0;        // of this micro-batch, 1 .. Program::micro_batch
  uint32_t sample_offset = 0;  // of its first sample in the batch: part of the dropout counter
  uint32_t batch_samples = 0;  // the loss and its gradient are means over so many
  bool training = false;       // false: no dropout, no gradients; argmax and mask need not be written
  bool accumulate = false;     // true: statistics and weight gradients are added to, else overwritten
  uint64_t seed = 0;
  uint64_t step = 0;    // counted from 1 over the whole training: dropout stream, Adam's bias correction
  bool dropout = true;  // false: --no-dropout, ops behave as if op.dropout were 0 (and write a mask of what ReLU passes)
  float learning_rate = 0, momentum = 0, beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  const void* x = nullptr;  // raw samples of this micro-batch, as the recipe's input type, [sample][channel][row][column]
  const int32_t* labels = nullptr;  // checked by the caller against the number of classes; null in prediction: no loss then
  const uint32_t* lengths = nullptr;  // of sequences: the steps of each sample, at least 1; null: all have all steps
  const KeptBatches* kept = nullptr;  // instead of x and labels: the samples from kept->position + sample_offset on
};

struct KeptResult {
  uint32_t steps = 0;  // done; fewer than asked for where a loss was not finite, and then `last` is that step's
  Statistics last;     // of the last step
  Statistics sum;      // of all steps done
};

class Executor {
 public:
  virtual ~Executor() = default;
  // Runs ops[first, last) of the program on the region, perhaps behind the host's back until `synchronize`. Allocates
  // nothing. x and labels of the arguments are read before it returns.
  virtual Status run(uint32_t first, uint32_t last, const RunArguments& arguments) = 0;
  virtual Status upload(TensorId destination, uint64_t offset_bytes, const void* source, uint64_t bytes) = 0;
  virtual Status download(TensorId source, uint64_t offset_bytes, void* destination, uint64_t bytes) = 0;
  virtual Status synchronize() = 0;
  // Memory that the host may write, for a tensor of the staging segment: RunArguments::x and labels may point into it.
  virtual std::byte* staging(TensorId tensor) = 0;

  // Devices with memory of their own keep data sets there, and take many steps at a time on them. `keep` copies a set,
  // which may be done again with another one; false in `kept` where the device does not do so: the host then gathers each
  // batch.
  virtual Status keep(Split, const Dataset&, bool* kept) {
    *kept = false;
    return Status::ok;
  }
  // Whole training steps on the kept set, micro-batches and all, the first one as `first` says (its samples and their place
  // in the batch apart). Ends in front of the update of a step whose loss is not finite. Returns when all is done.
  virtual Status train_kept(const KeptBatches&, const RunArguments& first, KeptResult*);
  // The forward pass over the kept set, with the statistics of all its samples.
  virtual Status evaluate_kept(Split, const RunArguments& arguments, Statistics*);
};

class Device {
 public:
  virtual ~Device() = default;
  // One line for people, such as "AMD EPYC, 2 threads, AVX-512".
  virtual const char* description() const { return ""; }
  virtual WeightLayout weight_layout() const = 0;
  virtual uint32_t threads() const = 0;
  // One line on the kernels in use, such as "highway AVX3 + oneDNN 2.6.3".
  virtual const char* kernels() const = 0;
  // True where backward ops of that kind can take the update of their weight (Op::folded_update): those of linear layers
  // and of embeddings.
  virtual bool folds_updates(OpKind backward) const {
    (void)backward;
    return false;
  }
  // True where recurrent ops and embeddings take a batch's different words once (Op::rows).
  virtual bool takes_rows() const { return false; }
  // False where a convolution's y is better not its residual.
  virtual bool sums_in_place() const { return true; }
  // Fills `needs`, or fails with Status::unsupported and a sentence. The program's tensors have their sizes but not yet
  // their offsets; micro_batch is set. The only place that asks a vendor library anything.
  virtual Status prepare(const Program& program, const Op& op, OpNeeds* needs) const = 0;
  // True where regions lie in the host's memory: the caller then reserves them.
  virtual bool host_regions() const { return true; }
  // Makes the program runnable in `region` (region_bytes long, aligned to 4096, zeroed), which outlives the executor and
  // whose parameters and state the caller fills by `upload`. Where regions do not lie in the host's memory, null has the
  // executor reserve the region, and else it is the device's own memory.
  virtual Status attach(const Program& program, std::byte* region, std::unique_ptr<Executor>* executor) const = 0;
};

// A set of precisions: bit 0 fp32, bit 1 tf32, bit 2 bf16, bit 3 int8.
template <class... P>
constexpr uint32_t precision_set(P... precisions) {
  return ((1u << static_cast<int>(precisions)) | ...);
}

struct Backend {
  const char* name;     // what --device takes
  uint32_t precisions;  // that it computes in
  uint32_t (*device_count)();
  // All there is to say about a device, its libraries included, which are loaded for it: for lists, not on a training's
  // way.
  void (*describe)(uint32_t index, DeviceInfo* info);
  // Fails with Status::device and the reason where the device cannot be used.
  Status (*open)(const DeviceConfig& config, std::unique_ptr<Device>* device);
};

// Defined in backends/table.cpp.
extern const Backend* const backend_table[];
extern const size_t backend_table_size;

}  // namespace lt
