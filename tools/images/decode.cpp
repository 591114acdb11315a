// What kind of file it is: see decode.h.
#include "tools/images/decode.h"

#include <cstring>

namespace lt::tool {

bool image_size_fits(uint64_t width, uint64_t height, std::string* why) {
  if (width != 0 && height != 0 && width <= image_pixels_most / height) return true;
  *why = std::to_string(width) + " x " + std::to_string(height) + " pixels, 1 to " + std::to_string(image_pixels_most) +
         " are taken";
  return false;
}

bool decode_image(const uint8_t* bytes, size_t size, RowSink* sink, std::vector<uint8_t>* scratch, std::string* why) {
  constexpr uint8_t jpeg[] = {0xff, 0xd8, 0xff}, png[] = {0x89, 'P', 'N', 'G', 0x0d, 0x0a, 0x1a, 0x0a};
  if (size >= sizeof jpeg && std::memcmp(bytes, jpeg, sizeof jpeg) == 0)
    return decode_jpeg(bytes, size, sink, scratch, why);
  if (size >= sizeof png && std::memcmp(bytes, png, sizeof png) == 0) return decode_png(bytes, size, sink, scratch, why);
  *why = size == 0 ? "is empty" : "is neither a JPEG nor a PNG file by its first bytes";
  return false;
}

}  // namespace lt::tool
