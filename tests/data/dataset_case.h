// A test of one data format: a folder of its own, its opening, and what is said where it is refused.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "src/dataset.h"
#include "tests/data/temporary_folder.h"

namespace lt::tests {

class DatasetCase : public ::testing::Test {
 protected:
  explicit DatasetCase(const char* format) : format_(*dataset_format(format)) {}

  Status open(Split split = Split::train) { return open(folder_.path(), split); }
  Status open(const std::string& directory, Split split = Split::train) {
    return format_.open(directory.c_str(), split, 1, &dataset_);
  }

  // The split's opening fails with this status and one line that says all of these words.
  void refused(Status status, const std::vector<std::string>& words, Split split = Split::train) {
    dataset_.reset();
    EXPECT_EQ(open(split), status);
    EXPECT_EQ(dataset_, nullptr);
    const std::string text = last_error();
    for (const std::string& word : words) EXPECT_NE(text.find(word), std::string::npos) << "'" << word << "' in: " << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
  // ... and names this file.
  void refused(Status status, const std::string& path, std::vector<std::string> words) {
    words.push_back(path);
    refused(status, words);
  }

  const DatasetFormat& format_;
  TemporaryFolder folder_;
  std::unique_ptr<Dataset> dataset_;
};

}  // namespace lt::tests
