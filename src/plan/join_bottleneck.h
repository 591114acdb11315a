// A `bottleneck` layer is a row of blocks as ResNets have them (He et al. 2016, with the stride on the 3x3 as in
// torchvision's resnet50): y = relu(conv3(relu(conv2(relu(conv1(x))))) + s), of 1x1, 3x3 and 1x1, each with a batch norm; s
// is x itself or, in a first block that changes the extent, a 1x1 convolution of it. Names are torchvision's:
// "layer1.0.conv1", "layer1.0.bn1" ... "layer1.0.downsample.0", "layer1.0.downsample.1". Used by join.cpp alone.
#pragma once

#include <vector>

#include "src/plan/join.h"

namespace lt {

// Appends the blocks' joined layers; `extent` is what the first one is given, `number` the layer's position in the recipe.
Status join_bottleneck(const Layer& layer, const Extent& extent, uint32_t number, std::vector<JoinedLayer>* joined);

// Of join.cpp: the convolution itself, its extents checked; nothing behind its sum. `layer` names it in errors.
Status join_convolution(const Layer& layer, const Extent& x, JoinedLayer* result);

}  // namespace lt
