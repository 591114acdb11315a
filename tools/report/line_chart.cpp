// Axes, curves and legend of a line chart. See line_chart.h.
#include "tools/report/line_chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lt::tool {
namespace {

constexpr size_t points_limit = 240;  // of one curve, which is 340 units long at most
constexpr size_t marked_limit = 30;   // points that get a dot of their own
constexpr double plot_top = 40, plot_height = 190, plot_right = 408;
constexpr double log_ratio = 50;  // of the largest to the least: a straight scale would flatten the end of the curve

struct Point {
  double x, y, low, high;
};

// Means of equal parts of the curve. A NaN stays one: a training that broke down shows it.
std::vector<Point> thinned(const Curve& curve) {
  const size_t n = curve.x.size(), parts = std::min(n, points_limit);
  std::vector<Point> points;
  points.reserve(parts);
  for (size_t part = 0; part < parts; ++part) {
    const size_t first = part * n / parts, last = (part + 1) * n / parts;
    Point point = {0, 0, std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
    for (size_t i = first; i < last; ++i) {
      point.x += curve.x[i] / static_cast<double>(last - first);
      point.y += curve.y[i] / static_cast<double>(last - first);
      point.low = std::min(point.low, curve.y[i]);
      point.high = std::max(point.high, curve.y[i]);
    }
    points.push_back(point);
  }
  return points;
}

struct Scale {
  double low = 0, high = 1, begin = 0, end = 1;  // from [low, high] to [begin, end]
  bool is_log = false;
  double operator()(double value) const {
    const double part = is_log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
    return begin + part * (end - begin);
  }
};

std::vector<double> log_ticks(double low, double high) {
  std::vector<double> ticks;
  const bool tens_alone = high / low > 2000;
  for (int power = static_cast<int>(std::floor(std::log10(low))); std::pow(10, power) <= high; ++power)
    for (const int digit : {1, 2, 5})
      if (const double tick = digit * std::pow(10, power); tick >= low && tick <= high && (digit == 1 || !tens_alone))
        ticks.push_back(tick);
  return ticks;
}

std::string tick_text(const LineChart& chart, double value) {
  return chart.is_fraction ? short_number(100 * value) + "%" : short_number(value);
}

// From the points that are drawn, with a little room.
Scale value_scale(const std::vector<std::vector<Point>>& curves, bool has_bands, bool is_fraction) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const auto& points : curves)
    for (const Point& point : points) {
      if (!std::isfinite(point.y)) continue;
      low = std::min(low, has_bands ? point.low : point.y);
      high = std::max(high, has_bands ? point.high : point.y);
    }
  Scale scale;
  scale.is_log = !is_fraction && low > 0 && high / low > log_ratio;
  if (scale.is_log) {
    scale.low = low / 1.1, scale.high = high * 1.1;
  } else {
    const double room = high > low ? (high - low) * 0.06 : std::max(std::fabs(high) * 0.1, 1e-6);
    scale.low = low >= 0 ? std::max(0.0, low - room) : low - room;
    scale.high = is_fraction ? std::min(1.0, high + room) : high + room;
    if (scale.high <= scale.low) scale.high = scale.low + room;
  }
  scale.begin = plot_top + plot_height, scale.end = plot_top;
  return scale;
}

void draw_curve(Svg* svg, const Curve& curve, const std::vector<Point>& points, const Scale& across, const Scale& up,
                bool has_band) {
  std::string path, band, band_back;
  bool pen_is_down = false;
  for (const Point& point : points) {
    if (!std::isfinite(point.y)) {
      pen_is_down = false;
      continue;
    }
    const std::string x = coordinate(across(point.x));
    path += (pen_is_down ? "L" : "M") + x + " " + coordinate(up(point.y));
    band += (band.empty() ? "M" : "L") + x + " " + coordinate(up(point.high));
    band_back.insert(0, "L" + x + " " + coordinate(up(point.low)));
    pen_is_down = true;
  }
  const std::string color = run_color(curve.color);
  if (has_band && !band.empty()) svg->path(band + band_back + "Z", "fill:" + color + ";fill-opacity:.16");
  const std::string dashes = curve.dashed ? ";stroke-dasharray:5 4;stroke-width:1.5" : ";stroke-width:2";
  svg->path(path, "fill:none;stroke-linejoin:round;stroke:" + color + dashes);
  if (points.size() > marked_limit) return;
  for (const Point& point : points)
    if (std::isfinite(point.y))
      svg->circle(across(point.x), up(point.y), 2.6, curve.dashed ? "fill:var(--paper);stroke:" + color : "fill:" + color);
}

