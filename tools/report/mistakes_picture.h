// The test images that a model got most wrong, side by side with what they show and what they were taken for. One thread.
#pragma once

#include <string>

#include "tools/report/run_reader.h"
#include "tools/report/svg.h"

namespace lt::tool {

// "7", or "cat" where the data set's classes have names.
std::string class_name(const std::string& data, uint64_t label);

// Of the records that have pixels; an empty picture where none has.
Picture draw_mistakes(const std::string& id, const Run& run);

// A PNG file of 8-bit grey (1 channel) or red-green-blue (3) samples, which lie channel by channel.
std::string png_file(const std::vector<uint8_t>& pixels, uint32_t channels, uint32_t height, uint32_t width);

}  // namespace lt::tool
