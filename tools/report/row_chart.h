// Rows of a name and, below it, a bar from zero or a box of a spread: narrow enough for a phone, however many there are.
// One thread.
#pragma once

#include <string>
#include <vector>

#include "tools/report/svg.h"

namespace lt::tool {

struct Bar {
  std::string name, value_text;
  double value = 0;
  int color = -1;  // negative: not a run of this report's; drawn in grey
};

// Bars from zero; `bars` in the order in which they are to stand.
Picture draw_bars(const std::string& id, const std::string& title, const std::string& description,
                  const std::vector<Bar>& bars);

// Of sorted values, how many of them lie below: 5, 25, 50, 75 and 95 of a hundred.
struct Spread {
  double p5 = 0, p25 = 0, median = 0, p75 = 0, p95 = 0;
  size_t count = 0;
};
Spread spread_of(std::vector<double> values);

struct Box {
  std::string name, value_text;
  Spread spread;
  unsigned color = 0;
};

// Boxes from the 25th to the 75th percentile with the median in them, whiskers from the 5th to the 95th, on one scale from
// zero.
Picture draw_boxes(const std::string& id, const std::string& title, const std::string& description, const std::string& unit,
                   double per_unit, const std::vector<Box>& boxes);

}  // namespace lt::tool
