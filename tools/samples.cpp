#include "tools/samples.h"

#include <sys/stat.h>

#include <utility>

namespace lt::tool {

lt_status open_samples(const std::string& kind, const std::string& given, lt_split split, Samples* samples) {
  struct stat state {};
  if (!given.empty() && stat(given.c_str(), &state) == 0 && !S_ISDIR(state.st_mode)) {
    lt_dataset* opened = nullptr;
    int labelled = 0;
    if (const lt_status status = lt_dataset_open_file(kind.c_str(), given.c_str(), &opened, &labelled)) return status;
    samples->dataset.reset(opened);
    samples->labelled = labelled != 0;
    samples->description = given + (samples->labelled ? "" : ", without labels");
  } else {
    DataSource source;
    if (const lt_status status = open_data(kind, given, &source)) return status;
    samples->dataset = std::move(split == LT_TRAIN ? source.train : source.test);
    samples->description = std::string(split == LT_TRAIN ? "training" : "test") + " set of " + source.description;
  }
  samples->info = sized<lt_dataset_info>();
  return lt_dataset_get(samples->dataset.get(), &samples->info);
}

}  // namespace lt::tool
