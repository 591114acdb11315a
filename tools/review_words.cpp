// Counting, ranking, numbering and writing: see review_words.h, which describes the files.
#include "tools/review_words.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <string_view>
#include <unordered_map>

#include "src/base/digest.h"
#include "tools/keras_words.h"
#include "tools/replacement.h"

namespace lt::tool {

namespace {

std::string digits_of(const Digest& digest) {
  uint8_t bytes[16];
  digest.finish(bytes);
  std::string digits(digest_digits, '0');
  digest_text(bytes, digits.data());
  return digits;
}

}  // namespace

std::string vocabulary_digits(std::string_view text) {
  Digest digest;
  digest.update(text.data(), text.size());
  return digits_of(digest);
}

namespace {

constexpr uint32_t start_of_review = 1, out_of_vocabulary = 2, first_rank = 4;
constexpr uint64_t words_max = uint64_t{1} << 31;  // of all reviews

struct Hash {
  using is_transparent = void;
  size_t operator()(std::string_view word) const { return std::hash<std::string_view>()(word); }
};

// The words of the set to train on in the order of their first appearance, each with its count, then ranked.
class Vocabulary {
 public:
  uint32_t count(std::string_view word) {
    auto at = identities_.find(word);
    if (at == identities_.end()) {
      at = identities_.emplace(word, static_cast<uint32_t>(words_.size())).first;
      words_.push_back({&at->first, 0});
    }
    ++words_[at->second].count;
    return at->second;
  }

  void rank() {
    order_.resize(words_.size());
    std::iota(order_.begin(), order_.end(), 0u);
    std::stable_sort(order_.begin(), order_.end(),
                     [this](uint32_t a, uint32_t b) { return words_[a].count > words_[b].count; });
    numbers_.assign(words_.size(), out_of_vocabulary);
    for (uint32_t i = 0; i < order_.size() && i + first_rank < review_vocabulary; ++i)
      numbers_[order_[i]] = static_cast<uint16_t>(i + first_rank);
  }

  uint16_t number(uint32_t identity) const { return numbers_[identity]; }
  uint16_t number(std::string_view word) const {
    const auto at = identities_.find(word);
    return at == identities_.end() ? uint16_t{out_of_vocabulary} : numbers_[at->second];
  }
  size_t size() const { return words_.size(); }

  // `digits`: of the file's hash.
  Fetched write(const std::string& path, std::string* digits) const {
    Replacement file(path);
    std::string lines;
    for (const uint32_t identity : order_)
      lines += *words_[identity].word + "\t" + std::to_string(words_[identity].count) + "\n";
    *digits = vocabulary_digits(lines);
    file.write(reinterpret_cast<const uint8_t*>(lines.data()), lines.size());
    if (!file.good() || !file.commit()) return file.failed();
    return {};
  }

 private:
  struct Word {
    const std::string* word;  // a key of identities_, which do not move
    uint64_t count;
  };
  std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>> identities_;
  std::vector<Word> words_;
  std::vector<uint32_t> order_;    // identities by rank
  std::vector<uint16_t> numbers_;  // by identity
};

struct SplitWords {
  std::vector<int64_t> offsets = {0};
  std::vector<uint16_t> words;
  std::vector<uint8_t> labels;

