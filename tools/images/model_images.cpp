// See model_images.h.
#include "tools/images/model_images.h"

#include "tools/terminal.h"
#include "tools/text.h"

namespace lt::tool {

bool is_model_of_images(const lt_plan_info& info) {
  return (info.channels == 1 || info.channels == 3) && info.height == info.width && info.height > 1 &&
         info.sample_bytes == uint64_t{info.channels} * info.height * info.width;
}

ImageOptions image_options(const lt_plan_info& info, const std::string& folder, bool skip_bad, uint32_t ahead) {
  ImageOptions asked;
  asked.folder = folder;
  asked.side = info.width;
  asked.shorter_side = info.width == 224 ? 256 : info.width;
  asked.channels = info.channels;
  asked.ahead = ahead;
  asked.skip_bad = skip_bad;
  return asked;
}

std::string with_advice(const std::string& why) { return why + "; to leave such images out, --skip-bad"; }

void say_left_out(const ImageReader& reader) {
  if (reader.bad().empty()) return;
  complain("%s of %zu left out:", format_count_of(reader.bad().size(), "image").c_str(), reader.names().size());
  for (const BadImage& bad : reader.bad()) say("  %s: %s", bad.name.c_str(), bad.why.c_str());
}

}  // namespace lt::tool
