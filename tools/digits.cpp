// Drawing of test samples. Closing only, main thread.
#include "tools/digits.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
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
  unsigned height, width, scale, margin, image_width;

  bool inked(const Sample& sample, unsigned row, unsigned column) const {
    if (row >= height) return false;
    unsigned sum = 0;
    for (unsigned y = 0; y < scale; ++y)
      for (unsigned x = 0; x < scale; ++x)
        sum += sample.pixels[(margin + row * scale + y) * image_width + margin + column * scale + x];
    return sum > ink_threshold * scale * scale;
  }
};

Grid choose_grid(const lt_dataset_info& info, unsigned columns) {
  const unsigned margin = info.width == 28 && info.height == 28 ? margin_removed : 0;
  const unsigned width = info.width - 2 * margin, height = info.height - 2 * margin;
  const unsigned scale = columns >= digits_shown * (width + 1) ? 1 : 2;
  return {height / scale, width / scale, scale, margin, info.width};
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

void draw_band(const Sample* samples, size_t count, const Grid& grid, StandardOutput* out) {
  const bool utf8 = locale_is_utf8(), color = wants_color(STDOUT_FILENO);
  for (unsigned row = 0; row < grid.height; row += 2) {
    std::string line;
    for (size_t i = 0; i < count; ++i) {
      for (unsigned column = 0; column < grid.width; ++column)
        line += block(grid.inked(samples[i], row, column), grid.inked(samples[i], row + 1, column), utf8);
      line += ' ';
    }
    out->write(line.substr(0, line.find_last_not_of(' ') + 1) + "\n");
  }
  std::string line;
  for (size_t i = 0; i < count; ++i) line += caption(samples[i], grid.width, color) + " ";
  out->write(line.substr(0, line.find_last_not_of(' ') + 1) + "\n");
}

}  // namespace

bool can_draw(const lt_dataset_info& info) {
  return info.channels == 1 && info.height >= 8 && info.width >= 8 && info.height <= 64 && info.width <= 64 &&
         info.count > 0 && info.sample_bytes == uint64_t{info.height} * info.width;
}

lt_status draw_digits(lt_session* session, const lt_dataset* test, const lt_dataset_info& info, StandardOutput* out) {
  const auto count = static_cast<size_t>(std::min<uint64_t>(digits_shown, info.count));
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
    draw_band(samples.data() + first, std::min(per_band, count - first), grid, out);
  return LT_OK;
}

}  // namespace lt::tool
