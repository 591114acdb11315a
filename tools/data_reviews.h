// The film reviews' part of `lean-train data get` and `data prepare`: their texts become the file of numbers that the data
// set "imdb" maps (review_words.h). One thread.
#pragma once

#include <string>

#include "tools/data_get.h"

namespace lt::tool {

// From the published archive, which is removed afterwards where it was fetched.
Fetched get_reviews(const DataGet& what, const DataGetEvents& events);

// From the raw reviews, or else the archive, in one of `places`, the likeliest first; the file is made beside them, or,
// where that folder cannot be written, in `otherwise`. What is prepared already and whole is left alone. `line` is what was
// done, for people.
Fetched prepare_reviews(const PublishedSet& set, const std::vector<std::string>& places, const std::string& otherwise,
                        const DataGetEvents& events, std::string* line);

// Before a training: where `folder` holds reviews that nobody has prepared yet, they are, in it or else in the cache folder
// `otherwise`, and `folder` is then where. Where there are none, it stays as it is.
Fetched prepare_reviews_once(const PublishedSet& set, const std::string& otherwise, const DataGetEvents& events,
                             std::string* folder);

}  // namespace lt::tool
