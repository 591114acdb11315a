// The images of a folder as a model is given them, and what is said of those that are left out. Main thread.
#pragma once

#include <string>

#include "src/lean_train.h"
#include "tools/images/image_reader.h"

namespace lt::tool {

// Squares of bytes, grey or in colour.
bool is_model_of_images(const lt_plan_info& info);

// As images/resample.h describes: the shorter side to that of the model's input (to 256 where that is 224, as ImageNet's
// networks are tested), of which the middle is taken. `ahead`: how many are decoded in front of whoever asks.
ImageOptions image_options(const lt_plan_info& info, const std::string& folder, bool skip_bad, uint32_t ahead);

// Of an ImageReader's sentence on a bad image.
std::string with_advice(const std::string& why);

void say_left_out(const ImageReader& reader);

}  // namespace lt::tool
