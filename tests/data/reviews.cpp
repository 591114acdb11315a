// The built-in reviews: the same numbers from the same seed on any machine, words that tell good from bad, cut and padded
// as every set of reviews is. The real set's file, whole and damaged in every place, is in imdb.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "data/hash.h"
#include "src/dataset.h"

namespace lt {
namespace {

constexpr uint32_t steps = 150, vocabulary = 30'000, train_count = 25'000, test_count = 5000;

struct Samples {
  uint32_t count = 0;
  std::vector<int32_t> x, labels;
  std::vector<uint32_t> lengths;
};

class SyntheticReviews : public ::testing::Test {
 protected:
  std::unique_ptr<Dataset> open(Split split, uint64_t seed = 1) {
    std::unique_ptr<Dataset> dataset;
    EXPECT_TRUE(ok(format_.open("", split, seed, &dataset))) << last_error();
    return dataset;
  }

  Samples all(Split split) {
    const auto dataset = open(split);
    Samples samples;
    samples.count = static_cast<uint32_t>(dataset->info().count);
    samples.x.resize(size_t{samples.count} * steps);
    samples.labels.resize(samples.count);
    samples.lengths.resize(samples.count);
    std::vector<uint32_t> indices(samples.count);
    for (uint32_t i = 0; i < samples.count; ++i) indices[i] = i;
    EXPECT_TRUE(ok(dataset->read(indices.data(), samples.count, samples.x.data(), samples.labels.data())));
    EXPECT_TRUE(ok(dataset->lengths(indices.data(), samples.count, samples.lengths.data())));
    return samples;
  }

  std::string hash(Split split, uint64_t seed) {
    uint8_t bytes[16];
    EXPECT_TRUE(ok(open(split, seed)->hash(bytes)));
    return data::hash_digits(bytes);
  }

  const DatasetFormat& format_ = *dataset_format("synthetic-reviews");
};

TEST_F(SyntheticReviews, SaysWhatItIs) {
  EXPECT_TRUE(format_.synthetic);
  EXPECT_STREQ(dataset_format("imdb")->stand_in, format_.name);
  const auto dataset = open(Split::train);
  const DatasetInfo& info = dataset->info();
  EXPECT_STREQ(info.name, "synthetic");
  EXPECT_EQ(info.count, train_count);
  EXPECT_EQ(info.classes, 2u);
  EXPECT_EQ(info.vocabulary, vocabulary);
  EXPECT_TRUE((info.extent == Extent{steps, 1, 1}));
  EXPECT_EQ(info.x_dtype, DType::i32);
  EXPECT_EQ(info.sample_bytes(), 600u);
  EXPECT_EQ(open(Split::test)->info().count, test_count);
  const uint32_t past = train_count;
  std::vector<int32_t> x(steps);
  int32_t label;
  uint32_t length;
  EXPECT_EQ(dataset->read(&past, 1, x.data(), &label), Status::argument);
  EXPECT_EQ(dataset->lengths(&past, 1, &length), Status::argument);
}

// Figures of the grammar: they change when it does, and must not with compiler, flags or machine.
TEST_F(SyntheticReviews, AreTheSameEverywhere) {
  EXPECT_EQ(hash(Split::train, 1), "704a32a33e100fabe84bcb4e7cc0d73d");
  EXPECT_EQ(hash(Split::test, 1), "cd60876bb1416d751756ec5d9a002669");
  EXPECT_NE(hash(Split::test, 2), hash(Split::test, 1));
}

TEST_F(SyntheticReviews, AreWordsAndThenZeros) {
  const Samples train = all(Split::train), test = all(Split::test);
  std::set<std::string> seen;
  for (const Samples* samples : {&train, &test}) {
    uint32_t shorter = 0, positive = 0;
    for (uint32_t i = 0; i < samples->count; ++i) {
      const int32_t* const words = &samples->x[size_t{i} * steps];
      const uint32_t length = samples->lengths[i];
      ASSERT_GE(length, 41u);
      ASSERT_LE(length, steps);
      for (uint32_t step = 0; step < steps; ++step) {
        ASSERT_EQ(words[step] == 0, step >= length) << "review " << i << ", step " << step;
        ASSERT_GE(words[step], 0);
        ASSERT_LT(words[step], static_cast<int32_t>(vocabulary));
      }
      // Its beginning is read where it fits.
      ASSERT_TRUE(length == steps || words[0] == 1) << "review " << i;
      shorter += length < steps;
      positive += samples->labels[i] == 1;
      seen.emplace(reinterpret_cast<const char*>(words), steps * sizeof *words);
    }
    EXPECT_NEAR(shorter / static_cast<double>(samples->count), 0.45, 0.05);
    EXPECT_NEAR(positive / static_cast<double>(samples->count), 0.5, 0.04);
  }
  EXPECT_EQ(seen.size(), train_count + test_count);
}

// Products with words that come again in a batch are shared, so that their number is what a step costs.
TEST_F(SyntheticReviews, ABatchHasAsManyDifferentWordsAsOfRealReviews) {
  const Samples train = all(Split::train);
  constexpr uint32_t batch = 64;
  for (uint32_t first = 0; first + batch <= train.count; first += 97 * batch) {
    const auto begin = train.x.begin() + static_cast<ptrdiff_t>(size_t{first} * steps);
    const std::set<int32_t> different(begin, begin + batch * steps);
    EXPECT_NEAR(static_cast<double>(different.size()), 2450, 300) << "from review " << first;
  }
}

// Naive Bayes on the words that are there, order and all else ignored: the set can be learned, and is not done with by
// that.
TEST_F(SyntheticReviews, CountingWordsGoesFarButNotAllTheWay) {
  const Samples train = all(Split::train), test = all(Split::test);
  std::vector<double> counts[2] = {std::vector<double>(vocabulary, 1.0), std::vector<double>(vocabulary, 1.0)};
  double totals[2] = {vocabulary, vocabulary};
  for (uint32_t i = 0; i < train.count; ++i) {
    for (uint32_t step = 0; step < train.lengths[i]; ++step) {
      ++counts[train.labels[i]][static_cast<size_t>(train.x[size_t{i} * steps + step])];
      ++totals[train.labels[i]];
    }
  }
  uint32_t right = 0;
  for (uint32_t i = 0; i < test.count; ++i) {
    double odds = 0;
    for (uint32_t step = 0; step < test.lengths[i]; ++step) {
      const auto word = static_cast<size_t>(test.x[size_t{i} * steps + step]);
      odds += std::log(counts[1][word] / totals[1]) - std::log(counts[0][word] / totals[0]);
    }
    right += (odds > 0) == (test.labels[i] == 1);
  }
  const double accuracy = right / static_cast<double>(test.count);
  EXPECT_GT(accuracy, 0.90);
  EXPECT_LT(accuracy, 0.97);
}

}  // namespace
}  // namespace lt
