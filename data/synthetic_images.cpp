// The built-in stand-in for CIFAR-10: 10,000 colour pictures drawn from a seed, so that everything can be tried before
// anything has been fetched. A sample is one of ten figures, turned, scaled, shaded and put anywhere in front of a sky of
// two colours with clutter, all under noise. Each class has a favourite colour that it keeps to only now and then, so that
// colour alone does not tell the classes apart and shape alone has to be learned.
#include <algorithm>
#include <cmath>

#include "data/formats.h"
#include "data/synthetic.h"

namespace lt::data {
namespace {

constexpr uint32_t side = 32, channels = 3, classes = 10, train_count = 8000, test_count = 2000;
constexpr uint32_t pixels = side * side;

struct Color {
  float channel[channels];
};

// Of the class's figure; 0 to 1.
constexpr Color favourites[classes] = {
    {{0.85f, 0.20f, 0.15f}}, {{0.90f, 0.60f, 0.10f}}, {{0.85f, 0.85f, 0.20f}}, {{0.30f, 0.70f, 0.20f}},
    {{0.10f, 0.65f, 0.60f}}, {{0.15f, 0.45f, 0.85f}}, {{0.40f, 0.25f, 0.80f}}, {{0.80f, 0.25f, 0.70f}},
    {{0.90f, 0.90f, 0.88f}}, {{0.12f, 0.12f, 0.14f}},
};
constexpr float favourite_share = 0.8f;

float length(float x, float y) { return std::sqrt(x * x + y * y); }
float box(float x, float y, float half_width, float half_height) {
  return std::max(std::abs(x) - half_width, std::abs(y) - half_height);
}

// How far (u, v) lies outside the figure, below 0 inside it; the figure fills most of [-1, 1] x [-1, 1], v pointing down.
float outside(uint32_t figure, float u, float v) {
  switch (figure) {
    case 0: return length(u, v) - 0.85f;                                        // disc
    case 1: return std::abs(length(u, v) - 0.72f) - 0.2f;                       // ring
    case 2: return box(u, v, 0.75f, 0.75f);                                     // square
    case 3: return std::abs(box(u, v, 0.65f, 0.65f)) - 0.17f;                   // frame
    case 4: return std::max(v - 0.65f, 0.87f * std::abs(u) - 0.5f * v - 0.5f);  // triangle
    case 5: return std::min(box(u, v, 0.25f, 0.9f), box(u, v, 0.9f, 0.25f));    // cross
    case 6: {                                                                   // three bars
      const float bar = std::min(std::abs(v), std::min(std::abs(v - 0.65f), std::abs(v + 0.65f)));
      return std::max(std::abs(u) - 0.85f, bar - 0.19f);
    }
    case 7: return std::max(box(u, v, 0.85f, 0.85f), -3 * u * v);                               // two of four fields
    case 8: return std::max(length(u, v) - 0.9f, 0.7f - length(u - 0.45f, v));                  // crescent
    default: return std::min(length(u - 0.52f, v - 0.3f), length(u + 0.52f, v + 0.3f)) - 0.4f;  // two balls
  }
}

Color random_color(Draw& draw) { return {{draw.uniform(), draw.uniform(), draw.uniform()}}; }

Color mixed(const Color& a, const Color& b, float share_of_b) {
  Color color;
  for (uint32_t c = 0; c < channels; ++c) color.channel[c] = a.channel[c] + share_of_b * (b.channel[c] - a.channel[c]);
  return color;
}

float distance(const Color& a, const Color& b) {
  float sum = 0;
  for (uint32_t c = 0; c < channels; ++c) sum += std::abs(a.channel[c] - b.channel[c]);
  return sum;
}

class Picture {
 public:
  // Two colours that run into each other across the picture.
  void fill(const Color& from, const Color& to, Draw& draw) {
    const float x = draw.between(-1, 1), y = draw.between(-1, 1);
    const float scale = 0.5f / (static_cast<float>(side) * (std::abs(x) + std::abs(y) + 0.1f));
    for (uint32_t row = 0; row < side; ++row) {
      for (uint32_t column = 0; column < side; ++column) {
        const float dx = static_cast<float>(column) - side / 2.0f, dy = static_cast<float>(row) - side / 2.0f;
        const float t = 0.5f + 2 * scale * (x * dx + y * dy);
        for (uint32_t c = 0; c < channels; ++c)
          at(c, row, column) = from.channel[c] + t * (to.channel[c] - from.channel[c]);
      }
    }
  }

