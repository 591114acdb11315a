// MNIST's files, whole and broken: what is right is read to the byte, and everything else is refused with a sentence that
// says which file, where, what was found and what to do.
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

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string image_header(uint32_t count, uint32_t rows = 28, uint32_t columns = 28) {
  return big_endian(0x803) + big_endian(count) + big_endian(rows) + big_endian(columns);
}

std::string image_file(uint32_t count) {
  std::string file = image_header(count);
  for (uint32_t i = 0; i < count * 784; ++i) file += static_cast<char>(i * 7 + i / 784);
  return file;
}

std::string label_file(uint32_t count) {
  std::string file = big_endian(0x801) + big_endian(count);
  for (uint32_t i = 0; i < count; ++i) file += static_cast<char>(i % 10);
  return file;
}

class Mnist : public DatasetCase {
 protected:
  Mnist() : DatasetCase("mnist") {
    write_file(images_, image_file(30));
    write_file(labels_, label_file(30));
    write_file(folder_ / "t10k-images-idx3-ubyte", image_file(7));
    write_file(folder_ / "t10k-labels-idx1-ubyte", label_file(7));
  }

  void images_refused(const std::string& bytes, const std::vector<std::string>& words) {
    write_file(images_, bytes);
    refused(Status::format, images_, words);
  }
  void labels_refused(const std::string& bytes, const std::vector<std::string>& words) {
    write_file(labels_, bytes);
    refused(Status::format, labels_, words);
  }

  const std::string images_ = folder_ / "train-images-idx3-ubyte", labels_ = folder_ / "train-labels-idx1-ubyte";
};

TEST_F(Mnist, GivesTheSamplesThatItIsAskedFor) {
  ASSERT_TRUE(ok(open())) << last_error();
  const DatasetInfo& info = dataset_->info();
  EXPECT_STREQ(info.name, "mnist");
  EXPECT_EQ(info.count, 30u);
  EXPECT_EQ(info.classes, 10u);
  EXPECT_EQ(info.sample_bytes(), 784u);
  EXPECT_TRUE((info.extent == Extent{28, 28, 1}));
  const uint32_t indices[] = {29, 0, 13, 13};
  std::vector<uint8_t> x(4 * 784);
  int32_t labels[4];
  ASSERT_TRUE(ok(dataset_->read(indices, 4, x.data(), labels)));
  const std::string file = image_file(30);
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(labels[i], static_cast<int32_t>(indices[i] % 10));
    EXPECT_EQ(std::memcmp(&x[i * 784], file.data() + 16 + indices[i] * 784, 784), 0) << "index " << indices[i];
  }
  const void* place = nullptr;
  ASSERT_TRUE(ok(dataset_->view(11, 19, &place, std::vector<int32_t>(19).data())));
  int32_t two[2];
  ASSERT_TRUE(ok(dataset_->view(28, 2, &place, two)));
  EXPECT_EQ(std::memcmp(place, file.data() + 16 + 28 * 784, 2 * 784), 0);
  EXPECT_EQ(two[0], 8);
  EXPECT_EQ(two[1], 9);
  EXPECT_EQ(dataset_->view(29, 2, &place, two), Status::argument);
  const uint32_t past = 30;
  EXPECT_EQ(dataset_->read(&past, 1, x.data(), labels), Status::argument);
  ASSERT_TRUE(ok(open(Split::test)));
  EXPECT_EQ(dataset_->info().count, 7u);
}

// What xxHash's one-shot function gives for the two files' bytes, one after the other.
TEST_F(Mnist, HashIsThatOfTheFilesBytes) {
  write_file(images_, image_file(1));
  write_file(labels_, label_file(1));
  ASSERT_TRUE(ok(open()));
  uint8_t hash[16], again[16];
  ASSERT_TRUE(ok(dataset_->hash(hash)));
  const uint8_t known[16] = {0x10, 0xd3, 0x7d, 0x3c, 0x6a, 0x58, 0x15, 0x29,
                             0x20, 0xb1, 0xe2, 0x91, 0x29, 0xc4, 0xdc, 0xae};
  EXPECT_EQ(std::memcmp(hash, known, 16), 0);
  std::string changed = image_file(1);
  changed.back() = static_cast<char>(changed.back() ^ 1);
  write_file(images_, changed);
  ASSERT_TRUE(ok(open()));
  ASSERT_TRUE(ok(dataset_->hash(again)));
  EXPECT_NE(std::memcmp(hash, again, 16), 0);
}

