// PNG by libpng: see decode.h. The library ends an error by a jump, so that the functions jumped out of hold nothing that
// would have to be destroyed.
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <new>

#include <png.h>

#include "tools/images/decode.h"

namespace lt::tool {
namespace {

struct Png {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const uint8_t* bytes = nullptr;
  size_t left = 0;
  int passes = 1;
  char why[128] = "";

  ~Png() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void give_up(png_structp png, png_const_charp message) {
  Png* const self = static_cast<Png*>(png_get_error_ptr(png));
  std::snprintf(self->why, sizeof self->why, "%s", message);
  png_longjmp(png, 1);
}

void read_bytes(png_structp png, png_bytep out, size_t n) {
  Png* const self = static_cast<Png*>(png_get_io_ptr(png));
  if (n > self->left) png_error(png, "ends too early");
  std::memcpy(out, self->bytes, n);
  self->bytes += n;
  self->left -= n;
}

bool read_header(Png* self) {
  if (setjmp(png_jmpbuf(self->png)) != 0) return false;
  png_set_read_fn(self->png, self, read_bytes);
  png_read_info(self->png, self->info);
  png_set_palette_to_rgb(self->png);
  png_set_expand_gray_1_2_4_to_8(self->png);
  png_set_strip_16(self->png);
  png_set_strip_alpha(self->png);
  png_set_gray_to_rgb(self->png);
  self->passes = png_set_interlace_handling(self->png);
  return true;
}

// After the header: three bytes a pixel.
bool settle_rows(Png* self) {
  if (setjmp(png_jmpbuf(self->png)) != 0) return false;
  png_read_update_info(self->png, self->info);
  if (png_get_rowbytes(self->png, self->info) != size_t{3} * png_get_image_width(self->png, self->info))
    png_error(self->png, "rows of an unexpected size");
  return true;
}

bool read_rows(Png* self, RowSink* sink, uint8_t* rows) {
  if (setjmp(png_jmpbuf(self->png)) != 0) return false;
  const uint32_t height = png_get_image_height(self->png, self->info);
  const size_t row_bytes = png_get_rowbytes(self->png, self->info);
  if (self->passes == 1) {
    for (uint32_t y = 0; y < height; ++y) {
      png_read_row(self->png, rows, nullptr);
      sink->row(rows);
    }
    return true;
  }
  for (int pass = 0; pass < self->passes; ++pass)
    for (uint32_t y = 0; y < height; ++y) png_read_row(self->png, rows + y * row_bytes, nullptr);
  for (uint32_t y = 0; y < height; ++y) sink->row(rows + y * row_bytes);
  return true;
}

}  // namespace

bool decode_png(const uint8_t* bytes, size_t size, RowSink* sink, std::vector<uint8_t>* scratch, std::string* why) {
  Png self;
  self.bytes = bytes;
  self.left = size;
  self.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &self, give_up, [](png_structp, png_const_charp) {});
  if (self.png != nullptr) self.info = png_create_info_struct(self.png);
  if (self.info == nullptr) throw std::bad_alloc();
  bool whole = read_header(&self);
  if (whole) {
    const uint64_t width = png_get_image_width(self.png, self.info), height = png_get_image_height(self.png, self.info);
    if (!image_size_fits(width, height, why)) return false;
    const uint64_t kept = width * 3 * (self.passes == 1 ? 1 : height);
    if (kept > image_decoder_bytes_most) {
      *why = "is interlaced and would need " + std::to_string(kept) + " bytes of memory, at most " +
             std::to_string(image_decoder_bytes_most) + " are given to it";
      return false;
    }
    whole = settle_rows(&self);
    if (whole) {
      scratch->resize(kept);
      sink->begin(static_cast<uint32_t>(width), static_cast<uint32_t>(height));
      whole = read_rows(&self, sink, scratch->data());
    }
  }
  if (!whole) *why = std::string("is a broken PNG file: ") + self.why;
  return whole;
}

}  // namespace lt::tool
