// Which pictures a report of some runs has, and what is drawn in them. One thread.
#pragma once

#include <string>
#include <vector>

#include "tools/report/run_reader.h"
#include "tools/report/svg.h"

namespace lt::tool {

struct ReportPictures {
  std::vector<Picture> curves;      // loss and accuracy over epochs, loss over steps, how far sides of a comparison part
  std::vector<Picture> speed;       // spread of the step times, step times over steps, throughput of each model
  std::vector<Picture> memory;      // a map for each different plan
  std::vector<size_t> memory_runs;  // the first run of each of these plans
  std::vector<Picture> mistakes;    // of each run that logged images
};

ReportPictures draw_pictures_of(const std::vector<Run>& runs);

// Seconds of single steps: of its step records, without the first two where there are more than three, as in the median of
// the end record; or an epoch's mean for each epoch where there are none.
std::vector<double> step_seconds(const Run& run);

}  // namespace lt::tool
