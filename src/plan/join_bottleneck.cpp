#include "src/plan/join_bottleneck.h"

namespace lt {
namespace {

class Blocks {
 public:
  Blocks(const Layer& layer, uint32_t number, std::vector<JoinedLayer>* joined)
      : layer_(layer), number_(number), joined_(*joined) {}

  // One block; its y is the last joined layer's.
  Status add(uint32_t block, const Extent x) {  // a copy: joined_ grows
    const std::string name = layer_.name + "." + std::to_string(block);
    const uint32_t stride = block == 0 ? layer_.window.stride : 1, from = last();
    LT_TRY(convolve(name + ".conv1", name + ".bn1", {1, 1, 0}, layer_.width, x));
    joined_.back().op.has_relu = true;
    LT_TRY(convolve(name + ".conv2", name + ".bn2", {3, stride, 1}, layer_.width, joined_.back().op.y_extent));
    joined_.back().op.has_relu = true;
    const uint32_t way = last();
    const Extent y = joined_.back().op.y_extent;
    // Behind the convolutions with few channels: its result, the summand, does not lie beside them for so long.
    uint32_t residual = from;
    if (stride != 1 || x.channels != layer_.out) {
      LT_TRY(convolve(name + ".downsample.0", name + ".downsample.1", {1, stride, 0}, layer_.out, x));
      joined_.back().x_from = from;
      residual = last();
    }
    LT_TRY(convolve(name + ".conv3", name + ".bn3", {1, 1, 0}, layer_.out, y));
    joined_.back().x_from = way;
    joined_.back().residual_from = residual;
    joined_.back().op.has_relu = true;
    return Status::ok;
  }

 private:
  uint32_t last() const { return static_cast<uint32_t>(joined_.size() - 1); }

  Status convolve(const std::string& name, const std::string& batch_norm, Window window, uint32_t out, const Extent& x) {
    Layer convolution = layer_;
    convolution.name = name;
    convolution.window = window;
    convolution.out = out;
    JoinedLayer result;
    result.op.layer = name;
    result.op.layer_index = number_;
    result.op.x_extent = x;
    LT_TRY(join_convolution(convolution, x, &result));
    result.op.has_bias = true;
    result.batch_norm = batch_norm;
    result.epsilon = layer_.epsilon;
    joined_.push_back(std::move(result));
    return Status::ok;
  }

  const Layer& layer_;
  const uint32_t number_;
  std::vector<JoinedLayer>& joined_;
};

}  // namespace

Status join_bottleneck(const Layer& layer, const Extent& extent, uint32_t number, std::vector<JoinedLayer>* joined) {
  Blocks blocks(layer, number, joined);
  for (uint32_t block = 0; block < layer.blocks; ++block)
    LT_TRY(blocks.add(block, block == 0 ? extent : joined->back().op.y_extent));
  return Status::ok;
}

}  // namespace lt
