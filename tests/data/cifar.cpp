// CIFAR-10's files, whole and broken: what is right is read to the byte, and everything else is refused with a sentence
// that says which file, where, what was found and what to do.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "src/dataset.h"
#include "tests/data/dataset_case.h"
#include "tests/data/temporary_folder.h"

namespace lt {
namespace {

using tests::DatasetCase;
using tests::TemporaryFolder;
using tests::write_file;

constexpr uint32_t image_bytes = 3072, record_bytes = 3073;

// Records whose label and bytes tell their number `first` + i.
std::string batch_file(uint32_t count, uint32_t first = 0) {
  std::string file;
  for (uint32_t i = first; i < first + count; ++i) {
    file += static_cast<char>(i % 10);
    for (uint32_t k = 0; k < image_bytes; ++k) file += static_cast<char>(i * 37 + k * 7 + k / 256);
  }
  return file;
}

class Cifar : public DatasetCase {
 protected:
  // 4, 1, 3, 2 and 5 records: unequal, so that a wrong border shows.
  Cifar() : DatasetCase("cifar10") { write_set(folder_.path()); }

  static void write_set(const std::string& folder) {
    constexpr uint32_t counts[] = {4, 1, 3, 2, 5};
    uint32_t first = 0;
    for (uint32_t i = 0; i < 5; ++i) {
      write_file(folder + "/data_batch_" + std::to_string(i + 1) + ".bin", batch_file(counts[i], first));
      first += counts[i];
    }
    write_file(folder + "/test_batch.bin", batch_file(7, 100));
  }

  void batch_refused(const std::string& bytes, const std::vector<std::string>& words) {
    write_file(third_, bytes);
    refused(Status::format, third_, words);
  }