// Names beside a piece of their curve, as many in a row as fit. Returns where it ends.
double draw_legend(Svg* svg, const LineChart& chart, double y) {
  double x = 0;
  for (const Curve& curve : chart.curves) {
    const bool is_drawn = std::any_of(curve.y.begin(), curve.y.end(), [](double value) { return std::isfinite(value); });
    if (curve.name.empty() || !is_drawn) continue;
    const std::string name = fit_text(curve.name, picture_width - 30);
    const double width = 30 + text_width(name) + 10;
    if (x > 0 && x + width > picture_width) x = 0, y += 18;
    svg->line(x, y - 4, x + 22, y - 4, "stroke-width:3;stroke:" + run_color(curve.color));
    svg->text(x + 28, y, name);
    x += width;
  }
  if (chart.line_styles.empty()) return y;
  svg->text(0, y + 18, chart.line_styles, Anchor::start, "fill:var(--soft)");
  return y + 18;
}

}  // namespace

std::vector<double> round_ticks(double low, double high, unsigned most) {
  const double rough = (high - low) / most, power = std::pow(10, std::floor(std::log10(rough)));
  const double step = rough <= power ? power : rough <= 2 * power ? 2 * power : rough <= 5 * power ? 5 * power : 10 * power;
  std::vector<double> ticks;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i)
    ticks.push_back(i * step + 0.0);  // no -0
  return ticks;
}

Picture draw(const LineChart& chart) {
  Svg svg(chart.id, chart.title, chart.description);
  svg.heading();
  std::vector<std::vector<Point>> curves;
  Scale across;
  across.low = std::numeric_limits<double>::infinity(), across.high = -across.low;
  bool is_empty = true;
  for (const Curve& curve : chart.curves) {
    curves.push_back(thinned(curve));
    for (const Point& point : curves.back()) {
      across.low = std::min(across.low, point.x), across.high = std::max(across.high, point.x);
      is_empty = is_empty && !std::isfinite(point.y);
    }
  }
  if (is_empty) {
    svg.text(0, plot_top, "the logs hold no such numbers");
    return svg.finish(plot_top + 10);
  }
  if (across.high <= across.low) across.low -= 0.5, across.high += 0.5;
  const Scale up = value_scale(curves, chart.has_bands, chart.is_fraction);
  const std::vector<double> y_ticks = up.is_log ? log_ticks(up.low, up.high) : round_ticks(up.low, up.high, 6);
  double label_width = 0;
  for (const double tick : y_ticks) label_width = std::max(label_width, text_width(tick_text(chart, tick)));
  across.begin = label_width + 8, across.end = plot_right;

  svg.text(0, plot_top - 11, chart.y_label + (up.is_log ? " (logarithmic)" : ""), Anchor::start, "fill:var(--soft)");
  for (const double tick : y_ticks) {
    svg.line(across.begin, up(tick), across.end, up(tick), "stroke:var(--grid)");
    svg.text(across.begin - 6, up(tick) + 4, tick_text(chart, tick), Anchor::end);
  }
  const double bottom = plot_top + plot_height;
  svg.line(across.begin, bottom, across.end, bottom, "stroke:var(--soft)");
  for (const double tick : round_ticks(across.low, across.high, 6)) {
    if (tick != std::floor(tick)) continue;  // there is no half epoch
    svg.line(across(tick), bottom, across(tick), bottom + 4, "stroke:var(--soft)");
    svg.text(std::min(across(tick), plot_right - text_width(short_number(tick)) / 2), bottom + 17, short_number(tick),
             Anchor::middle);
  }
  svg.text((across.begin + across.end) / 2, bottom + 33, chart.x_label, Anchor::middle, "fill:var(--soft)");
  for (size_t i = 0; i < curves.size(); ++i) draw_curve(&svg, chart.curves[i], curves[i], across, up, chart.has_bands);
  return svg.finish(draw_legend(&svg, chart, bottom + 56) + 8);
}

}  // namespace lt::tool
