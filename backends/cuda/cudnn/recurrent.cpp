// The weights are copied into the block that the library wants them in, and their gradients out of it. Where the last step
// alone counts, the library's y is kept, and its dy zeros but for that step. Lengths would stand in a descriptor on the
// host, where a captured step cannot change them: runs whose samples have some are the own kernel's. See kernel.h for
// memory and threads.
#include "backends/cuda/cudnn/recurrent.h"

#include <algorithm>
#include <string>

#include "backends/cuda/cudnn/recurrent_layer.h"
#include "backends/cuda/kernels/pieces.h"
#include "backends/cuda/own/own.h"
#include "backends/cuda/own/rows.h"
#include "backends/cuda/scratch.h"

namespace lt::cuda {
namespace {

// What both directions know. Of the tensor `saved`: the library's reserve, then y where the op's is not all of it.
class CudnnRecurrentKernel : public Kernel {
 public:
  explicit CudnnRecurrentKernel(const KernelRequest& request)
      : op_(*request.op),
        what_(std::string(op_kind_name(op_.kind)) + " " + op_.layer),
        caller_{request.libraries.cudnn, static_cast<cudnnHandle_t>(request.libraries.cudnn_handle), what_.c_str()} {}

  Status ready(uint32_t samples) override {
    if (own_ != nullptr) LT_TRY(own_->ready(samples));
    return layer_.ready(samples);
  }
  Status enqueue(const Site& site) final {
    return own_ != nullptr && site.has_lengths ? own_->enqueue(site) : enqueue_library(site);
  }
  uint64_t scratch_bytes() const override {
    return std::max(scratch_.bytes(), own_ != nullptr ? own_->scratch_bytes() : 0);
  }
  const char* name() const override { return op_.cell == Cell::gru ? "cudnn GRU" : "cudnn LSTM"; }

 protected:
  virtual Status enqueue_library(const Site& site) = 0;

  Status make_layer(const KernelRequest& request, std::unique_ptr<Kernel> (*make_own)(const KernelRequest&)) {
    if (op_.has_lengths && (own_ = make_own(request)) == nullptr) return Status::unsupported;
    LT_TRY(layer_.make(caller_, request));
    weights_ = scratch_.take(layer_.weights_bytes());
    workspace_ = scratch_.take(layer_.workspace_bytes());
    reserve_ = saved_.take(layer_.reserve_bytes());
    if (op_.only_last_step) y_ = saved_.take(steps() * step_elements(request.micro_batch) * sizeof(float));
    return Status::ok;
  }

  uint64_t steps() const { return op_.x_extent.height; }
  uint64_t step_elements(uint32_t samples) const { return uint64_t{samples} * op_.directions * op_.units; }  // of y
  // Of a sequence of y's.
  uint64_t last_step(const Site& site) const { return (steps() - 1) * step_elements(site.samples); }

  // What both passes are given, the weights copied.
  Status begin(const Site& site, CudnnRecurrentLayer::Memory* memory) {
    std::byte* const scratch = ScratchLayout::start(site.scratch<std::byte>());
    std::byte* const saved = ScratchLayout::start(site.at<std::byte>(op_.saved));
    memory->x = site.at<void>(op_.x);
    memory->y = op_.only_last_step ? saved + y_ : site.at<std::byte>(op_.y);
    memory->weights = scratch + weights_;
    memory->workspace = scratch + workspace_;
    memory->reserve = saved + reserve_;
    const std::vector<CudnnWeightPiece>* pieces = nullptr;
    LT_TRY(layer_.find_pieces(memory->weights, &pieces));
    PiecesArguments copies{};
    for (size_t i = 0; i < pieces->size(); ++i) {
      const CudnnWeightPiece& piece = (*pieces)[i];
      copies.pieces[i] = {site.at<const float>(op_.weights[piece.direction].*piece.parameter) + piece.first,
                          static_cast<float*>(memory->weights) + piece.block_first, piece.elements};
    }
    return copy(site, pieces->size(), copies);
  }

  static Status copy(const Site& site, size_t count, const PiecesArguments& copies) {
    constexpr uint32_t most_blocks = 256;  // of a piece
    uint64_t most = 0;
    for (size_t i = 0; i < count; ++i) most = std::max(most, copies.pieces[i].elements);
    const Grid grid{std::clamp(grid_blocks(most, pieces_threads), 1u, most_blocks), static_cast<uint32_t>(count)};
    return site.launcher.launch<KernelId::copy_pieces>(grid, pieces_threads, copies);
  }
  static Status clear(const Site& site, void* first, uint64_t bytes) {
    const DriverTable& driver = *site.launcher.driver;
    return check(driver, driver.cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(first), 0, bytes, site.stream()),
                 "cuMemsetD8Async");
  }