TEST_F(Mnist, IsFoundWhereUnpackersLeaveIt) {
  EXPECT_TRUE(format_.found(folder_.path().c_str()));
  EXPECT_TRUE(format_.found((folder_.path() + "/").c_str()));
  for (const char* subfolder : {"mnist", "MNIST/raw", "raw", "mnist/MNIST/raw"}) {
    for (const bool dots : {false, true}) {
      TemporaryFolder parent;
      EXPECT_FALSE(format_.found(parent.path().c_str()));
      const std::string base = parent / subfolder + std::string("/train-");
      write_file(base + (dots ? "images.idx3-ubyte" : "images-idx3-ubyte"), image_file(3));
      write_file(base + (dots ? "labels.idx1-ubyte" : "labels-idx1-ubyte"), label_file(3));
      EXPECT_TRUE(format_.found(parent.path().c_str())) << subfolder;
      ASSERT_TRUE(ok(open(parent.path()))) << subfolder << ": " << last_error();
      EXPECT_EQ(dataset_->info().count, 3u);
    }
  }
  // A stray half set above does not hide the whole one below.
  TemporaryFolder parent;
  write_file(parent / "train-labels-idx1-ubyte", label_file(5));
  write_file(parent / "mnist/train-images-idx3-ubyte", image_file(3));
  write_file(parent / "mnist/train-labels-idx1-ubyte", label_file(3));
  ASSERT_TRUE(ok(open(parent.path()))) << last_error();
}

TEST_F(Mnist, SaysWhatIsMissing) {
  EXPECT_EQ(open(folder_ / "none"), Status::io);
  EXPECT_NE(std::string(last_error()).find(folder_ / "none"), std::string::npos);
  EXPECT_NE(std::string(last_error()).find("lean-train data get mnist"), std::string::npos);
  EXPECT_EQ(open(images_), Status::io);
  EXPECT_NE(std::string(last_error()).find("not a folder"), std::string::npos) << last_error();

  std::filesystem::remove(labels_);
  refused(Status::io, labels_, {"missing", "lean-train data get mnist"});
  write_file(labels_ + ".gz", "\x1f\x8b");
  refused(Status::io, labels_ + ".gz", {"packed", "gunzip"});
  std::filesystem::remove(images_);
  EXPECT_TRUE(format_.found(folder_.path().c_str()));
  refused(Status::io, labels_ + ".gz", {"only packed", "gunzip", "lean-train data prepare mnist"});
  std::filesystem::remove(labels_ + ".gz");
  refused(Status::io, folder_.path(), {"train-images-idx3-ubyte", "lean-train data get mnist"});
  std::filesystem::create_directory(images_);
  write_file(labels_, label_file(30));
  refused(Status::io, images_, {"a directory"});
}

TEST_F(Mnist, RefusesFilesShorterThanTheirHeader) {
  images_refused("", {"0 bytes", "need 16"});
  images_refused(image_header(30).substr(0, 15), {"15 bytes", "need 16"});
  images_refused(image_header(30).substr(0, 3), {"3 bytes", "need 16"});
  write_file(images_, image_file(30));
  labels_refused("", {"0 bytes", "need 8"});
  labels_refused(label_file(30).substr(0, 7), {"7 bytes", "need 8"});
}

TEST_F(Mnist, SaysWhatAWrongFileIs) {
  images_refused(label_file(30), {"label file", "0x00000801", "expected an image file", "0x00000803"});
  images_refused("\x1f\x8b\x08\x08 and so on", {"gzip", "gunzip", "lean-train data get mnist"});
  images_refused("<!DOCTYPE html>\n<html>", {"web page", "lean-train data get mnist"});
  images_refused(big_endian(0x0d03) + image_file(30).substr(4), {"type 0x0d", "0x08"});
  images_refused(big_endian(0xdeadbeef) + image_file(30).substr(4), {"0xdeadbeef", "0x00000803"});
  images_refused(image_header(30, 32, 32) + std::string(30 * 32 * 32, 0), {"32 x 32", "28 x 28"});
  images_refused(image_header(0), {"0 images"});
  write_file(images_, image_file(30));
  labels_refused(image_file(30), {"image file", "expected a"});
}

