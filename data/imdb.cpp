// The film reviews of aclImdb, as numbers of words in the one file that `lean-train data prepare imdb` makes of them. A
// data set owns its mapping of the file. It is a safetensors file (src/base/safetensors.h) with, for SPLIT train and test:
//
//   SPLIT.offsets  I64 [reviews + 1]  where each review begins in SPLIT.words, and the end; the first is 0
//   SPLIT.words    U16 [...]          numbers of words, all reviews unpadded and uncut, each from its 1 (start) on
//   SPLIT.labels   U8  [reviews]      1 positive, 0 negative
//
// and in __metadata__ "format": "lean-train words 1", "vocabulary": numbers are below it, at most 65536, "xxh3_128": the
// hash, in hex digits, of all bytes behind the header, and (not in older files) "vocabulary_hash": that of imdb-words.txt.
#include <charconv>
#include <cstring>
#include <string>

#include "data/folder.h"
#include "data/formats.h"
#include "data/hash.h"
#include "data/reviews.h"
#include "src/base/digest.h"
#include "src/base/safetensors.h"

namespace lt::data {
namespace {

constexpr const char* file_name = "imdb-words.safetensors";
constexpr const char* file_format = "lean-train words 1";
constexpr const char* archive = "aclImdb_v1.tar.gz";
// More than any set of this format has; samples are counted in 32 bits.
constexpr uint64_t reviews_max = 1u << 24;

// Where the file lies under the folder that the user names, the likeliest first.
constexpr const char* subfolders[] = {"", "aclImdb", "imdb", "imdb/aclImdb"};

Status missing(const char* directory) {
  LT_TRY(check_folder(directory, "the reviews", "imdb", file_name));
  for (const char* raw : {"train/pos", archive}) {
    if (const std::string path = find_below(directory, subfolders, raw); !path.empty()) {
      return fail(Status::io, "%s: reviews are there that nobody has prepared; run `lean-train data prepare imdb %s`",
                  path.c_str(), directory);
    }
  }
  return fail(Status::io, "%s: holds no %s, nor does aclImdb in it; fetch it with `lean-train data get imdb`", directory,
              file_name);
}

// All of a file's sentences end alike.
constexpr const char* again = "make it again with `lean-train data prepare imdb`";

Status find_tensor(const SafetensorsReader& reader, const std::string& name, const char* dtype, uint64_t alignment,
                   const SafetensorsEntry** tensor) {
  const char* const path = reader.file().path().c_str();
  *tensor = reader.find(name);
  if (!*tensor) return fail(Status::format, "%s: has no tensor %s; %s", path, name.c_str(), again);
  if ((*tensor)->dtype != dtype || (*tensor)->shape.size() != 1) {
    return fail(Status::format, "%s: %s is %s with %zu dimensions, expected %s with one; %s", path, name.c_str(),
                (*tensor)->dtype.c_str(), (*tensor)->shape.size(), dtype, again);
  }
  if (reinterpret_cast<uintptr_t>((*tensor)->bytes) % alignment != 0) {
    return fail(Status::format, "%s: %s begins at no multiple of %llu bytes; %s", path, name.c_str(),
                static_cast<unsigned long long>(alignment), again);
  }
  return Status::ok;
}

Status check_header(const SafetensorsReader& reader, uint32_t* vocabulary) {
  const char* const path = reader.file().path().c_str();
  const std::string* const format = reader.metadata("format");
  if (!format || *format != file_format) {
    return fail(Status::format, "%s: its format is \"%.40s\", expected \"%s\"; %s", path, format ? format->c_str() : "",
                file_format, again);
  }
  const std::string* const text = reader.metadata("vocabulary");
  const char* const end = text ? text->data() + text->size() : nullptr;
  if (!text || std::from_chars(text->data(), end, *vocabulary).ptr != end || *vocabulary <= review_first_word ||
      *vocabulary > 65536) {
    return fail(Status::format, "%s: its vocabulary is \"%.40s\", expected %u to 65536; %s", path,
                text ? text->c_str() : "", review_first_word + 1u, again);
  }
  const std::string* const hash = reader.metadata("vocabulary_hash");
  if (hash && (hash->size() != digest_digits || hash->find_first_not_of("0123456789abcdef") != std::string::npos)) {
    return fail(Status::format, "%s: its vocabulary_hash is \"%.40s\", expected %zu hex digits; %s", path, hash->c_str(),
                digest_digits, again);
  }
  return Status::ok;
}

Status check_hash(const SafetensorsReader& reader) {
  const MappedFile& file = reader.file();
  uint64_t header_bytes;
  std::memcpy(&header_bytes, file.bytes(), sizeof header_bytes);
  const HashedPart behind_header = {file.bytes() + 8 + header_bytes, file.size() - 8 - header_bytes};
  uint8_t hash[16];
  hash_parts({&behind_header, 1}, hash);
  const std::string found = hash_digits(hash);
  const std::string* const expected = reader.metadata("xxh3_128");
  if (expected && *expected == found) return Status::ok;
  return fail(Status::format, "%s: XXH3-128 %s of its numbers, expected %.40s: damaged; %s", file.path().c_str(),
              found.c_str(), expected ? expected->c_str() : "none", again);
}

Status check_split(const SafetensorsReader& reader, const std::string& split, uint32_t vocabulary, ReviewArrays* arrays) {
  const char* const path = reader.file().path().c_str();
  const SafetensorsEntry *offsets, *words, *labels;
  LT_TRY(find_tensor(reader, split + ".offsets", "I64", alignof(int64_t), &offsets));
  LT_TRY(find_tensor(reader, split + ".words", "U16", alignof(uint16_t), &words));
  LT_TRY(find_tensor(reader, split + ".labels", "U8", 1, &labels));
  const uint64_t count = labels->shape[0], word_count = words->shape[0];
  if (count == 0 || count > reviews_max || offsets->shape[0] != count + 1) {
    return fail(Status::format, "%s: %s has %llu labels and %llu offsets, expected 1 to %llu and one more; %s", path,
                split.c_str(), static_cast<unsigned long long>(count), static_cast<unsigned long long>(offsets->shape[0]),
                static_cast<unsigned long long>(reviews_max), again);
  }
  *arrays = {reinterpret_cast<const int64_t*>(offsets->bytes), reinterpret_cast<const uint16_t*>(words->bytes),
             labels->bytes, count};
  int64_t before = 0;
  for (uint64_t i = 0; i <= count; ++i) {
    const int64_t offset = arrays->offsets[i];
    if (i == 0 ? offset != 0 : offset < before || static_cast<uint64_t>(offset) > word_count) {
      return fail(Status::format, "%s: %s.offsets[%llu] is %lld, expected %lld to %llu; %s", path, split.c_str(),
                  static_cast<unsigned long long>(i), static_cast<long long>(offset), static_cast<long long>(before),
                  static_cast<unsigned long long>(i == 0 ? 0 : word_count), again);
    }
    before = offset;
  }
  if (static_cast<uint64_t>(before) != word_count) {
    return fail(Status::format, "%s: %s.offsets end at %lld, there are %llu words; %s", path, split.c_str(),
                static_cast<long long>(before), static_cast<unsigned long long>(word_count), again);
  }
  for (uint64_t i = 0; i < word_count; ++i) {
    if (arrays->words[i] >= vocabulary) {
      return fail(Status::format, "%s: %s.words[%llu] is %u, expected less than %u; %s", path, split.c_str(),
                  static_cast<unsigned long long>(i), arrays->words[i], vocabulary, again);
    }
  }
  for (uint64_t i = 0; i < count; ++i) {
    if (arrays->labels[i] > 1) {
      return fail(Status::format, "%s: %s.labels[%llu] is %u, expected 0 or 1; %s", path, split.c_str(),
                  static_cast<unsigned long long>(i), arrays->labels[i], again);
    }
  }
  return Status::ok;
}

class Imdb final : public ReviewDataset {
 public:
  Imdb(SafetensorsReader reader, uint32_t vocabulary, const ReviewArrays& arrays) : reader_(std::move(reader)) {
    set("imdb", reader_.file().path().c_str(), vocabulary, arrays);
    if (const std::string* hash = reader_.metadata("vocabulary_hash")) set_vocabulary_hash(hash->c_str());
    reader_.file().advise_all_needed();
  }

 private:
  // 0.2 us: a file that was cut meanwhile is an error, not a bus error.
  Status check_bytes() const override { return reader_.file().check_size(); }

  SafetensorsReader reader_;
};

bool found(const char* directory) {
  for (const char* name : {file_name, "train/pos", archive})
    if (!find_below(directory, subfolders, name).empty()) return true;
  return false;
}

Status open(const char* directory, Split split, uint64_t, std::unique_ptr<Dataset>* dataset) {
  const std::string path = find_below(directory, subfolders, file_name);
  if (path.empty()) return missing(directory);
  SafetensorsReader reader;
  LT_TRY(SafetensorsReader::open(path.c_str(), &reader));
  uint32_t vocabulary = 0;
  LT_TRY(check_header(reader, &vocabulary));
  LT_TRY(check_hash(reader));
  ReviewArrays arrays;
  LT_TRY(check_split(reader, split == Split::train ? "train" : "test", vocabulary, &arrays));
  *dataset = std::make_unique<Imdb>(std::move(reader), vocabulary, arrays);
  return Status::ok;
}

}  // namespace

const DatasetFormat imdb = {"imdb", "IMDB film reviews (aclImdb)", false, "synthetic-reviews", "aclImdb", found, open};

}  // namespace lt::data
