// The built-in stand-in for photographs: 224 x 224 colour pictures drawn from a seed when they are read, for models that
// compute features of pictures. A picture is a smooth field of colours, nine by nine of them drawn at random and blended in
// between, under noise. They are of no class: all labels are 0.
#include <vector>

#include "data/formats.h"
#include "data/hash.h"
#include "data/synthetic.h"

namespace lt::data {
namespace {

constexpr uint32_t side = 224, channels = 3, count = 1280, knots = 9, cell = side / (knots - 1);
static_assert(cell * (knots - 1) == side);
constexpr const char* title = "synthetic pictures";

void draw_picture(Draw& draw, uint8_t* out) {
  for (uint32_t channel = 0; channel < channels; ++channel) {
    float colors[knots][knots];
    for (auto& row : colors)
      for (float& color : row) color = draw.between(0, 224);
    for (uint32_t y = 0; y < side; ++y) {
      const uint32_t row = y / cell;
      const float below = static_cast<float>(y % cell) / cell;
      float line[knots];
      for (uint32_t k = 0; k < knots; ++k) line[k] = colors[row][k] + below * (colors[row + 1][k] - colors[row][k]);
      uint32_t noise = 0;
      for (uint32_t x = 0; x < side; ++x, ++out) {
        const uint32_t column = x / cell;
        const float right = static_cast<float>(x % cell) / cell;
        const float smooth = line[column] + right * (line[column + 1] - line[column]);
        // A number has bits for four pixels' noise.
        noise = x % 4 == 0 ? draw.bits() : noise >> 8;
        *out = static_cast<uint8_t>(smooth + static_cast<float>(noise & 31));
      }
    }
  }
}

class SyntheticPictures final : public Dataset {
 public:
  SyntheticPictures(Split split, uint64_t seed) : split_(split), seed_(seed) {
    info_.name = "synthetic";
    info_.extent = {side, side, channels};
    info_.x_dtype = DType::u8;
    info_.classes = 1;
    info_.count = count;
  }

  const DatasetInfo& info() const override { return info_; }

  Status read(const uint32_t* indices, uint32_t n, void* x, int32_t* labels) const override {
    auto* out = static_cast<uint8_t*>(x);
    for (uint32_t i = 0; i < n; ++i, out += info_.sample_bytes()) {
      if (indices[i] >= count) return fail(Status::argument, "%s: sample %u asked for, has %u", title, indices[i], count);
      Draw draw(seed_, split_, indices[i]);
      draw_picture(draw, out);
      labels[i] = 0;
    }
    return Status::ok;
  }

  // Of the first picture alone, which tells sets of different seeds and versions apart.
  Status hash(uint8_t out[16]) const override {
    std::vector<uint8_t> picture(info_.sample_bytes());
    const uint32_t first = 0;
    int32_t label;
    LT_TRY(read(&first, 1, picture.data(), &label));
    const HashedPart parts[] = {{picture.data(), picture.size()}};
    hash_parts(parts, out);
    return Status::ok;
  }

 private:
  Split split_;
  uint64_t seed_;
  DatasetInfo info_;
};

Status open(const char*, Split split, uint64_t seed, std::unique_ptr<Dataset>* dataset) {
  *dataset = std::make_unique<SyntheticPictures>(split, seed);
  return Status::ok;
}

}  // namespace

const DatasetFormat synthetic_pictures = {
    "synthetic-pictures", "pictures of nothing, 224 x 224", true, nullptr, nullptr, synthetic_found, open};

}  // namespace lt::data
