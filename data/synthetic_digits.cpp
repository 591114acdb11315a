// The built-in stand-in for MNIST: 10,000 digits drawn from a seed, so that everything can be tried before anything has
// been fetched. A sample is a glyph whose points are shaken, rotated, slanted, scaled and bent, drawn with a pen of some
// width among stray marks and noise.
#include <algorithm>
#include <cmath>

#include "data/formats.h"
#include "data/glyphs.h"
#include "data/synthetic.h"

namespace lt::data {
namespace {

constexpr uint32_t side = 28, classes = 10, train_count = 8000, test_count = 2000;
constexpr uint32_t pixels = side * side;

struct Point {
  float x, y;
};

// sin(2 pi turns) to 0.06, by a parabola each half turn: smooth enough for a bend, and the same on every machine.
float wave(float turns) {
  const float t = turns - std::floor(turns);
  return t < 0.5f ? 16 * t * (0.5f - t) : -16 * (t - 0.5f) * (1 - t);
}

// Where a point of the glyph's box (the unit square) goes on the picture, in pixels.
class Placement {
 public:
  explicit Placement(Draw& draw) {
    // Rotation by an angle whose half has tangent t needs no sine: ((1 - t^2), 2 t) / (1 + t^2).
    const float t = std::clamp(0.07f * draw.normal(), -0.2f, 0.2f);
    const float cosine = (1 - t * t) / (1 + t * t), sine = 2 * t / (1 + t * t);
    const float slant = 0.19f * draw.normal();
    const float height = draw.between(16.0f, 21.5f), width = height * draw.between(0.62f, 1.0f);
    xx_ = width * cosine, xy_ = height * (slant * cosine - sine);
    yx_ = width * sine, yy_ = height * (slant * sine + cosine);
    x_ = side / 2.0f + std::clamp(1.1f * draw.normal(), -3.0f, 3.0f);
    y_ = side / 2.0f + std::clamp(1.0f * draw.normal(), -2.5f, 2.5f);
    for (Bend& bend : bends_) {
      bend = {draw.between(-0.9f, 0.9f), draw.between(-0.9f, 0.9f), draw.uniform(), 0.035f * draw.normal(),
              0.035f * draw.normal()};
    }
  }

  Point operator()(Point p) const {
    float x = p.x - 0.5f, y = p.y - 0.5f;
    float dx = 0, dy = 0;
    for (const Bend& bend : bends_) {
      const float w = wave(bend.turns_x * x + bend.turns_y * y + bend.phase);
      dx += bend.dx * w;
      dy += bend.dy * w;
    }
    x += dx, y += dy;
    return {x_ + xx_ * x + xy_ * y, y_ + yx_ * x + yy_ * y};
  }

 private:
  struct Bend {
    float turns_x, turns_y, phase, dx, dy;
  };
  float xx_, xy_, yx_, yy_, x_, y_;
  Bend bends_[3];
};

// Ink laid on white paper: how much of each pixel is covered, 0 to 1.
class Paper {
 public:
  Paper() { std::fill_n(ink_, pixels, 0.0f); }

  // A line of the pen: a pixel's cover falls from 1 to 0 over one pixel around the pen's radius. Strokes that cross do not
  // add up.
  void line(Point a, Point b, float radius, float strength) {
    const float reach = radius + 0.5f;
    const int left = std::max(0, static_cast<int>(std::floor(std::min(a.x, b.x) - reach)));
    const int right = std::min<int>(side - 1, static_cast<int>(std::floor(std::max(a.x, b.x) + reach)));
    const int top = std::max(0, static_cast<int>(std::floor(std::min(a.y, b.y) - reach)));
    const int bottom = std::min<int>(side - 1, static_cast<int>(std::floor(std::max(a.y, b.y) + reach)));
    const float dx = b.x - a.x, dy = b.y - a.y, inverse = 1 / (dx * dx + dy * dy + 1e-12f);
    for (int row = top; row <= bottom; ++row) {
      for (int column = left; column <= right; ++column) {
        const float px = static_cast<float>(column) + 0.5f - a.x, py = static_cast<float>(row) + 0.5f - a.y;
        const float along = std::clamp((px * dx + py * dy) * inverse, 0.0f, 1.0f);
        const float ex = px - along * dx, ey = py - along * dy;
        const float cover = std::clamp(reach - std::sqrt(ex * ex + ey * ey), 0.0f, 1.0f) * strength;
        float& ink = ink_[row * static_cast<int>(side) + column];
        ink = std::max(ink, cover);
      }
    }
  }