  const std::string third_ = folder_ / "data_batch_3.bin";
};

TEST_F(Cifar, GivesTheSamplesThatItIsAskedFor) {
  ASSERT_TRUE(ok(open())) << last_error();
  const DatasetInfo& info = dataset_->info();
  EXPECT_STREQ(info.name, "cifar10");
  EXPECT_EQ(info.count, 15u);
  EXPECT_EQ(info.classes, 10u);
  EXPECT_EQ(info.sample_bytes(), image_bytes);
  EXPECT_TRUE((info.extent == Extent{32, 32, 3}));
  std::vector<uint32_t> indices = {14, 0, 7, 7};
  for (uint32_t i = 0; i < 15; ++i) indices.push_back(i);  // over every border
  const auto n = static_cast<uint32_t>(indices.size());
  std::vector<uint8_t> x(n * image_bytes);
  std::vector<int32_t> labels(n);
  ASSERT_TRUE(ok(dataset_->read(indices.data(), n, x.data(), labels.data())));
  const std::string all = batch_file(15);
  for (uint32_t i = 0; i < n; ++i) {
    EXPECT_EQ(labels[i], static_cast<int32_t>(indices[i] % 10));
    EXPECT_EQ(std::memcmp(&x[i * image_bytes], all.data() + indices[i] * record_bytes + 1, image_bytes), 0)
        << "index " << indices[i];
  }
  const uint32_t past = 15;
  EXPECT_EQ(dataset_->read(&past, 1, x.data(), labels.data()), Status::argument);
  ASSERT_TRUE(ok(open(Split::test)));
  EXPECT_EQ(dataset_->info().count, 7u);
  const uint32_t last = 6;
  ASSERT_TRUE(ok(dataset_->read(&last, 1, x.data(), labels.data())));
  EXPECT_EQ(labels[0], 6);
}

// What xxHash's one-shot function gives for the five files' bytes, one after the other.
TEST_F(Cifar, HashIsThatOfTheFilesBytes) {
  ASSERT_TRUE(ok(open()));
  uint8_t hash[16], again[16];
  ASSERT_TRUE(ok(dataset_->hash(hash)));
  const uint8_t known[16] = {0x74, 0xb1, 0x44, 0xfd, 0xe3, 0xd8, 0x60, 0x02,
                             0x67, 0xb8, 0x25, 0xc9, 0xff, 0xb3, 0xdb, 0xa9};
  EXPECT_EQ(std::memcmp(hash, known, 16), 0);
  std::string changed = batch_file(3, 5);
  changed.back() = static_cast<char>(changed.back() ^ 1);
  write_file(third_, changed);
  ASSERT_TRUE(ok(open()));
  ASSERT_TRUE(ok(dataset_->hash(again)));
  EXPECT_NE(std::memcmp(hash, again, 16), 0);
}

TEST_F(Cifar, IsFoundWhereUnpackersLeaveIt) {
  EXPECT_TRUE(format_.found(folder_.path().c_str()));
  EXPECT_TRUE(format_.found((folder_.path() + "/").c_str()));
  for (const char* subfolder : {"cifar-10-batches-bin", "cifar10", "cifar10/cifar-10-batches-bin"}) {
    TemporaryFolder parent;
    EXPECT_FALSE(format_.found(parent.path().c_str()));
    write_set(parent / subfolder);
    EXPECT_TRUE(format_.found(parent.path().c_str())) << subfolder;
    for (const Split split : {Split::train, Split::test})
      ASSERT_TRUE(ok(open(parent.path(), split))) << subfolder << ": " << last_error();
  }
  // A stray batch above does not hide the whole set below.
  TemporaryFolder parent;
  write_file(parent / "data_batch_2.bin", batch_file(1));
  write_set(parent / "cifar-10-batches-bin");
  ASSERT_TRUE(ok(open(parent.path()))) << last_error();
  EXPECT_EQ(dataset_->info().count, 15u);
}

TEST_F(Cifar, NamesTheMissingBatch) {
  for (int i = 1; i <= 5; ++i) {
    const std::string path = folder_ / ("data_batch_" + std::to_string(i) + ".bin"), aside = path + ".aside";
    std::filesystem::rename(path, aside);
    refused(Status::io, path, {"missing", "4 of the 5", "lean-train data get cifar10"});
    std::filesystem::rename(aside, path);
  }
  std::filesystem::remove(folder_ / "test_batch.bin");
  EXPECT_EQ(open(Split::test), Status::io);
  EXPECT_NE(std::string(last_error()).find("test_batch.bin"), std::string::npos) << last_error();
  EXPECT_TRUE(ok(open()));
  std::filesystem::remove(third_);
  std::filesystem::create_directory(third_);
  refused(Status::io, third_, {"a directory"});
}

TEST_F(Cifar, SaysWhatIsThereInstead) {
  EXPECT_EQ(open(folder_ / "none"), Status::io);
  EXPECT_NE(std::string(last_error()).find(folder_ / "none"), std::string::npos);
  EXPECT_NE(std::string(last_error()).find("lean-train data get cifar10"), std::string::npos);
  EXPECT_EQ(open(third_), Status::io);
  EXPECT_NE(std::string(last_error()).find("not a folder"), std::string::npos) << last_error();

  TemporaryFolder other;
  EXPECT_EQ(open(other.path()), Status::io);
  EXPECT_NE(std::string(last_error()).find("holds no data_batch_1.bin"), std::string::npos) << last_error();
  write_file(other / "cifar-10-batches-py/data_batch_1", "pickled");
  EXPECT_FALSE(format_.found(other.path().c_str()));
  EXPECT_EQ(open(other.path()), Status::io);
  EXPECT_NE(std::string(last_error()).find("Python version"), std::string::npos) << last_error();
  write_file(other / "cifar-10-binary.tar.gz", "\x1f\x8b");
  EXPECT_TRUE(format_.found(other.path().c_str()));
  EXPECT_EQ(open(other.path()), Status::io);
  for (const char* word : {"only packed", "cifar-10-binary.tar.gz", "lean-train data prepare cifar10"})
    EXPECT_NE(std::string(last_error()).find(word), std::string::npos) << last_error();
}

TEST_F(Cifar, RefusesAnythingButWholeRecords) {
  const std::string whole = batch_file(3, 5);
  batch_refused("", {"0 bytes", "multiple of 3073"});
  batch_refused(whole.substr(0, 1), {"1 bytes", "0 records", "1 bytes more"});
  batch_refused(whole.substr(0, whole.size() - 1), {"9218 bytes", "2 records", "3072 bytes more"});
  batch_refused(whole + "x", {"9220 bytes", "3 records", "1 bytes more", "lean-train data get cifar10"});
  for (size_t n = 1; n < record_bytes; n += 61) {
    write_file(third_, whole.substr(0, n));
    EXPECT_EQ(open(), Status::format) << n << " bytes";
  }
  write_file(third_, whole);
  EXPECT_TRUE(ok(open())) << last_error();
}

TEST_F(Cifar, SaysWhatAWrongFileIs) {
  batch_refused("\x1f\x8b\x08\x08 and so on", {"gzip", "gunzip"});
  batch_refused("<!DOCTYPE html>\n<html>", {"web page", "lean-train data get cifar10"});
  batch_refused(std::string(4 * 3074, 0), {"CIFAR-100"});
}

TEST_F(Cifar, RefusesLabelsOutOfRange) {
  std::string batch = batch_file(3, 5);
  batch[2 * record_bytes] = 10;
  batch_refused(batch, {"record 2", "label 10", "0 to 9", "byte 6146"});
  batch[2 * record_bytes] = static_cast<char>(255);
  batch_refused(batch, {"record 2", "label 255"});
  batch[0] = 11;  // the first one counts
  batch_refused(batch, {"record 0", "label 11"});
}

// A file that claims nothing cannot lie, but it can be large: a hole costs no memory.
TEST_F(Cifar, HugeFilesCostNothing) {
  rusage before, after;
  ::getrusage(RUSAGE_SELF, &before);
  write_file(third_, "");
  ASSERT_EQ(::truncate(third_.c_str(), int64_t{record_bytes} << 26), 0);
  refused(Status::format, third_, {"67108864 records", "at most 16777216"});
  ASSERT_EQ(::truncate(third_.c_str(), (int64_t{record_bytes} << 26) + 1), 0);
  refused(Status::format, third_, {"1 bytes more"});
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 4096) << "KiB";
}

TEST_F(Cifar, NoticesFilesChangedWhileInUse) {
  ASSERT_TRUE(ok(open()));
  const uint32_t index = 6;  // the second record of the third batch
  std::vector<uint8_t> x(image_bytes);
  int32_t label = -1;
  ASSERT_TRUE(ok(dataset_->read(&index, 1, x.data(), &label)));
  // Replaced by rename: the data set keeps what it opened.
  write_file(third_ + ".new", "nothing");
  std::filesystem::rename(third_ + ".new", third_);
  ASSERT_TRUE(ok(dataset_->read(&index, 1, x.data(), &label)));
  EXPECT_EQ(label, 6);

  write_file(third_, batch_file(3, 5));
  ASSERT_TRUE(ok(open()));
  {
    std::fstream file(third_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(record_bytes);
    file.put(77);
  }
  EXPECT_EQ(dataset_->read(&index, 1, x.data(), &label), Status::io);
  EXPECT_NE(std::string(last_error()).find("record 1 changed to label 77"), std::string::npos) << last_error();
  ASSERT_EQ(::truncate(third_.c_str(), record_bytes), 0);
  EXPECT_EQ(dataset_->read(&index, 1, x.data(), &label), Status::io);
  EXPECT_NE(std::string(last_error()).find("was cut to 3073 bytes"), std::string::npos) << last_error();
  uint8_t hash[16];
  EXPECT_EQ(dataset_->hash(hash), Status::io);
}

}  // namespace
}  // namespace lt
