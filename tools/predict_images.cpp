// See predict_images.h.
#include "tools/predict_images.h"

#include <sys/stat.h>

#include <vector>

#include "tools/images/model_images.h"
#include "tools/prediction_lines.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

constexpr uint32_t images_at_a_time = 32;

bool is_folder(const std::string& path) {
  struct stat state {};
  return stat(path.c_str(), &state) == 0 && S_ISDIR(state.st_mode);
}

}  // namespace

bool takes_images(const lt_plan_info& info, const std::string& data) {
  if (!is_model_of_images(info) || data.empty() || !is_folder(data)) return false;
  return (*info.data == '\0' || lt_dataset_found(info.data, data.c_str()) == 0) && holds_images(data);
}

ExitCode predict_images(lt_session* session, const lt_plan_info& info, const ImagesOptions& options) {
  const ImageOptions asked = image_options(info, options.folder, options.skip_bad, 2 * images_at_a_time);
  ImageReader reader;
  std::string why;
  if (!reader.open(asked, &why)) {
    complain("%s", why.c_str());
    return ExitCode::data;
  }
  if (!options.quiet)
    say("model: %s on %s, %s; data: %s of %s, the middle %u x %u where the shorter side has %u, decoded by %s", info.model,
        info.device, info.precision, format_count_of(reader.names().size(), "image").c_str(), options.folder.c_str(),
        asked.side, asked.side, asked.shorter_side, format_count_of(reader.threads(), "thread").c_str());
  StandardOutput out;
  const PredictionLines lines(options.json, false, true, info.classes);
  std::vector<uint8_t> x(images_at_a_time * info.sample_bytes);
  std::vector<float> probabilities(size_t{images_at_a_time} * info.classes);
  ExitCode code = ExitCode::ok;
  uint64_t index = 0;
  lines.head(&out);
  for (uint32_t n = 1; n > 0 && code == ExitCode::ok;) {
    if (!reader.next(images_at_a_time, x.data(), &n, &why)) {
      complain("%s", with_advice(why).c_str());
      code = ExitCode::data;
    }
    if (n == 0) break;
    if (const lt_status status = lt_session_predict(session, x.data(), n, probabilities.data(), size_t{n} * info.classes)) {
      complain("%s", lt_last_error());
      return exit_code(status, Stage::session);
    }
    for (uint32_t i = 0; i < n; ++i, ++index)
      lines.sample(index, 0, reader.given()[index], &probabilities[size_t{i} * info.classes], &out);
  }
  say_left_out(reader);
  if (!out.close() && code == ExitCode::ok) code = ExitCode::io;
  return code;
}

}  // namespace lt::tool
