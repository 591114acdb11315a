// Listing, unpacking and reading: see review_files.h.
#include "tools/review_files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <tuple>

#include "tools/tar_reader.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

// The longest published review has 14 KB, all have 66 MB; the archive has 100,000 reviews and 250 MB of other files.
constexpr uint64_t review_bytes_max = 16 << 20, text_bytes_max = 1 << 30, other_bytes_max = uint64_t{2} << 30;
constexpr size_t reviews_max = 1'000'000;

struct Part {
  const char* path;
  bool test, positive;
};
constexpr Part parts[] = {
    {"train/pos", false, true}, {"train/neg", false, false}, {"test/pos", true, true}, {"test/neg", true, false}};

// The number at the head of "123_8.txt"; none where the name is another.
std::optional<uint32_t> number_of(std::string_view name) {
  const size_t end = name.find('_');
  if (end == name.npos || end > 9 || !name.ends_with(".txt")) return std::nullopt;
  const auto number = parse_whole_number(name.substr(0, end));
  return number ? std::optional(static_cast<uint32_t>(*number)) : std::nullopt;
}

// Sorts, and sees to it that each part has some.
Fetched finish(const std::string& from, std::vector<Review>* reviews) {
  for (const Part& part : parts) {
    const bool any = std::any_of(reviews->begin(), reviews->end(), [&](const Review& review) {
      return review.test == part.test && review.positive == part.positive;
    });
    if (!any) return {Fetched::wrong_bytes, from + ": holds no review NUMBER_RATING.txt in " + part.path};
  }
  std::sort(reviews->begin(), reviews->end(), [](const Review& a, const Review& b) {
    return std::tie(a.test, b.positive, a.number, a.name) < std::tie(b.test, a.positive, b.number, b.name);
  });
  return {};
}

Fetched too_many(const std::string& from) {
  return {Fetched::wrong_bytes, from + ": holds more than " + format_count(reviews_max) + " reviews"};
}

Fetched too_long(const std::string& name) {
  return {Fetched::wrong_bytes, name + ": a review of more than " + format_bytes(review_bytes_max)};
}

}  // namespace

bool holds_reviews(const std::string& folder) {
  std::error_code ignored;
  return std::filesystem::is_directory(folder + "/" + parts[0].path, ignored);
}

Fetched list_reviews(const std::string& folder, std::vector<Review>* reviews) {
  reviews->clear();
  for (const Part& part : parts) {
    const std::string path = folder + "/" + part.path;
    std::error_code error;
    std::filesystem::directory_iterator entries(path, error);
    if (error) return {Fetched::local, path + ": cannot be read: " + error.message()};
    for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
      const auto number = number_of(entries->path().filename().string());
      if (!number) continue;
      if (reviews->size() == reviews_max) return too_many(folder);
      reviews->push_back({part.test, part.positive, *number, entries->path().string(), false, ""});
    }
    if (error) return {Fetched::local, path + ": cannot be read: " + error.message()};
  }
  return finish(folder, reviews);
}

Fetched unpack_reviews(const std::string& archive, std::vector<Review>* reviews) {
  reviews->clear();
  TarReader reader(archive);
  uint64_t text_bytes = 0, other_bytes = 0;
  for (;;) {
    TarEntry entry;
    bool end = false;
    if (Fetched result = reader.next(&entry, &end); result.result != Fetched::ok) return result;
    if (end) break;
    const Part* part = nullptr;
    std::optional<uint32_t> number;
    for (const Part& candidate : parts) {
      const std::string folder = std::string("aclImdb/") + candidate.path + "/";
      if (!entry.name.starts_with(folder)) continue;
      part = &candidate;
      number = number_of(std::string_view(entry.name).substr(folder.size()));
    }
    if (!number || !entry.is_file) {
      if (entry.bytes > other_bytes_max || (other_bytes += entry.bytes + 512) > other_bytes_max)
        return reader.wrong("has more in it than the reviews of aclImdb");
      continue;
    }
    if (reviews->size() == reviews_max) return too_many(archive);
    if (entry.bytes > review_bytes_max) return too_long(archive + ": " + entry.name);
    if ((text_bytes += entry.bytes) > text_bytes_max)
      return reader.wrong("its reviews have more than " + format_bytes(text_bytes_max));
    Review review = {
        part->test, part->positive, *number, archive + ": " + entry.name, true, std::string(entry.bytes, '\0')};
    if (Fetched result = reader.read(reinterpret_cast<uint8_t*>(review.text.data()), review.text.size());
        result.result != Fetched::ok)
      return result;
    reviews->push_back(std::move(review));
  }
  if (Fetched result = reader.finish(16 << 20); result.result != Fetched::ok) return result;
  return finish(archive, reviews);
}

Fetched read_review(Review* review, std::string* text) {
  if (review->unpacked) {
    *text = std::move(review->text);
    return {};
  }
  const auto close = [](std::FILE* file) { std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(review->name.c_str(), "rbe"), close);
  if (!file) return {Fetched::local, review->name + ": cannot be opened: " + std::strerror(errno)};
  text->clear();
  char buffer[1 << 14];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file.get())) > 0;) {
    text->append(buffer, n);
    if (text->size() > review_bytes_max) return too_long(review->name);
  }
  if (std::ferror(file.get())) return {Fetched::local, review->name + ": cannot be read: " + std::strerror(errno)};
  return {};
}

}  // namespace lt::tool
