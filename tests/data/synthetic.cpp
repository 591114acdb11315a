// The built-in pictures: the same bytes from the same seed on any machine, other ones for the other split and another seed,
// and neither trivial nor hopeless.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "data/hash.h"
#include "src/dataset.h"

namespace lt {
namespace {

constexpr uint32_t train_count = 8000, test_count = 2000, classes = 10;

// Figures of the drawing programs: they change when those do, and must not with compiler, flags or machine.
struct Expected {
  const char *name, *stands_in_for;
  Extent extent;
  const char *train_hash, *test_hash;
  double least_by_means, most_by_means;  // test accuracy of the nearest mean picture
  friend std::ostream& operator<<(std::ostream& out, const Expected& expected) { return out << expected.name; }
};

constexpr Expected sets[] = {
    {"synthetic-digits",
     "mnist",
     {28, 28, 1},
     "de6d37e84e1dc429d393d8c33ddb9236",
     "faa041ac3aaeda0e82a2a6c56391785d",
     0.4,
     0.85},
    {"synthetic-images",
     "cifar10",
     {32, 32, 3},
     "1b9098bb9ecf5177f342e1ba99a69d19",
     "6199ac04d3fed5772b1b733aee09c5fb",
     0.3,
     0.75},
};

struct Samples {
  uint32_t count;
  std::vector<uint8_t> x;
  std::vector<int32_t> labels;
};

class Synthetic : public ::testing::TestWithParam<Expected> {
 protected:
  std::unique_ptr<Dataset> open(Split split, uint64_t seed) {
    std::unique_ptr<Dataset> dataset;
    EXPECT_TRUE(ok(format_.open("", split, seed, &dataset))) << last_error();
    return dataset;
  }

  Samples all(Split split, uint64_t seed) {
    const auto dataset = open(split, seed);
    const auto count = static_cast<uint32_t>(dataset->info().count);
    Samples samples{count, std::vector<uint8_t>(size_t{count} * bytes_), std::vector<int32_t>(count)};
    std::vector<uint32_t> indices(count);
    for (uint32_t i = 0; i < count; ++i) indices[i] = i;
    EXPECT_TRUE(ok(dataset->read(indices.data(), count, samples.x.data(), samples.labels.data())));
    return samples;
  }

  std::string hash(Split split, uint64_t seed) {
    uint8_t bytes[16];
    EXPECT_TRUE(ok(open(split, seed)->hash(bytes)));
    return data::hash_digits(bytes);
  }

