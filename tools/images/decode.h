// JPEG and PNG files in memory as rows of red, green and blue bytes, one row at a time: what Pillow's
// Image.open(...).convert("RGB") gives, which torchvision's data sets take. Told apart by their first bytes, not by their
// names.
//
//   JPEG  baseline and progressive, of 8 bits. Grey is repeated. CMYK is taken to be stored inverted, as Adobe's programs
//         do; a colour is then (255 - ink) * (255 - black) / 255.
//   PNG   all kinds. Grey is repeated, palettes are looked up, alpha and transparency dropped (no background is blended
//         in), of 16 bits the upper 8 taken (old versions of Pillow cut grey ones off at 255 instead).
//
// EXIF's orientation is not applied, as torchvision does not.
//
// Any thread; several at a time. What a file can make a decoder reserve is bounded by the limits below, before it is
// reserved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lt::tool {

// Most pixels of an image; most bytes that a decoder reserves: of progressive JPEG files and interlaced PNG files more than
// some rows.
inline constexpr uint64_t image_pixels_most = 1u << 27, image_decoder_bytes_most = 256u << 20;
inline constexpr uint32_t image_scans_most = 500;  // of a progressive JPEG: each costs a pass over the whole image

class RowSink {
 public:
  virtual ~RowSink() = default;
  // Before the first row; may allocate.
  virtual void begin(uint32_t width, uint32_t height) = 0;
  // The next row, width * 3 bytes, from the top. Must not throw: decoders in C are below it.
  virtual void row(const uint8_t* rgb) noexcept = 0;
};

// False where the bytes are no whole image: `why` says so, without the file's name. `scratch` is for the decoder, to be
// reused.
bool decode_image(const uint8_t* bytes, size_t size, RowSink* sink, std::vector<uint8_t>* scratch, std::string* why);

bool decode_jpeg(const uint8_t* bytes, size_t size, RowSink* sink, std::vector<uint8_t>* scratch, std::string* why);
bool decode_png(const uint8_t* bytes, size_t size, RowSink* sink, std::vector<uint8_t>* scratch, std::string* why);
// Whether an image of that size is taken.
bool image_size_fits(uint64_t width, uint64_t height, std::string* why);

}  // namespace lt::tool
