// Images as PNG within SVG. See mistakes_picture.h.
//
// PNG (W3C, third edition): 89 "PNG" 0D 0A 1A 0A, then chunks of
//     length u32, type 4 letters, data, CRC-32 u32 over type and data; all big-endian
//     IHDR  width u32, height u32, bits of a sample u8 (8), colour u8 (0: grey, 2: red-green-blue), 0, 0, 0
//     IDAT  zlib's stream of the rows, a byte 0 (no filter) in front of each
//     IEND  nothing
#include "tools/report/mistakes_picture.h"

#include <zlib.h>

#include <array>

namespace lt::tool {
namespace {

constexpr double columns = 6, cell_width = 70, image_side = 62, cell_height = 100, first_row = 30;

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string checked = type + data;
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size()));
  return big_endian(static_cast<uint32_t>(data.size())) + checked + big_endian(static_cast<uint32_t>(crc));
}

std::string base64(const std::string& bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = i; j < i + 3; ++j) group = group << 8 | (j < bytes.size() ? static_cast<uint8_t>(bytes[j]) : 0u);
    for (size_t j = 0; j < 4; ++j) text += i + j > bytes.size() ? '=' : digits[group >> (18 - 6 * j) & 63];
  }
  return text;
}

}  // namespace

std::string class_name(const std::string& data, uint64_t label) {
  static constexpr std::array cifar10 = {"airplane", "automobile", "bird",  "cat",  "deer",
                                         "dog",      "frog",       "horse", "ship", "truck"};
  return data == "cifar10" && label < cifar10.size() ? cifar10[label] : std::to_string(label);
}

std::string png_file(const std::vector<uint8_t>& pixels, uint32_t channels, uint32_t height, uint32_t width) {
  std::string rows;
  rows.reserve(size_t{height} * (1 + size_t{width} * channels));
  for (uint32_t y = 0; y < height; ++y) {
    rows += '\0';
    for (uint32_t x = 0; x < width; ++x)
      for (uint32_t c = 0; c < channels; ++c) rows += static_cast<char>(pixels[(size_t{c} * height + y) * width + x]);
  }
  uLongf packed_size = compressBound(static_cast<uLong>(rows.size()));
  std::string packed(packed_size, '\0');
  compress2(reinterpret_cast<Bytef*>(packed.data()), &packed_size, reinterpret_cast<const Bytef*>(rows.data()),
            static_cast<uLong>(rows.size()), Z_BEST_COMPRESSION);  // the room is enough, and memory throws elsewhere
  packed.resize(packed_size);
  const std::string header =
      big_endian(width) + big_endian(height) + '\x08' + static_cast<char>(channels == 3 ? 2 : 0) + std::string(3, '\0');
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + chunk("IDAT", packed) + chunk("IEND", "");
}

Picture draw_mistakes(const std::string& id, const Run& run) {
  Svg svg(id, "Most wrong: " + run.name,
          "Test images of the largest loss, the worst one first; below each what it shows, and what it was taken for.");
  svg.heading();
  size_t count = 0;
  for (const MistakeRecord& mistake : run.mistakes) {
    if (mistake.pixels.empty()) continue;
    const double x = static_cast<double>(count % static_cast<size_t>(columns)) * cell_width;
    const double y = first_row + static_cast<double>(count / static_cast<size_t>(columns)) * cell_height;
    svg.image(x + (cell_width - image_side) / 2, y, image_side, image_side,
              base64(png_file(mistake.pixels, mistake.channels, mistake.height, mistake.width)));
    const auto caption = [&](double below, const std::string& text, const char* style) {
      svg.text(x + cell_width / 2, y + image_side + below, fit_text(text, cell_width - 4, 11), Anchor::middle, style);
    };
    caption(13, "is " + class_name(run.data, mistake.label), "font-size:11px;font-weight:600");
    caption(26, "not " + class_name(run.data, mistake.predicted), "font-size:11px;fill:var(--soft)");
    ++count;
  }
  const size_t rows = (count + static_cast<size_t>(columns) - 1) / static_cast<size_t>(columns);
  return svg.finish(first_row + static_cast<double>(rows) * cell_height);
}

}  // namespace lt::tool
