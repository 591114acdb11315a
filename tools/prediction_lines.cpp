// See prediction_lines.h.
#include "tools/prediction_lines.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/text.h"

namespace lt::tool {

uint32_t likeliest(const float* probabilities, uint32_t classes) {
  return static_cast<uint32_t>(std::max_element(probabilities, probabilities + classes) - probabilities);
}

void PredictionLines::head(StandardOutput* out) const {
  if (json_) return;
  std::string line = std::string("index") + (named_ ? ",name" : "") + (labelled_ ? ",label" : "") + ",predicted";
  for (uint32_t c = 0; c < classes_; ++c) line += ",p" + std::to_string(c);
  out->write(line + "\n");
}

void PredictionLines::sample(uint64_t index, uint32_t label, const std::string& name, const float* probabilities,
                             StandardOutput* out) const {
  std::string line = (json_ ? "{\"index\":" : "") + std::to_string(index);
  if (named_)
    line += json_ ? ",\"name\":" + nlohmann::json(name).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                  : "," + csv_field(name);
  if (labelled_) line += (json_ ? ",\"label\":" : ",") + std::to_string(label);
  line += (json_ ? ",\"predicted\":" : ",") + std::to_string(likeliest(probabilities, classes_));
  if (json_) line += ",\"probabilities\":[";
  for (uint32_t c = 0; c < classes_; ++c) {
    char text[40];
    std::snprintf(text, sizeof text, "%s%.9g", json_ && c == 0 ? "" : ",", static_cast<double>(probabilities[c]));
    line += text;
  }
  out->write(line + (json_ ? "]}\n" : "\n"));
}

}  // namespace lt::tool
