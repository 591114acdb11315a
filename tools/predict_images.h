// What a trained model of images says of the JPEG and PNG files of a folder. They are resampled as images/resample.h
// describes: the shorter side to that of the model's input (to 256 where that is 224, as is usual), of which the middle is
// taken; in grey where the model takes one channel.
#pragma once

#include <string>

#include "src/lean_train.h"
#include "tools/exit_code.h"

namespace lt::tool {

struct ImagesOptions {
  std::string folder;
  bool json = false, skip_bad = false, quiet = false;
};

// Whether a model is asked about images there, and not about a data set of its kind.
bool takes_images(const lt_plan_info& info, const std::string& data);

// One line an image on stdout, in byte order of their names. `session` has the trained weights. What goes wrong is said.
ExitCode predict_images(lt_session* session, const lt_plan_info& info, const ImagesOptions& options);

}  // namespace lt::tool