  const Op op_;
  const std::string what_;
  const CudnnCaller caller_;
  std::unique_ptr<Kernel> own_;  // for samples with lengths; null where there are none
  CudnnRecurrentLayer layer_;
  ScratchLayout scratch_, saved_;
  uint64_t weights_ = 0, workspace_ = 0, reserve_ = 0, y_ = 0;
};

class CudnnRecurrent final : public CudnnRecurrentKernel {
 public:
  using CudnnRecurrentKernel::CudnnRecurrentKernel;
  Status make(const KernelRequest& request) { return make_layer(request, make_own_recurrent); }

  Status enqueue_library(const Site& site) override {
    CudnnRecurrentLayer::Memory memory;
    LT_TRY(begin(site, &memory));
    LT_TRY(layer_.enqueue_forward(memory, site.samples, site.training, site.stream()));
    if (!op_.only_last_step) return Status::ok;
    return copy(
        site, 1,
        {{{static_cast<const float*>(memory.y) + last_step(site), site.at<float>(op_.y), step_elements(site.samples)}}, 0});
  }
  uint64_t saved_bytes() const override { return std::max(saved_.bytes(), own_ != nullptr ? own_->saved_bytes() : 0); }
};

class CudnnRecurrentBackward final : public CudnnRecurrentKernel {
 public:
  using CudnnRecurrentKernel::CudnnRecurrentKernel;

  Status make(const KernelRequest& request) {
    LT_TRY(make_layer(request, make_own_recurrent_backward));
    dweights_ = scratch_.take(layer_.weights_bytes());
    if (op_.only_last_step) dy_ = scratch_.take(steps() * step_elements(request.micro_batch) * sizeof(float));
    if (op_.dx == no_tensor)
      dx_ = scratch_.take(uint64_t{request.micro_batch} * steps() * op_.x_extent.channels * sizeof(float));
    return Status::ok;
  }

  Status enqueue_library(const Site& site) override {
    std::byte* const scratch = ScratchLayout::start(site.scratch<std::byte>());
    CudnnRecurrentLayer::Memory memory;
    LT_TRY(begin(site, &memory));
    memory.dweights = scratch + dweights_;
    memory.dx = op_.dx != no_tensor ? site.at<void>(op_.dx) : scratch + dx_;
    memory.dy = site.at<void>(op_.dy);
    if (op_.only_last_step) {
      memory.dy = scratch + dy_;
      LT_TRY(clear(site, memory.dy, steps() * step_elements(site.samples) * sizeof(float)));
      LT_TRY(copy(
          site, 1,
          {{{site.at<const float>(op_.dy), static_cast<float*>(memory.dy) + last_step(site), step_elements(site.samples)}},
           0}));
    }
    LT_TRY(clear(site, memory.dweights, layer_.weights_bytes()));
    LT_TRY(layer_.enqueue_backward(memory, site.samples, site.stream()));
    const std::vector<CudnnWeightPiece>* pieces = nullptr;
    LT_TRY(layer_.find_pieces(memory.weights, &pieces));
    PiecesArguments copies{};
    copies.accumulate = site.accumulate ? 1 : 0;
    for (size_t i = 0; i < pieces->size(); ++i) {
      const CudnnWeightPiece& piece = (*pieces)[i];
      copies.pieces[i] = {static_cast<const float*>(memory.dweights) + piece.block_first,
                          site.at<float>(op_.dweights[piece.direction].*piece.parameter) + piece.first, piece.elements};
    }
    return copy(site, pieces->size(), copies);
  }

 private:
  uint64_t dweights_ = 0, dy_ = 0, dx_ = 0;
};

Status check_request(const KernelRequest& request) {
  const Op& op = *request.op;
  if (request.libraries.cudnn == nullptr)
    return fail(Status::unsupported, "layer %s: cuDNN is not there", op.layer.c_str());
  if (!cudnn_has_recurrent(request))
    return fail(Status::unsupported, "cuDNN, layer %s: only floats are served, with a row for each step", op.layer.c_str());
  if (request.program->weight_layout != WeightLayout::out_in)
    return fail(Status::unsupported, "cuDNN, layer %s: only weights as [out][in] are served", op.layer.c_str());
  const uint64_t most = std::max(uint64_t{op.directions} * op.units, uint64_t{op.x_extent.channels});
  if (uint64_t{request.micro_batch} * op.x_extent.height > INT32_MAX || request.micro_batch * most > INT32_MAX)
    return fail(Status::unsupported, "cuDNN, layer %s: %u samples of %u steps are too many", op.layer.c_str(),
                request.micro_batch, op.x_extent.height);
  return Status::ok;
}

}  // namespace

bool cudnn_has_recurrent(const KernelRequest& request) {
  return request.precision != Precision::bf16 && !request.deterministic;
}

std::unique_ptr<Kernel> make_cudnn_recurrent(const KernelRequest& request) {
  return make_served<CudnnRecurrent>(request, check_request);
}
std::unique_ptr<Kernel> make_cudnn_recurrent_backward(const KernelRequest& request) {
  return make_served<CudnnRecurrentBackward>(request, check_request);
}

}  // namespace lt::cuda