  // A figure whose centre and half size are in pixels; shading makes it lighter on one side. Its edge is one pixel wide.
  void stamp(uint32_t figure, float x, float y, float half, float turn, const Color& color, float shade_x, float shade_y) {
    // Rotation by an angle whose half has tangent t needs no sine: ((1 - t^2), 2 t) / (1 + t^2).
    const float cosine = (1 - turn * turn) / (1 + turn * turn), sine = 2 * turn / (1 + turn * turn);
    const float reach = 1.5f * half + 1;
    const auto clip = [](float value) { return static_cast<int>(std::clamp(std::floor(value), 0.0f, side - 1.0f)); };
    for (int row = clip(y - reach); row <= clip(y + reach); ++row) {
      for (int column = clip(x - reach); column <= clip(x + reach); ++column) {
        const float dx = (static_cast<float>(column) + 0.5f - x) / half, dy = (static_cast<float>(row) + 0.5f - y) / half;
        const float u = dx * cosine + dy * sine, v = dy * cosine - dx * sine;
        const float cover = std::clamp(0.5f - outside(figure, u, v) * half, 0.0f, 1.0f);
        if (cover == 0) continue;
        const float light = 1 + shade_x * u + shade_y * v;
        for (uint32_t c = 0; c < channels; ++c) {
          float& value = at(c, static_cast<uint32_t>(row), static_cast<uint32_t>(column));
          value += cover * (color.channel[c] * light - value);
        }
      }
    }
  }

  float value(uint32_t element) const { return values_[element]; }

 private:
  float& at(uint32_t channel, uint32_t row, uint32_t column) { return values_[channel * pixels + row * side + column]; }

  float values_[channels * pixels];
};

void draw_image(uint32_t label, Draw& draw, uint8_t* out) {
  Picture picture;
  Color color = favourites[label];
  if (draw.uniform() >= favourite_share) {
    color = random_color(draw);
  } else {
    for (float& value : color.channel) value += 0.1f * draw.normal();
  }
  Color from = random_color(draw), to = random_color(draw);
  if (draw.uniform() < favourite_share) from = mixed(from, favourites[(label + 3) % classes], 0.7f);
  to = mixed(to, from, 0.5f);
  // A figure of its background's colour cannot be seen: the background gives way.
  for (Color* sky : {&from, &to}) {
    if (distance(color, *sky) >= 0.6f) continue;
    for (uint32_t c = 0; c < channels; ++c) sky->channel[c] += color.channel[c] > 0.5f ? -0.5f : 0.5f;
  }
  picture.fill(from, to, draw);
  const uint32_t clutter = 2 + draw.below(4);
  for (uint32_t i = 0; i < clutter; ++i) {
    const uint32_t figure = draw.below(classes);
    const float x = draw.between(0, side), y = draw.between(0, side), half = draw.between(1.5f, 3.5f);
    const float turn = draw.between(-0.4f, 0.4f);
    picture.stamp(figure, x, y, half, turn, random_color(draw), 0, 0);
  }
  const float half = draw.between(7, 12), x = side / 2.0f + draw.between(-5, 5), y = side / 2.0f + draw.between(-5, 5);
  const float turn = std::clamp(0.12f * draw.normal(), -0.3f, 0.3f);
  const float shade_x = draw.between(-0.3f, 0.3f), shade_y = draw.between(-0.3f, 0.3f);
  picture.stamp(label, x, y, half, turn, color, shade_x, shade_y);

  const float noise = draw.between(2, 24) / 255, dark = draw.between(0, 30), bright = draw.between(200, 255);
  for (uint32_t element = 0; element < channels * pixels; element += 4) {
    const uint32_t bits = draw.bits();
    for (uint32_t i = 0; i < 4; ++i) {
      const float grain = (static_cast<float>(bits >> 8 * i & 0xff) - 127.5f) * 2 * noise;
      const float value = dark + picture.value(element + i) * (bright - dark) + grain;
      out[element + i] = static_cast<uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
    }
  }
}

constexpr SyntheticSet set = {"synthetic images", {side, side, channels}, classes, {train_count, test_count}, draw_image};

Status open(const char*, Split split, uint64_t seed, std::unique_ptr<Dataset>* dataset) {
  return open_synthetic(set, split, seed, dataset);
}

}  // namespace

const DatasetFormat synthetic_images = {
    "synthetic-images", "colour pictures drawn by the program", true, nullptr, nullptr, synthetic_found, open};

}  // namespace lt::data
