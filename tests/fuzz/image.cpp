// A JPEG or PNG file in memory. Small pictures alone are decoded: past some size time is all that there is to find.
#include "tests/fuzz/fuzz.h"
#include "tools/images/decode.h"

using namespace lt;

namespace {

struct Rows final : tool::RowSink {
  uint32_t width = 0, height = 0, rows = 0;
  unsigned sum = 0;
  void begin(uint32_t w, uint32_t h) override { width = w, height = h; }
  void row(const uint8_t* rgb) noexcept override {
    for (uint32_t i = 0; i < 3 * width; ++i) sum += rgb[i];
    ++rows;
  }
};

// Of the first frame of a JPEG file, or of a PNG's IHDR; where there is none, the decoders say so quickly.
bool is_small(const uint8_t* bytes, size_t size) {
  const auto at = [&](size_t i) { return i < size ? unsigned{bytes[i]} : 0u; };
  if (at(0) == 0x89)
    return ((at(16) | at(17) | at(20) | at(21)) == 0) && (at(18) << 8 | at(19)) <= 512 && (at(22) << 8 | at(23)) <= 512;
  for (size_t i = 0; i + 8 < size; ++i)
    if (at(i) == 0xff && at(i + 1) >= 0xc0 && at(i + 1) <= 0xcf &&
        ((at(i + 5) << 8 | at(i + 6)) > 512 || (at(i + 7) << 8 | at(i + 8)) > 512))
      return false;
  return true;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (!is_small(bytes, size)) return 0;
  Rows rows;
  std::vector<uint8_t> scratch;
  std::string why;
  if (tool::decode_image(bytes, size, &rows, &scratch, &why))
    fuzz::expect(rows.rows == rows.height && rows.height > 0, "a whole image has all its rows");
  else
    fuzz::expect(!why.empty(), "a refusal has its sentence");
  return 0;
}
