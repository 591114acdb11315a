// Curves over steps or epochs, each named in the legend below. Long ones are drawn from a few hundred means, so that a page
// of many runs stays small; what was drawn apart is shown as a band from the least to the largest. One thread.
#pragma once

#include <string>
#include <vector>

#include "tools/report/svg.h"

namespace lt::tool {

struct Curve {
  std::string name;  // in the legend; "" where another curve of the colour is there already
  unsigned color = 0;
  bool dashed = false;
  std::vector<double> x, y;  // x ascending; y may hold NaN, where the curve breaks
};

struct LineChart {
  std::string id, title, description;
  std::string x_label, y_label;
  bool is_fraction = false;  // y is drawn in percent
  bool has_bands = false;
  std::string line_styles;  // a last line of the legend: "dashed: training, solid: test"
  std::vector<Curve> curves;
};

// A chart without a single finite value says so.
Picture draw(const LineChart& chart);

// Round steps of 1, 2 or 5 times a power of ten, `most` or fewer, that lie within [low, high].
std::vector<double> round_ticks(double low, double high, unsigned most);

}  // namespace lt::tool
