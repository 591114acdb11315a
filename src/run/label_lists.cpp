#include "src/run/label_lists.h"

namespace lt {

Status check_label_lists(const Recipe& recipe, uint32_t classes, const char* data, const uint32_t* indices,
                         const RunArguments& run) {
  if (recipe.loss != LossKind::ctc) return Status::ok;
  for (uint32_t sample = 0; sample < run.samples; ++sample) {
    const int32_t* const labels = run.labels + uint64_t{sample} * recipe.labels;
    const uint32_t steps = run.lengths != nullptr ? run.lengths[sample] : recipe.input.height;
    uint32_t count = 0, needed = 0;
    for (; count < recipe.labels && labels[count] != -1; ++count) {
      if (labels[count] < 1 || static_cast<uint32_t>(labels[count]) >= classes)
        return fail(Status::format, "%s: label %u of sample %u is %d, expected 1 to %u (0 is the blank, -1 ends the list)",
                    data, count, indices[sample], labels[count], classes - 1);
      needed += count > 0 && labels[count] == labels[count - 1] ? 2 : 1;
    }
    if (count == 0)
      return fail(Status::format, "%s: sample %u has no labels, expected 1 to %u", data, indices[sample], recipe.labels);
    if (needed > steps)
      return fail(Status::format,
                  "%s: sample %u has %u steps, its %u labels need %u (a blank stands between two equal ones)", data,
                  indices[sample], steps, count, needed);
  }
  return Status::ok;
}

}  // namespace lt
