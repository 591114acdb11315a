// Rows of bars and boxes. See row_chart.h.
#include "tools/report/row_chart.h"

#include <algorithm>
#include <cmath>

#include "tools/report/line_chart.h"

namespace lt::tool {
namespace {

constexpr double first_row = 40, row_height = 34, bar_height = 12;

// The row's name to the left and its value to the right, on one line.
void draw_row_text(Svg* svg, double y, const std::string& name, const std::string& value) {
  svg->text(0, y, fit_text(name, picture_width - text_width(value) - 12));
  svg->text(picture_width, y, value, Anchor::end, "font-weight:600");
}

}  // namespace

Picture draw_bars(const std::string& id, const std::string& title, const std::string& description,
                  const std::vector<Bar>& bars) {
  Svg svg(id, title, description);
  svg.heading();
  double largest = 0, y = first_row;
  for (const Bar& bar : bars)
    if (std::isfinite(bar.value)) largest = std::max(largest, bar.value);
  for (const Bar& bar : bars) {
    draw_row_text(&svg, y, bar.name, bar.value_text);
    const double width = std::isfinite(bar.value) && largest > 0 ? bar.value / largest * picture_width : 0;
    svg.rect(0, y + 5, std::max(width, 1.0), bar_height,
             "fill:" + (bar.color < 0 ? "var(--bar)" : run_color(static_cast<unsigned>(bar.color))));
    y += row_height;
  }
  return svg.finish(y - 10);
}

Spread spread_of(std::vector<double> values) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  Spread spread;
  spread.count = values.size();
  if (values.empty()) return spread;
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) {  // between the two neighbours, as NumPy's default does
    const double place = part * static_cast<double>(values.size() - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (values[above] - values[below]) * (place - static_cast<double>(below));
  };
  spread.p5 = at(0.05), spread.p25 = at(0.25), spread.median = at(0.5), spread.p75 = at(0.75), spread.p95 = at(0.95);
  return spread;
}

Picture draw_boxes(const std::string& id, const std::string& title, const std::string& description, const std::string& unit,
                   double per_unit, const std::vector<Box>& boxes) {
  Svg svg(id, title, description);
  svg.heading();
  double largest = 0, y = first_row;
  for (const Box& box : boxes) largest = std::max(largest, box.spread.p95);
  if (largest <= 0) {
    svg.text(0, first_row, "the logs hold no such numbers");
    return svg.finish(first_row + 10);
  }
  const double right = picture_width - 4, bottom = first_row + row_height * static_cast<double>(boxes.size()) - 10;
  const auto across = [&](double value) { return value / largest * right; };
  const std::vector<double> ticks = round_ticks(0, largest * per_unit, 5);
  for (const double tick : ticks) {
    const double x = across(tick / per_unit);
    svg.line(x, first_row - 12, x, bottom, "stroke:var(--grid)");
    svg.text(x, bottom + 15, short_number(tick), tick == 0 ? Anchor::start : x > right - 20 ? Anchor::end : Anchor::middle);
  }
  svg.text(picture_width / 2, bottom + 32, unit, Anchor::middle, "fill:var(--soft)");
  for (const Box& box : boxes) {
    const Spread& s = box.spread;
    const std::string color = run_color(box.color);
    const double middle = y + 5 + bar_height / 2;
    draw_row_text(&svg, y, box.name, box.value_text);
    svg.line(across(s.p5), middle, across(s.p95), middle, "stroke-width:2;stroke:" + color);
    svg.rect(across(s.p25), y + 5, std::max(across(s.p75) - across(s.p25), 1.0), bar_height,
             "fill-opacity:.45;stroke:" + color + ";fill:" + color);
    svg.line(across(s.median), y + 5, across(s.median), y + 7 + bar_height, "stroke-width:3;stroke:" + color);
    y += row_height;
  }
  return svg.finish(bottom + 40);
}

}  // namespace lt::tool