  void end_review(bool positive, size_t word_count) {
    offsets.push_back(static_cast<int64_t>(word_count));
    labels.push_back(positive);
  }
};

struct Tensor {
  const char *name, *dtype;
  const void* bytes;
  size_t count, element_bytes;
};

Fetched write_words(const SplitWords (&splits)[2], size_t different, const std::string& vocabulary_hash,
                    const std::string& path) {
  // By falling alignment: each tensor begins at a multiple of its elements' size.
  const auto& [train, test] = splits;
  const Tensor tensors[] = {{"train.offsets", "I64", train.offsets.data(), train.offsets.size(), 8},
                            {"test.offsets", "I64", test.offsets.data(), test.offsets.size(), 8},
                            {"train.words", "U16", train.words.data(), train.words.size(), 2},
                            {"test.words", "U16", test.words.data(), test.words.size(), 2},
                            {"train.labels", "U8", train.labels.data(), train.labels.size(), 1},
                            {"test.labels", "U8", test.labels.data(), test.labels.size(), 1}};
  Digest digest;
  for (const Tensor& tensor : tensors) digest.update(tensor.bytes, tensor.count * tensor.element_bytes);
  char text[256];
  std::snprintf(text, sizeof text,
                "{\"__metadata__\":{\"format\":\"lean-train words 1\",\"vocabulary\":\"%u\",\"words\":\"%zu\","
                "\"xxh3_128\":\"%s\",\"vocabulary_hash\":\"%s\"}",
                review_vocabulary, different, digits_of(digest).c_str(), vocabulary_hash.c_str());
  std::string header = text;
  size_t at = 0;
  for (const Tensor& tensor : tensors) {
    const size_t bytes = tensor.count * tensor.element_bytes;
    std::snprintf(text, sizeof text, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}", tensor.name,
                  tensor.dtype, tensor.count, at, at + bytes);
    header += text;
    at += bytes;
  }
  header += "}";
  header.resize((8 + header.size() + 63) / 64 * 64 - 8, ' ');
  uint8_t length[8];
  for (int i = 0; i < 8; ++i) length[i] = static_cast<uint8_t>(uint64_t{header.size()} >> 8 * i);

  Replacement file(path);
  file.write(length, sizeof length);
  file.write(reinterpret_cast<const uint8_t*>(header.data()), header.size());
  for (const Tensor& tensor : tensors)
    file.write(static_cast<const uint8_t*>(tensor.bytes), tensor.count * tensor.element_bytes);
  if (!file.good() || !file.commit()) return file.failed();
  return {};
}

}  // namespace

Fetched write_review_words(std::vector<Review>* reviews, const std::string& folder,
                           const std::function<void(uint64_t done)>& progress, ReviewWords* written) {
  KerasWords splitter;
  Vocabulary vocabulary;
  SplitWords splits[2];
  std::vector<uint32_t> identities;  // of all words of the set to train on
  *written = {};
  std::string text;
  const auto rank = [&] {
    vocabulary.rank();
    SplitWords& train = splits[0];
    train.words.reserve(identities.size());
    for (const uint32_t identity : identities)
      train.words.push_back(identity == UINT32_MAX ? uint16_t{start_of_review} : vocabulary.number(identity));
    identities = {};
  };
  bool ranked = false;
  for (Review& review : *reviews) {
    if (Fetched result = read_review(&review, &text); result.result != Fetched::ok) return result;
    const std::vector<std::string_view>& words = splitter.split(text);
    if (review.test && !ranked) rank(), ranked = true;
    SplitWords& split = splits[review.test];
    if (review.test) {
      split.words.push_back(start_of_review);
      for (const std::string_view word : words) split.words.push_back(vocabulary.number(word));
      split.end_review(review.positive, split.words.size());
    } else {
      identities.push_back(UINT32_MAX);
      for (const std::string_view word : words) identities.push_back(vocabulary.count(word));
      split.end_review(review.positive, identities.size());
    }
    written->words += words.size();
    if (written->words > words_max)
      return {Fetched::wrong_bytes, review.name + ": more than " + std::to_string(words_max) + " words up to here"};
    progress(++written->reviews);
  }
  if (!ranked) rank();
  written->different = vocabulary.size();
  written->replaced = splitter.replaced();
  std::string digits;
  if (Fetched result = vocabulary.write(folder + "/" + review_vocabulary_name, &digits); result.result != Fetched::ok)
    return result;
  return write_words(splits, vocabulary.size(), digits, folder + "/" + review_words_name);
}

}  // namespace lt::tool
