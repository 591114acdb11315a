// Turns reviews into numbers and keeps them in two files: FOLDER/imdb-words.safetensors, which the data set "imdb" maps,
// and FOLDER/imdb-words.txt, the vocabulary for people. One thread at a time.
//
// Numbers are those of Keras: words are ranked by how often the set to train on has them, equals in the order of their
// first appearance; number = rank + 3, the most frequent word's rank being 1. 0 is padding, 1 stands before each review,
// 2 for words of number 30,000 or more and for words of the test set that the other has not.
//
// The safetensors file holds, for SPLIT train and test,
//   SPLIT.offsets  I64 [reviews + 1]  where each review begins in SPLIT.words, and the end
//   SPLIT.words    U16 [...]          all reviews, each from its 1 on, unpadded and uncut
//   SPLIT.labels   U8  [reviews]      1 positive, 0 negative
// and in __metadata__ "format": "lean-train words 1", "vocabulary": "30000" (numbers are below it), "words": how many
// different ones there were, "xxh3_128": the hash, in hex digits, of all bytes behind the header, "vocabulary_hash": the
// same hash of the text file's bytes, by which a model finds out whether it is asked in the words that it learned. In
// Python:
//
//   from safetensors.numpy import load_file
//   a = load_file("imdb-words.safetensors"); begin, end = a["train.offsets"][7:9]; review = a["train.words"][begin:end]
//
// Line n of the text file has the word of rank n, a tab, and its count; lines end with a newline and nothing else does
// (words may hold other characters that Python's str.splitlines splits at).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/data_download.h"
#include "tools/review_files.h"

namespace lt::tool {

inline constexpr const char* review_words_name = "imdb-words.safetensors";
inline constexpr const char* review_vocabulary_name = "imdb-words.txt";
inline constexpr uint32_t review_vocabulary = 30'000;

struct ReviewWords {
  uint64_t reviews = 0, words = 0, different = 0;  // `different`: in the set to train on
  uint64_t replaced = 0;                           // places that are no UTF-8, read as U+FFFD
};

// What a vocabulary is known by: 32 hex digits of the XXH3-128 of its text file's bytes.
std::string vocabulary_digits(std::string_view text);

// `reviews` as list_reviews and unpack_reviews order them; their texts are gone afterwards. Both files appear whole, the
// vocabulary first. progress is told how many reviews are done.
Fetched write_review_words(std::vector<Review>* reviews, const std::string& folder,
                           const std::function<void(uint64_t done)>& progress, ReviewWords* written);

}  // namespace lt::tool