TEST_F(Mnist, RefusesTooFewAndTooManyBytes) {
  const std::string whole = image_file(30);
  images_refused(whole.substr(0, whole.size() - 1), {"30 images", "23536", "23535", "1 missing"});
  images_refused(whole.substr(0, 16), {"23520 missing"});
  images_refused(whole + "x", {"30 images", "1 too many"});
  write_file(images_, whole);
  labels_refused(label_file(30).substr(0, 37), {"30 labels", "38", "37", "1 missing"});
  labels_refused(label_file(30) + std::string(2, 0), {"2 too many"});
}

// Counts are checked before anything is reserved: what a hostile header costs is the same as what an honest one does.
TEST_F(Mnist, HugeCountsCostNothing) {
  rusage before, after;
  ::getrusage(RUSAGE_SELF, &before);
  images_refused(image_header(UINT32_MAX) + std::string(784, 0), {"4294967295 images", "3367254359296 bytes", "missing"});
  images_refused(image_header(UINT32_MAX, UINT32_MAX, UINT32_MAX) + std::string(784, 0), {"4294967295 x 4294967295"});
  write_file(images_, image_file(30));
  labels_refused(big_endian(0x801) + big_endian(UINT32_MAX) + std::string(30, 0), {"4294967295 labels", "missing"});
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 4096) << "KiB";
}

TEST_F(Mnist, RefusesLabelsOutOfRange) {
  std::string labels = label_file(30);
  labels[8 + 17] = 10;
  labels_refused(labels, {"record 17", "label 10", "0 to 9", "byte 25"});
  labels[8 + 17] = static_cast<char>(255);
  labels_refused(labels, {"label 255"});
}

TEST_F(Mnist, RefusesFilesThatDoNotBelongTogether) {
  write_file(labels_, label_file(7));
  refused(Status::mismatch, images_, {"30 images", "7 labels", labels_});
}

TEST_F(Mnist, NoticesFilesChangedWhileInUse) {
  ASSERT_TRUE(ok(open()));
  const uint32_t index = 29;
  std::vector<uint8_t> x(784);
  int32_t label = -1;
  ASSERT_TRUE(ok(dataset_->read(&index, 1, x.data(), &label)));
  // Replaced by rename: the data set keeps what it opened.
  write_file(images_ + ".new", "nothing");
  std::filesystem::rename(images_ + ".new", images_);
  ASSERT_TRUE(ok(dataset_->read(&index, 1, x.data(), &label)));
  EXPECT_EQ(label, 9);

  ASSERT_TRUE(ok(open(Split::test)));
  const uint32_t first = 0;
  ASSERT_EQ(::truncate((folder_ / "t10k-images-idx3-ubyte").c_str(), 16), 0);
  EXPECT_EQ(dataset_->read(&first, 1, x.data(), &label), Status::io);
  EXPECT_NE(std::string(last_error()).find("was cut to 16 bytes"), std::string::npos) << last_error();
  uint8_t hash[16];
  EXPECT_EQ(dataset_->hash(hash), Status::io);

  write_file(images_, image_file(30));
  ASSERT_TRUE(ok(open()));
  std::fstream file(labels_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(8 + 29);
  file.put(77);
  file.close();
  EXPECT_EQ(dataset_->read(&index, 1, x.data(), &label), Status::io);
  EXPECT_NE(std::string(last_error()).find("label 77"), std::string::npos) << last_error();
}

// Every file one byte short, and every header byte changed: nothing but refusals, under the sanitizers too.
TEST_F(Mnist, AnyHeaderByteMatters) {
  const std::string whole = image_file(2), labels = label_file(2);
  write_file(labels_, labels);
  for (size_t i = 0; i < 16; ++i) {
    for (const int bit : {1, 4, 0x80}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ bit);
      write_file(images_, changed);
      EXPECT_FALSE(ok(open())) << "byte " << i;
    }
  }
  for (size_t n = 0; n < 64; ++n) {
    write_file(images_, whole.substr(0, n));
    EXPECT_EQ(open(), Status::format) << n << " bytes";
  }
  write_file(images_, whole);
  EXPECT_TRUE(ok(open()));
}

}  // namespace
}  // namespace lt
