// NumPy's RandomState and the batch that is drawn by it, against numbers that NumPy 2.4.6 gave.
#include <gtest/gtest.h>
#include <sha2.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/numpy_random.h"
#include "data/toy_batch.h"
#include "src/dataset.h"

namespace lt::data {
namespace {

// In the order of drawing: randint(0, 2**32, 4), uniform(-1, 1, 4), randint(0, 24, 12), randint(1, 58, 12),
// randint(-5, -4, 2), randint(0, 2**31 + 7, 3), uniform(0.25, 10, 2).
struct Expected {
  uint32_t seed;
  std::vector<int64_t> whole;
  std::vector<double> uniform;
  std::vector<int64_t> below_24, below_58, wide;
  std::vector<double> other_uniform;
};

const Expected streams[] = {
    {0,
     {2357136044, 2546248239, 3071714933, 3626093760},
     {0x1.a4eb35b744a58p-3, 0x1.6faedb6395f50p-4, -0x1.38b5bec0bc428p-3, 0x1.2aca886266d6cp-2},
     {4, 23, 6, 12, 1, 6, 7, 23, 14, 17, 5, 13},
     {9, 10, 21, 52, 17, 52, 6, 16, 48, 1, 19, 36},
     {1982038771, 507984782, 615697673},
     {0x1.5f52262faf261p+2, 0x1.e9604b56b4447p+2}},
    {11,
     {774252441, 293375679, 83645520, 2854952027},
     {-0x1.2d50573939c20p-4, 0x1.ccaa28ed20e14p-2, -0x1.46d895ca267b8p-3, -0x1.dd865c637b100p-6},
     {13, 16, 0, 13, 12, 4, 2, 12, 1, 10, 5, 21},
     {40, 21, 18, 28, 25, 57, 18, 4, 7, 44, 51, 51},
     {108015296, 1764854807, 1480150939},
     {0x1.0cbfbd09bb8c8p+1, 0x1.1e9a8c456b4d8p+1}},
    {4294967295,
     {419326371, 479346978, 3918654476, 2416749639},
     {0x1.27f8dec35e7f2p-1, 0x1.1eb94362a380ep-1, -0x1.eda138dbb4408p-1, 0x1.e0c629c08fb92p-1},
     {18, 11, 11, 10, 13, 22, 23, 23, 22, 14, 5, 9},
     {10, 26, 45, 37, 49, 56, 25, 23, 18, 53, 13, 27},
     {1061213571, 1603929723, 134358845},
     {0x1.139011fdaf688p+1, 0x1.436ea06be857fp+2}},
};

TEST(NumpyRandom, GivesWhatNumPyGives) {
  for (const Expected& expected : streams) {
    NumpyRandom random(expected.seed);
    for (const int64_t value : expected.whole) EXPECT_EQ(random.randint(0, int64_t{1} << 32), value);
    for (const double value : expected.uniform) EXPECT_EQ(random.uniform(-1, 1), value);
    for (const int64_t value : expected.below_24) EXPECT_EQ(random.randint(0, 24), value);
    for (const int64_t value : expected.below_58) EXPECT_EQ(random.randint(1, 58), value);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(random.randint(-5, -4), -5);
    for (const int64_t value : expected.wide) EXPECT_EQ(random.randint(0, (int64_t{1} << 31) + 7), value);
    for (const double value : expected.other_uniform) EXPECT_EQ(random.uniform(0.25, 10), value);
  }
}

// Past the first refill of the generator's 624 words.
TEST(NumpyRandom, GoesOn) {
  NumpyRandom random(11);
  for (int i = 0; i < 700; ++i) random.uniform(0, 1);
  for (const int64_t value : {1926994734, 471813419}) EXPECT_EQ(random.randint(0, int64_t{1} << 32), value);
  EXPECT_EQ(random.randint(0, int64_t{1} << 32), 2909718386);
}

template <class T>
std::string sha256(const std::vector<T>& numbers) {
  char digits[SHA256_DIGEST_STRING_LENGTH];
  return SHA256Data(reinterpret_cast<const uint8_t*>(numbers.data()), numbers.size() * sizeof(T), digits);
}

TEST(ToyBatch, IsNumPysBatch) {
  const ToyBatch classes = make_toy_batch(ToyLabels::classes), ctc = make_toy_batch(ToyLabels::ctc);
  constexpr const char* x_sha256 = "8b642bcbb0c385cf38b7bf885b0cb0fdcc129b4afffaa518ebf9592066efd36f";
  EXPECT_EQ(sha256(classes.x), x_sha256);
  EXPECT_EQ(sha256(ctc.x), x_sha256);
  EXPECT_EQ(classes.labels,
            (std::vector<int32_t>{18, 3, 17, 9, 3, 7, 16, 6, 1, 8, 7, 10, 5, 1, 21, 16, 17, 18, 6, 21, 2, 16, 11, 2, 20}));
  EXPECT_EQ(ctc.labels.size(), 2500u);
  EXPECT_EQ(sha256(ctc.labels), "2a21f467a2825df4b7dbe7475bee4444f495cff3f38fbef4e60353cf2dbfccfa");
  const std::vector<uint32_t> lengths = {500, 520, 541, 562, 583, 604, 625, 645, 666, 687, 708, 729, 750,
                                         770, 791, 812, 833, 854, 875, 895, 916, 937, 958, 979, 1000};
  for (uint32_t i = 0; i < toy_samples; ++i) EXPECT_EQ(toy_ctc_length(i), lengths[i]);
}

TEST(ToyBatch, IsADataSet) {
  std::unique_ptr<Dataset> dataset;
  ASSERT_TRUE(ok(dataset_format("toy-sequences")->open("", Split::train, 1, &dataset))) << last_error();
  const DatasetInfo& info = dataset->info();
  EXPECT_TRUE((info.extent == Extent{1000, 123, 1}));
  EXPECT_EQ(info.x_dtype, DType::f32);
  EXPECT_EQ(info.vocabulary, 0u);
  EXPECT_EQ(info.classes, 25u);
  EXPECT_EQ(info.count, 25u);
  const ToyBatch batch = make_toy_batch(ToyLabels::classes);
  const uint32_t indices[] = {24, 3};
  std::vector<float> x(2 * 123000);
  int32_t labels[2];
  uint32_t lengths[2];
  ASSERT_TRUE(ok(dataset->read(indices, 2, x.data(), labels)));
  ASSERT_TRUE(ok(dataset->lengths(indices, 2, lengths)));
  for (uint32_t i = 0; i < 2; ++i) {
    EXPECT_EQ(labels[i], batch.labels[indices[i]]);
    EXPECT_EQ(lengths[i], 1000u);
    for (uint32_t k = 0; k < 123000; ++k) ASSERT_EQ(x[i * 123000 + k], batch.x[indices[i] * 123000 + k]);
  }
  const uint32_t past = 25;
  EXPECT_EQ(dataset->read(&past, 1, x.data(), labels), Status::argument);
  uint8_t hash[16];
  EXPECT_TRUE(ok(dataset->hash(hash)));
}

}  // namespace
}  // namespace lt::data
