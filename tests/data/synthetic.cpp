// The built-in digits: the same bytes from the same seed on any machine, other ones for the other split and another seed,
// and neither trivial nor hopeless.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "src/dataset.h"

namespace lt {
namespace {

constexpr uint32_t pixels = 784;

struct Samples {
  uint32_t count;
  std::vector<uint8_t> x;
  std::vector<int32_t> labels;
};

std::unique_ptr<Dataset> open(Split split, uint64_t seed) {
  std::unique_ptr<Dataset> dataset;
  EXPECT_TRUE(ok(dataset_format("synthetic-digits")->open("", split, seed, &dataset))) << last_error();
  return dataset;
}

Samples all(Split split, uint64_t seed) {
  const auto dataset = open(split, seed);
  const auto count = static_cast<uint32_t>(dataset->info().count);
  Samples samples{count, std::vector<uint8_t>(size_t{count} * pixels), std::vector<int32_t>(count)};
  std::vector<uint32_t> indices(count);
  for (uint32_t i = 0; i < count; ++i) indices[i] = i;
  EXPECT_TRUE(ok(dataset->read(indices.data(), count, samples.x.data(), samples.labels.data())));
  return samples;
}

std::string hash(Split split, uint64_t seed) {
  uint8_t bytes[16];
  EXPECT_TRUE(ok(open(split, seed)->hash(bytes)));
  std::string text;
  for (const uint8_t byte : bytes) {
    constexpr char digits[] = "0123456789abcdef";
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

TEST(SyntheticDigits, SaysWhatItIs) {
  const DatasetFormat* format = dataset_format("synthetic-digits");
  ASSERT_NE(format, nullptr);
  EXPECT_TRUE(format->synthetic);
  EXPECT_STREQ(dataset_format("mnist")->stand_in, format->name);
  EXPECT_EQ(dataset_format("no-such"), nullptr);
  const auto dataset = open(Split::train, 1);
  EXPECT_STREQ(dataset->info().name, "synthetic");
  EXPECT_EQ(dataset->info().count, 8000u);
  EXPECT_EQ(dataset->info().classes, 10u);
  EXPECT_TRUE((dataset->info().extent == Extent{28, 28, 1}));
  EXPECT_EQ(open(Split::test, 1)->info().count, 2000u);
  const uint32_t past = 8000;
  uint8_t x[pixels];
  int32_t label;
  EXPECT_EQ(dataset->read(&past, 1, x, &label), Status::argument);
}

// Figures of this drawing program: they change when it does, and must not with compiler, flags or machine.
TEST(SyntheticDigits, IsTheSameEverywhere) {
  EXPECT_EQ(hash(Split::train, 1), "de6d37e84e1dc429d393d8c33ddb9236");
  EXPECT_EQ(hash(Split::test, 1), "faa041ac3aaeda0e82a2a6c56391785d");
  EXPECT_NE(hash(Split::test, 2), hash(Split::test, 1));
}

TEST(SyntheticDigits, NoPictureComesTwice) {
  const Samples train = all(Split::train, 1), test = all(Split::test, 1);
  std::set<std::string> seen;
  for (const Samples* samples : {&train, &test}) {
    for (uint32_t i = 0; i < samples->count; ++i) {
      seen.emplace(reinterpret_cast<const char*>(&samples->x[size_t{i} * pixels]), pixels);
    }
  }
  EXPECT_EQ(seen.size(), 10000u);
}

TEST(SyntheticDigits, AllDigitsAreThereAlikeOftenAndVisible) {
  const Samples train = all(Split::train, 1);
  uint32_t counts[10] = {};
  for (uint32_t i = 0; i < train.count; ++i) {
    ASSERT_GE(train.labels[i], 0);
    ASSERT_LT(train.labels[i], 10);
    ++counts[train.labels[i]];
    uint32_t bright = 0;
    for (uint32_t p = 0; p < pixels; ++p) bright += train.x[size_t{i} * pixels + p] > 100;
    EXPECT_GE(bright, 12u) << "sample " << i << " of digit " << train.labels[i];
    EXPECT_LE(bright, 400u) << "sample " << i << " of digit " << train.labels[i];
  }
  for (const uint32_t count : counts) EXPECT_NEAR(count, 800, 120);
}

// The mean picture of each digit tells most of them apart, but far from all: 10 % would be guessing, and a set that this
// solves would show nothing about a network.
TEST(SyntheticDigits, IsNeitherTrivialNorHopeless) {
  const Samples train = all(Split::train, 1), test = all(Split::test, 1);
  std::vector<double> means(10 * pixels, 0.0);
  uint32_t counts[10] = {};
  for (uint32_t i = 0; i < train.count; ++i) {
    ++counts[train.labels[i]];
    for (uint32_t p = 0; p < pixels; ++p)
      means[static_cast<uint32_t>(train.labels[i]) * pixels + p] += train.x[size_t{i} * pixels + p];
  }
  for (uint32_t d = 0; d < 10; ++d) {
    for (uint32_t p = 0; p < pixels; ++p) means[d * pixels + p] /= counts[d];
  }
  uint32_t right = 0;
  for (uint32_t i = 0; i < test.count; ++i) {
    uint32_t best = 0;
    double least = 1e300;
    for (uint32_t d = 0; d < 10; ++d) {
      double distance = 0;
      for (uint32_t p = 0; p < pixels; ++p) {
        const double difference = test.x[size_t{i} * pixels + p] - means[d * pixels + p];
        distance += difference * difference;
      }
      if (distance < least) least = distance, best = d;
    }
    right += best == static_cast<uint32_t>(test.labels[i]);
  }
  const double accuracy = right / 2000.0;
  EXPECT_GT(accuracy, 0.4);
  EXPECT_LT(accuracy, 0.85);
}

}  // namespace
}  // namespace lt