  float ink(uint32_t pixel) const { return ink_[pixel]; }

 private:
  float ink_[pixels];
};

// A Catmull-Rom curve from p1 to p2.
Point curve(Point p0, Point p1, Point p2, Point p3, float t) {
  const auto blend = [t](float a, float b, float c, float d) {
    return 0.5f * (2 * b + t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))));
  };
  return {blend(p0.x, p1.x, p2.x, p3.x), blend(p0.y, p1.y, p2.y, p3.y)};
}

void draw_stroke(const Stroke& stroke, const Point* points, const Placement& place, float radius, Paper& paper) {
  constexpr int curve_steps = 4, line_steps = 3;  // straight strokes are cut too, for the bends
  const int last = stroke.count - 1, steps = stroke.smooth ? curve_steps : line_steps;
  Point from = place(points[0]);
  for (int i = 0; i < last; ++i) {
    for (int step = 1; step <= steps; ++step) {
      const float t = static_cast<float>(step) / static_cast<float>(steps);
      const Point a = points[i], b = points[i + 1];
      const Point p = stroke.smooth ? curve(points[std::max(i - 1, 0)], a, b, points[std::min(i + 2, last)], t)
                                    : Point{a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)};
      const Point to = place(p);
      paper.line(from, to, radius, 1);
      from = to;
    }
  }
}

// Parts of something else at the margin, as where a digit was cut out of a form.
void draw_stray_marks(Draw& draw, float radius, Paper& paper) {
  const uint32_t marks = draw.below(4);
  for (uint32_t i = 1; i < marks; ++i) {
    const float along = draw.between(0, side), margin = draw.between(-1, 4);
    const uint32_t edge = draw.below(4);
    const float across = edge % 2 == 0 ? margin : side - margin;
    const Point from = edge < 2 ? Point{along, across} : Point{across, along};
    const Point to = {from.x + draw.between(-5, 5), from.y + draw.between(-5, 5)};
    paper.line(from, to, radius * 0.8f, draw.between(0.4f, 0.9f));
  }
}

void draw_digit(uint32_t digit, Draw& draw, uint8_t* out) {
  const Glyph& glyph = digits[digit].styles[draw.below(digits[digit].count)];
  const Placement place(draw);
  const float radius = draw.between(0.75f, 1.5f), shake = draw.between(0.01f, 0.03f);
  Paper paper;
  for (uint32_t s = 0; s < glyph.count; ++s) {
    const Stroke& stroke = glyph.strokes[s];
    Point points[stroke_points_max];
    for (uint32_t i = 0; i < stroke.count; ++i) {
      points[i] = {static_cast<float>(stroke.points[i][0]) * 0.01f + shake * draw.normal(),
                   static_cast<float>(stroke.points[i][1]) * 0.01f + shake * draw.normal()};
    }
    draw_stroke(stroke, points, place, radius, paper);
  }
  draw_stray_marks(draw, radius, paper);

  const float white = draw.between(185, 255), grey = draw.between(0, 16), noise = draw.between(1, 16) / 255;
  for (uint32_t pixel = 0; pixel < pixels; pixel += 4) {
    const uint32_t bits = draw.bits();
    for (uint32_t i = 0; i < 4; ++i) {
      const float grain = (static_cast<float>(bits >> 8 * i & 0xff) - 127.5f) * 2 * noise;
      const float value = grey + paper.ink(pixel + i) * (white - grey) + grain;
      out[pixel + i] = static_cast<uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
    }
  }
}

constexpr SyntheticSet set = {"synthetic digits", {side, side, 1}, classes, {train_count, test_count}, draw_digit};

Status open(const char*, Split split, uint64_t seed, std::unique_ptr<Dataset>* dataset) {
  return open_synthetic(set, split, seed, dataset);
}

}  // namespace

const DatasetFormat synthetic_digits = {
    "synthetic-digits", "digits drawn by the program", true, nullptr, nullptr, synthetic_found, open};

}  // namespace lt::data
