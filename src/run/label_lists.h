// Lists of labels as the loss CTC takes them: what no path over a sample's steps can give is refused before it is trained
// on.
#pragma once

#include <cstdint>

#include "src/backend.h"
#include "src/plan/recipe.h"

namespace lt {

// Of the samples run->samples, whose places in the data set `indices` says: Status::format and the first one's number where
// it has no labels, one that is the blank or no class, or too few steps for them (one for each label, and one more between
// two equal ones). `classes` counts the blank. Nothing to check for other losses.
Status check_label_lists(const Recipe& recipe, uint32_t classes, const char* data, const uint32_t* indices,
                         const RunArguments& run);

}  // namespace lt
