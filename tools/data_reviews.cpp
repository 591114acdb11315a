// What is there is looked at before it is made: see data_reviews.h.
#include "tools/data_reviews.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "tools/handles.h"
#include "tools/process_clock.h"
#include "tools/review_files.h"
#include "tools/review_words.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

constexpr double redraw_seconds = 0.1;

bool is_file(const std::string& path) {
  struct stat about;
  return ::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode);
}

// Both splits open, which checks them to the last number.
bool is_whole(const PublishedSet& set, const std::string& folder) {
  if (!is_file(folder + "/" + review_words_name)) return false;
  for (const lt_split split : {LT_TRAIN, LT_TEST}) {
    lt_dataset* raw = nullptr;
    if (lt_dataset_open(set.name, folder.c_str(), split, 0, &raw) != LT_OK) return false;
    lt_dataset_free(raw);
  }
  return true;
}

Fetched make(std::vector<Review>* reviews, const std::string& folder, const DataGetEvents& events, std::string* line) {
  double drawn_seconds = monotonic_seconds();
  const std::string all = " of " + format_count(reviews->size()) + " reviews read";
  const auto progress = [&](uint64_t done) {
    const double now = monotonic_seconds();
    if (now - drawn_seconds >= redraw_seconds || done == reviews->size()) {
      drawn_seconds = now;
      events.draw(format_count(done) + all);
    }
  };
  ReviewWords written;
  if (Fetched result = write_review_words(reviews, folder, progress, &written); result.result != Fetched::ok) return result;
  *line = format_count(written.reviews) + " reviews, " + format_count(written.words) + " words, " +
          format_count(written.different) + " different ones to train on, in " + folder + "/" + review_words_name;
  if (written.replaced > 0)
    events.say(format_count_of(written.replaced, "place") + " in the reviews are no UTF-8 and were read as U+FFFD");
  return {};
}

Fetched make_from_archive(const std::string& archive, const std::string& folder, const DataGetEvents& events,
                          std::string* line) {
  events.draw("unpacking " + archive);
  std::vector<Review> reviews;
  if (Fetched result = unpack_reviews(archive, &reviews); result.result != Fetched::ok) return result;
  return make(&reviews, folder, events, line);
}

// `folder` where it can be written, else `otherwise`, which is made.
Fetched choose_folder(const std::string& folder, const std::string& otherwise, const DataGetEvents& events,
                      std::string* chosen) {
  *chosen = folder;
  if (::access(folder.c_str(), W_OK | X_OK) == 0 || otherwise.empty()) return {};
  *chosen = otherwise;
  events.say(folder + ": cannot be written; the prepared reviews go to " + otherwise);
  std::error_code error;
  std::filesystem::create_directories(otherwise, error);
  if (error) return {Fetched::local, otherwise + ": cannot be made: " + error.message()};
  return {};
}

}  // namespace

Fetched prepare_reviews_once(const PublishedSet& set, const std::string& otherwise, const DataGetEvents& events,
                             std::string* folder) {
  std::vector<std::string> places;
  for (const char* below : {"", "/aclImdb", "/imdb", "/imdb/aclImdb"}) places.push_back(*folder + below);
  for (const std::string& place : places)
    if (is_file(place + "/" + review_words_name)) return {};
  for (const std::string& place : places) {
    if (!holds_reviews(place) && !is_file(place + "/" + set.archive->name)) continue;
    std::string line;
    if (!otherwise.empty() && is_file(otherwise + "/" + review_words_name) && ::access(place.c_str(), W_OK | X_OK) != 0) {
      *folder = otherwise;
      return {};
    }
    Fetched result = prepare_reviews(set, {place}, otherwise, events, &line);
    if (result.result != Fetched::ok) return result;
    events.say(line);
    if (!is_file(place + "/" + review_words_name)) *folder = otherwise;
    return {};
  }
  return {};
}

Fetched get_reviews(const DataGet& what, const DataGetEvents& events) {
  if (!what.force && is_whole(*what.set, what.to)) {
    events.say(what.to + "/" + review_words_name + ": there already");
    return {};
  }
  std::string archive, line;
  bool fetched = false;
  Fetched result = get_archive_file(what, what.set->bytes(), events, &archive, &fetched);
  if (result.result != Fetched::ok) return result;
  result = make_from_archive(archive, what.to, events, &line);
  if (fetched) ::unlink(archive.c_str());
  if (result.result == Fetched::ok) events.say(line);
  return result;
}

Fetched prepare_reviews(const PublishedSet& set, const std::vector<std::string>& places, const std::string& otherwise,
                        const DataGetEvents& events, std::string* line) {
  for (const std::string& place : places) {
    if (!is_whole(set, place)) continue;
    *line = "nothing to prepare in " + place;
    return {};
  }
  for (const std::string& place : places) {
    const std::string archive = place + "/" + set.archive->name;
    const bool raw = holds_reviews(place);
    if (!raw && !is_file(archive)) continue;
    std::string folder;
    if (Fetched result = choose_folder(place, otherwise, events, &folder); result.result != Fetched::ok) return result;
    if (!raw) return make_from_archive(archive, folder, events, line);
    std::vector<Review> reviews;
    if (Fetched result = list_reviews(place, &reviews); result.result != Fetched::ok) return result;
    return make(&reviews, folder, events, line);
  }
  return {Fetched::wrong_bytes, places[0] + ": holds neither raw reviews nor " + set.archive->name +
                                    "; fetch them with lean-train data get " + set.name};
}

}  // namespace lt::tool