  const Expected& expected_ = GetParam();
  const DatasetFormat& format_ = *dataset_format(expected_.name);
  const uint64_t bytes_ = expected_.extent.elements();
};

TEST_P(Synthetic, SaysWhatItIs) {
  EXPECT_TRUE(format_.synthetic);
  EXPECT_STREQ(dataset_format(expected_.stands_in_for)->stand_in, format_.name);
  EXPECT_EQ(dataset_format("no-such"), nullptr);
  const auto dataset = open(Split::train, 1);
  EXPECT_STREQ(dataset->info().name, "synthetic");
  EXPECT_EQ(dataset->info().count, train_count);
  EXPECT_EQ(dataset->info().classes, classes);
  EXPECT_TRUE(dataset->info().extent == expected_.extent);
  EXPECT_EQ(open(Split::test, 1)->info().count, test_count);
  const uint32_t past = train_count;
  std::vector<uint8_t> x(bytes_);
  int32_t label;
  EXPECT_EQ(dataset->read(&past, 1, x.data(), &label), Status::argument);
}

TEST_P(Synthetic, IsTheSameEverywhere) {
  EXPECT_EQ(hash(Split::train, 1), expected_.train_hash);
  EXPECT_EQ(hash(Split::test, 1), expected_.test_hash);
  EXPECT_NE(hash(Split::test, 2), hash(Split::test, 1));
}

TEST_P(Synthetic, IsSeenWhereItLies) {
  const auto dataset = open(Split::test, 1);
  const Samples samples = all(Split::test, 1);
  const void* place = nullptr;
  std::vector<int32_t> labels(3);
  ASSERT_TRUE(ok(dataset->view(samples.count - 3, 3, &place, labels.data()))) << last_error();
  EXPECT_EQ(std::memcmp(place, &samples.x[(samples.count - 3) * bytes_], 3 * bytes_), 0);
  EXPECT_TRUE(std::equal(labels.begin(), labels.end(), samples.labels.end() - 3));
  EXPECT_EQ(dataset->view(samples.count - 2, 3, &place, labels.data()), Status::argument);
}

TEST_P(Synthetic, NoPictureComesTwice) {
  const Samples train = all(Split::train, 1), test = all(Split::test, 1);
  std::set<std::string> seen;
  for (const Samples* samples : {&train, &test}) {
    for (uint32_t i = 0; i < samples->count; ++i) {
      seen.emplace(reinterpret_cast<const char*>(&samples->x[i * bytes_]), bytes_);
    }
  }
  EXPECT_EQ(seen.size(), train_count + test_count);
}

TEST_P(Synthetic, AllClassesAreThereAlikeOften) {
  const Samples train = all(Split::train, 1);
  uint32_t counts[classes] = {};
  for (uint32_t i = 0; i < train.count; ++i) {
    ASSERT_GE(train.labels[i], 0);
    ASSERT_LT(train.labels[i], static_cast<int32_t>(classes));
    ++counts[train.labels[i]];
  }
  for (const uint32_t count : counts) EXPECT_NEAR(count, 800, 120);
}

// The mean picture of each class tells most of them apart, but far from all: 10 % would be guessing, and a set that this
// solves would show nothing about a network.
TEST_P(Synthetic, IsNeitherTrivialNorHopeless) {
  const Samples train = all(Split::train, 1), test = all(Split::test, 1);
  std::vector<double> means(classes * bytes_, 0.0);
  uint32_t counts[classes] = {};
  for (uint32_t i = 0; i < train.count; ++i) {
    const auto label = static_cast<uint32_t>(train.labels[i]);
    ++counts[label];
    for (uint64_t p = 0; p < bytes_; ++p) means[label * bytes_ + p] += train.x[i * bytes_ + p];
  }
  for (uint32_t d = 0; d < classes; ++d) {
    for (uint64_t p = 0; p < bytes_; ++p) means[d * bytes_ + p] /= counts[d];
  }
  uint32_t right = 0;
  for (uint32_t i = 0; i < test.count; ++i) {
    uint32_t best = 0;
    double least = 1e300;
    for (uint32_t d = 0; d < classes; ++d) {
      double distance = 0;
      for (uint64_t p = 0; p < bytes_; ++p) {
        const double difference = test.x[i * bytes_ + p] - means[d * bytes_ + p];
        distance += difference * difference;
      }
      if (distance < least) least = distance, best = d;
    }
    right += best == static_cast<uint32_t>(test.labels[i]);
  }
  const double accuracy = right / static_cast<double>(test_count);
  EXPECT_GT(accuracy, expected_.least_by_means);
  EXPECT_LT(accuracy, expected_.most_by_means);
}

INSTANTIATE_TEST_SUITE_P(Sets, Synthetic, ::testing::ValuesIn(sets));

// Ink enough to see, and paper around it.
TEST(SyntheticDigits, AreVisible) {
  std::unique_ptr<Dataset> dataset;
  ASSERT_TRUE(ok(dataset_format("synthetic-digits")->open("", Split::train, 1, &dataset)));
  std::vector<uint8_t> x(784);
  for (uint32_t i = 0; i < train_count; ++i) {
    int32_t label;
    ASSERT_TRUE(ok(dataset->read(&i, 1, x.data(), &label)));
    uint32_t bright = 0;
    for (const uint8_t value : x) bright += value > 100;
    EXPECT_GE(bright, 12u) << "sample " << i << " of digit " << label;
    EXPECT_LE(bright, 400u) << "sample " << i << " of digit " << label;
  }
}

// Colour and contrast: the three channels differ, and no picture is a plain surface or lost at the ends of the scale.
TEST(SyntheticImages, AreColoured) {
  std::unique_ptr<Dataset> dataset;
  ASSERT_TRUE(ok(dataset_format("synthetic-images")->open("", Split::train, 1, &dataset)));
  std::vector<uint8_t> x(3072);
  uint32_t coloured = 0;
  for (uint32_t i = 0; i < train_count; ++i) {
    int32_t label;
    ASSERT_TRUE(ok(dataset->read(&i, 1, x.data(), &label)));
    double sum = 0, squares = 0, apart = 0;
    for (uint32_t p = 0; p < 3072; ++p) sum += x[p], squares += static_cast<double>(x[p]) * x[p];
    for (uint32_t p = 0; p < 1024; ++p) apart += std::abs(x[p] - x[p + 2048]);
    const double mean = sum / 3072;
    EXPECT_GT(squares / 3072 - mean * mean, 15.0 * 15) << "sample " << i << " of class " << label;
    coloured += apart / 1024 > 10;
  }
  EXPECT_GT(coloured, train_count * 8 / 10);
}

}  // namespace
}  // namespace lt
