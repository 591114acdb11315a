// The film reviews of aclImdb, one file each: in the publishers' folder, or in their archive.
//
//   aclImdb/{train,test}/{pos,neg}/NUMBER_RATING.txt        (train/unsup and all else is passed over)
//
// Nothing here is bounded by what a file or archive claims, but by the constants of review_files.cpp. One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/data_download.h"

namespace lt::tool {

struct Review {
  bool test, positive;
  uint32_t number;
  std::string name;  // of its file, with the path of the folder or archive in front
  bool unpacked;     // `text` is there, out of an archive; a folder's reviews are read one by one
  std::string text;
};

// True where `folder` holds train/pos.
bool holds_reviews(const std::string& folder);

// Both in the order of training: the set to train on before the one to test with, positive ones first, then by number.
// All four of a set's parts have to be there.
Fetched list_reviews(const std::string& folder, std::vector<Review>* reviews);
Fetched unpack_reviews(const std::string& archive, std::vector<Review>* reviews);

// The text of a review that was listed, or, once, of one that was unpacked.
Fetched read_review(Review* review, std::string* text);

}  // namespace lt::tool
