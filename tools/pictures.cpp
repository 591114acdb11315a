// Drawing of test samples. Closing only, main thread.
#include "tools/pictures.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tools/handles.h"

namespace lt::tool {
namespace {

constexpr unsigned margin_removed = 2;  // pixels on each side of a 28 x 28 digit, which are empty in MNIST
constexpr unsigned ink_threshold = 80;  // of 255, mean of the pixels that a drawn one stands for

struct Sample {
  std::vector<uint8_t> pixels;
  uint32_t label = 0, predicted = 0;
  float probability = 0;
};

// The samples' common geometry: cell(row, column) covers scale x scale pixels.
struct Grid {
  unsigned height, width, scale, margin, image_height, image_width;

  // The mean of a cell's pixels, 0 to 255; 0 past the last row.
  unsigned level(const Sample& sample, unsigned channel, unsigned row, unsigned column) const {
    if (row >= height) return 0;
    const uint8_t* const plane = &sample.pixels[size_t{channel} * image_height * image_width];
    unsigned sum = 0;
    for (unsigned y = 0; y < scale; ++y)
      for (unsigned x = 0; x < scale; ++x)
        sum += plane[(margin + row * scale + y) * image_width + margin + column * scale + x];
    return sum / (scale * scale);
  }
  bool inked(const Sample& sample, unsigned row, unsigned column) const {
    return level(sample, 0, row, column) > ink_threshold;
  }
};

// How many colours the terminal says that it has: 2^24, 256, or none that would do.
enum class Palette { none, indexed, direct };

Palette terminal_palette() {
  if (!wants_color(STDOUT_FILENO)) return Palette::none;
  const char* const colors = std::getenv("COLORTERM");
  if (colors && (std::strcmp(colors, "truecolor") == 0 || std::strcmp(colors, "24bit") == 0)) return Palette::direct;
  const char* const term = std::getenv("TERM");
  return term && std::strstr(term, "256color") ? Palette::indexed : Palette::none;
}

// The parameters that choose a cell's colour: 38 for the character, 48 for what is behind it.
std::string color_code(const Grid& grid, const Sample& sample, unsigned row, unsigned column, int ground, Palette palette) {
  const unsigned red = grid.level(sample, 0, row, column), green = grid.level(sample, 1, row, column),
                 blue = grid.level(sample, 2, row, column);
  char text[48];
  if (palette == Palette::direct) {
    std::snprintf(text, sizeof text, "%d;2;%u;%u;%u", ground, red, green, blue);
  } else {  // a cube of 6 x 6 x 6 colours stands at 16
    const auto level = [](unsigned value) { return (value * 5 + 127) / 255; };
    std::snprintf(text, sizeof text, "%d;5;%u", ground, 16 + 36 * level(red) + 6 * level(green) + level(blue));
  }
  return text;
}

Grid choose_grid(const lt_dataset_info& info, unsigned columns) {
  const unsigned margin = info.width == 28 && info.height == 28 ? margin_removed : 0;
  const unsigned width = info.width - 2 * margin, height = info.height - 2 * margin;
  const unsigned scale = columns >= pictures_shown * (width + 1) ? 1 : 2;
  return {height / scale, width / scale, scale, margin, info.height, info.width};
}

const char* block(bool top, bool bottom, bool utf8) {
  if (!top && !bottom) return " ";
  if (!utf8) return top && bottom ? "#" : top ? "\"" : ",";
  return top && bottom ? "\u2588" : top ? "\u2580" : "\u2584";
}

// The line under a sample: "7 99%", or "5 61% not 6" where the label is 6.
std::string caption(const Sample& sample, unsigned width, bool color) {
  char text[64];
  const int percent = static_cast<int>(100 * sample.probability + 0.5f);
  const bool wrong = sample.predicted != sample.label;
  if (wrong) {
    std::snprintf(text, sizeof text, "%u %d%% not %u", sample.predicted, percent, sample.label);
  } else {
    std::snprintf(text, sizeof text, "%u %d%%", sample.predicted, percent);
  }
  std::string line(text);
  line.resize(std::max<size_t>(width, line.size()), ' ');
  return wrong && color ? "\033[31m" + line + "\033[0m" : line;
}

// Two rows of one sample's cells.
std::string cells(const Sample& sample, const Grid& grid, unsigned row, bool utf8) {
  std::string line;
  for (unsigned column = 0; column < grid.width; ++column)
    line += block(grid.inked(sample, row, column), grid.inked(sample, row + 1, column), utf8);
  return line;
}

std::string color_cells(const Sample& sample, const Grid& grid, unsigned row, bool utf8, Palette palette) {
  std::string line;
  for (unsigned column = 0; column < grid.width; ++column) {
    const std::string lower = color_code(grid, sample, row + 1 < grid.height ? row + 1 : row, column, 48, palette);
    line += utf8 ? "\033[" + color_code(grid, sample, row, column, 38, palette) + ";" + lower + "m\u2580"
                 : "\033[" + lower + "m ";
  }
  return line + "\033[0m";
}

void draw_band(const Sample* samples, size_t count, const Grid& grid, bool colored, StandardOutput* out) {
  const bool utf8 = locale_is_utf8(), color = wants_color(STDOUT_FILENO);
  const Palette palette = terminal_palette();
  for (unsigned row = 0; row < grid.height; row += 2) {
    std::string line;
    for (size_t i = 0; i < count; ++i)
      line += (colored ? color_cells(samples[i], grid, row, utf8, palette) : cells(samples[i], grid, row, utf8)) + " ";
    out->write(line.substr(0, line.find_last_not_of(' ') + 1) + "\n");
  }
  std::string line;
  for (size_t i = 0; i < count; ++i) line += caption(samples[i], grid.width, color) + " ";
  out->write(line.substr(0, line.find_last_not_of(' ') + 1) + "\n");
}

}  // namespace

bool can_draw(const lt_dataset_info& info) {
  const bool colored = info.channels == 3 && terminal_palette() != Palette::none;
  return (info.channels == 1 || colored) && info.height >= 8 && info.width >= 8 && info.height <= 64 && info.width <= 64 &&
         info.count > 0 && info.sample_bytes == uint64_t{info.channels} * info.height * info.width;
}

lt_status draw_pictures(lt_session* session, const lt_dataset* test, const lt_dataset_info& info, StandardOutput* out) {
  const auto count = static_cast<size_t>(std::min<uint64_t>(pictures_shown, info.count));
  std::vector<Sample> samples(count);
  std::vector<float> probabilities(info.classes);
  for (size_t i = 0; i < count; ++i) {
    Sample& sample = samples[i];
    sample.pixels.resize(info.sample_bytes);
    if (const lt_status status = lt_dataset_read(test, i, sample.pixels.data(), &sample.label)) return status;
    if (const lt_status status =
            lt_session_predict(session, sample.pixels.data(), 1, probabilities.data(), probabilities.size()))
      return status;
    const auto best = std::max_element(probabilities.begin(), probabilities.end());
    sample.predicted = static_cast<uint32_t>(best - probabilities.begin());
    sample.probability = *best;
  }
  const unsigned columns = terminal_columns(STDOUT_FILENO);
  const Grid grid = choose_grid(info, columns);
  const size_t per_band = std::clamp<size_t>(columns / (grid.width + 1), 1, count);
  for (size_t first = 0; first < count; first += per_band)
    draw_band(samples.data() + first, std::min(per_band, count - first), grid, info.channels == 3, out);
  return LT_OK;
}

}  // namespace lt::tool
