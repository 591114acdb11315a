// Sets that come as one archive: what is right gets in place, all of it or nothing, and what is damaged, foreign, too large
// or tries to lead elsewhere is refused.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/data/temporary_folder.h"
#include "tools/data_archive.h"
#include "tools/data_download.h"
#include "tools/data_get.h"
#include "tools/review_files.h"

namespace lt::tool {
namespace {

using tests::read_file;
using tests::TemporaryFolder;
using tests::write_file;

std::string octal(uint64_t value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
  return text;
}

// A header with this checksum, or the right one.
std::string header(const std::string& name, uint64_t bytes, char type = '0', const std::string& prefix = "",
                   const std::string& size_field = "") {
  std::string block(512, '\0');
  block.replace(0, name.size(), name);
  block.replace(100, 8, std::string("0000644") + '\0');
  block.replace(124, 11, size_field.empty() ? octal(bytes, 11) : size_field);
  block[156] = type;
  block.replace(257, 8, std::string("ustar") + '\0' + "00");
  block.replace(345, prefix.size(), prefix);
  block.replace(148, 8, "        ");
  uint64_t sum = 0;
  for (const char byte : block) sum += static_cast<unsigned char>(byte);
  block.replace(148, 8, octal(sum, 6) + '\0' + ' ');
  return block;
}

std::string entry(const std::string& name, const std::string& bytes, char type = '0', const std::string& prefix = "") {
  return header(name, bytes.size(), type, prefix) + bytes + std::string((512 - bytes.size() % 512) % 512, '\0');
}

const std::string end_blocks(1024, '\0');

std::string gzip(const std::string& bytes) {
  TemporaryFolder folder;
  gzFile file = ::gzopen((folder / "x.gz").c_str(), "wb6");
  EXPECT_EQ(::gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
  EXPECT_EQ(::gzclose(file), Z_OK);
  return read_file(folder / "x.gz");
}

std::string some_bytes(size_t n, int seed) {
  std::string bytes;
  for (size_t i = 0; i < n; ++i) bytes += static_cast<char>(seed + static_cast<int>(i * 7 + i / 251));
  return bytes;
}

class Archive : public ::testing::Test {
 protected:
  Archive() { std::filesystem::create_directory(folder_ / "set"); }

  Fetched take(const std::string& packed, bool replace = false) {
    write_file(from_, packed);
    return unpack_archive(from_, members_, replace);
  }
  void taken(const std::string& packed) {
    const Fetched result = take(packed);
    EXPECT_EQ(result.result, Fetched::ok) << result.why;
    EXPECT_TRUE(read_file(members_[0].place) == one_);
    EXPECT_TRUE(read_file(members_[1].place) == two_);
    EXPECT_EQ(count_files(), 2u);
    std::filesystem::remove(members_[0].place);
    std::filesystem::remove(members_[1].place);
  }
  void refused(const std::string& packed, const std::string& words) {
    const Fetched result = take(packed);
    EXPECT_EQ(result.result, Fetched::wrong_bytes) << words << ": " << result.why;
    EXPECT_NE(result.why.find(words), std::string::npos) << "'" << words << "' in: " << result.why;
    EXPECT_NE(result.why.find(from_), std::string::npos) << result.why;
    EXPECT_EQ(count_files(), 0u) << words;
  }
  // Of everything under the folder, the archive apart.
  size_t count_files() const {
    size_t count = 0;
    for (const auto& found : std::filesystem::recursive_directory_iterator(folder_.path()))
      count += !found.is_directory() && found.path() != from_;
    return count;
  }

  TemporaryFolder folder_;
  const std::string from_ = folder_ / "set.tar.gz", one_ = some_bytes(1000, 1), two_ = some_bytes(200000, 2);
  const std::vector<ArchiveMember> members_ = {{"set/one.bin", folder_ / "set/one.bin", 1000},
                                               {"set/two.bin", folder_ / "set/two.bin", 200000}};
  const std::string first_ = entry("set/one.bin", one_), second_ = entry("set/two.bin", two_);
};

TEST_F(Archive, PutsTheMembersInPlace) {
  taken(gzip(entry("set/", "", '5') + first_ + entry("set/readme.html", "<html>") + second_ + end_blocks));
  taken(gzip(second_ + first_ + end_blocks));
  taken(gzip(first_ + second_ + end_blocks + std::string(8192, '\0')));  // tar fills up to its own block size
  taken(first_ + second_ + end_blocks);                                  // not packed at all
  taken(gzip(entry("./set/one.bin", one_) + entry("two.bin", two_, '0', "set") + end_blocks));
  taken(gzip(entry("set/PaxHeaders/one.bin", "27 mtime=1244146163.1234567\n", 'x') + first_ + second_ + end_blocks));
  std::string old = header("set/one.bin", 1000, '\0');  // as before ustar
  taken(gzip(old + one_ + std::string(24, '\0') + second_ + end_blocks));
}

TEST_F(Archive, RefusesDamage) {
  const std::string packed = gzip(first_ + second_ + end_blocks);
  for (const size_t n : {size_t{20}, packed.size() / 2, packed.size() - 9}) refused(packed.substr(0, n), "cut short");
  std::string flipped = packed;
  flipped[packed.size() - 6] = static_cast<char>(flipped[packed.size() - 6] ^ 1);  // in gzip's checksum
  refused(flipped, "damaged");
  refused("", "is no tar archive");
  refused("<html>sorry</html>", "is no tar archive");
  refused(gzip(std::string(2000, 'x')), "is no tar archive");
  refused(gzip(first_ + second_), "without the block that ends");
  refused(gzip(first_ + second_.substr(0, 5000)), "in the middle of set/two.bin");
  refused(gzip(first_ + entry("other", one_).substr(0, 600)), "in the middle of an entry");
  for (const size_t at : {0, 101, 126, 150, 156, 258}) {
    std::string broken = first_ + second_ + end_blocks;
    broken[first_.size() + at] = static_cast<char>(broken[first_.size() + at] ^ 2);
    refused(gzip(broken), "checksum is wrong");
  }
}

// The checksum covers every byte of a header but its own last one, a space that nobody reads.
TEST_F(Archive, AnyHeaderByteMatters) {
  const std::string whole = first_ + second_ + end_blocks;
  for (size_t at = 0; at < 512; ++at) {
    std::string broken = whole;
    broken[first_.size() + at] = static_cast<char>(broken[first_.size() + at] ^ (at % 2 == 0 ? 1 : 0x80));
    const Fetched result = take(broken);
    EXPECT_EQ(result.result, at == 155 ? Fetched::ok : Fetched::wrong_bytes) << "byte " << at;
    if (at == 155) {
      for (const ArchiveMember& member : members_) std::filesystem::remove(member.place);
    }
    EXPECT_EQ(count_files(), 0u) << "byte " << at;
  }
}

TEST_F(Archive, RefusesWhatIsNotExpected) {
  refused(gzip(first_ + end_blocks), "has no set/two.bin");
  refused(gzip(end_blocks), "has no set/one.bin");
  refused(gzip(first_ + second_ + first_ + end_blocks), "has set/one.bin twice");
  refused(gzip(entry("set/one.bin", one_ + "x") + second_ + end_blocks), "has 1001 bytes, expected 1000");
  refused(gzip(header("set/one.bin", 0, '2') + second_ + end_blocks), "set/one.bin is no regular file");
  refused(gzip(first_ + second_ + end_blocks + std::string(20 << 20, '\0')), "goes on behind its end");
}

// Names are compared, not used: no entry but the two that are looked for leaves anything anywhere.
TEST_F(Archive, NamesLeadNowhere) {
  const std::string evil = entry("../evil", "x") + entry("/tmp/lean-train-evil", "x") + entry("set/../../evil", "x") +
                           entry("evil", "x", '0', "..") + header("set/link", 0, '2') + header("set/one.bin/x", 0, '5');
  taken(gzip(evil + first_ + second_ + end_blocks));
  EXPECT_FALSE(std::filesystem::exists("/tmp/lean-train-evil"));
}

TEST_F(Archive, BombsAreCutOff) {
  refused(gzip(entry("set/zeros", std::string(17 << 20, '\0')) + first_ + second_ + end_blocks), "has more in it");
  std::string many;
  for (int i = 0; i < 3; ++i) many += entry("set/zeros" + std::to_string(i), std::string(6 << 20, '\0'));
  refused(gzip(many + first_ + second_ + end_blocks), "has more in it");
  std::string empty;
  for (int i = 0; i < 1001; ++i) empty += header("x" + std::to_string(i), 0);
  refused(gzip(empty + first_ + second_ + end_blocks), "more than 1000 entries");
  refused(gzip(header("set/big", 0, '0', "", "77777777777") + first_ + second_ + end_blocks), "has more in it");
  refused(gzip(header("set/one.bin", 0, '0', "", "77777777777") + second_ + end_blocks), "expected 1000");
  refused(gzip(header("set/one.bin", 0, '0', "", "\x80\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01") + second_),
          "is no tar archive");
  refused(gzip(header("set/one.bin", 0, '0', "", "0000000175x") + second_), "is no tar archive");
}

TEST_F(Archive, LeavesForeignFilesAlone) {
  const std::string packed = gzip(first_ + second_ + end_blocks);
  write_file(members_[1].place, "mine");
  const Fetched result = take(packed);
  EXPECT_EQ(result.result, Fetched::wrong_bytes);
  EXPECT_NE(result.why.find("--force"), std::string::npos) << result.why;
  EXPECT_NE(result.why.find(members_[1].place), std::string::npos) << result.why;
  EXPECT_EQ(read_file(members_[1].place), "mine");
  EXPECT_EQ(count_files(), 1u);
  EXPECT_EQ(take(packed, true).result, Fetched::ok);
  EXPECT_TRUE(read_file(members_[1].place) == two_);
  EXPECT_EQ(take(packed).result, Fetched::ok);  // the same bytes
  EXPECT_EQ(unpack_archive(folder_ / "none", members_, true).result, Fetched::local);
  const std::vector<ArchiveMember> nowhere = {{"set/one.bin", folder_ / "no/such/place", 1000}};
  EXPECT_EQ(unpack_archive(from_, nowhere, true).result, Fetched::local);
}

// get_data with a set of this test's own.
class GetArchive : public Archive {
 protected:
  GetArchive() {
    write_file(from_, gzip(first_ + second_ + end_blocks));
    sha256_ = file_sha256(from_);
    archive_ = {"set.tar.gz", file_bytes(from_), sha256_.c_str()};
    set_ = {"toy", "set", files_, 2, mirrors_, 1, &archive_};
  }
  Fetched get(bool force = false) {
    said_.clear();
    return get_data({&set_, folder_.path(), to_, force}, {[this](const std::string& line) { said_ += line + "\n"; },
                                                          [](const std::string&, uint64_t, uint64_t) {}});
  }

  const PublishedFile files_[2] = {{"one.bin", 1000, ""}, {"two.bin", 200000, ""}};
  const char* const mirrors_[1] = {"http://127.0.0.1:1"};
  std::string sha256_, said_;
  PublishedArchive archive_{};
  PublishedSet set_{};
  const std::string to_ = folder_ / "to";
};

TEST_F(GetArchive, FromAFolder) {
  ASSERT_EQ(get().result, Fetched::ok);
  EXPECT_NE(said_.find("2 files from set.tar.gz"), std::string::npos) << said_;
  EXPECT_TRUE(read_file(to_ + "/two.bin") == two_);
  EXPECT_TRUE(std::filesystem::exists(from_));
  ASSERT_EQ(get().result, Fetched::ok);
  EXPECT_NE(said_.find("there already"), std::string::npos) << said_;
  std::filesystem::remove(to_ + "/one.bin");
  ASSERT_EQ(get().result, Fetched::ok);
  EXPECT_TRUE(read_file(to_ + "/one.bin") == one_);

  write_file(to_ + "/one.bin", "short");
  EXPECT_EQ(get().result, Fetched::wrong_bytes);
  std::filesystem::remove(to_ + "/two.bin");
  write_file(to_ + "/one.bin", some_bytes(1000, 9));  // the right size, and foreign
  EXPECT_EQ(get().result, Fetched::wrong_bytes);
  EXPECT_FALSE(std::filesystem::exists(to_ + "/two.bin"));
  EXPECT_EQ(get(true).result, Fetched::ok);
  EXPECT_TRUE(read_file(to_ + "/one.bin") == one_);

  std::filesystem::remove(to_ + "/one.bin");
  write_file(from_, gzip(first_ + second_ + end_blocks + std::string(512, '\0')));
  const Fetched other = get();
  EXPECT_EQ(other.result, Fetched::wrong_bytes);
  EXPECT_NE(other.why.find(sha256_), std::string::npos) << other.why;
  std::filesystem::remove(from_);
  EXPECT_EQ(get().result, Fetched::unreachable);
}

TEST_F(GetArchive, Prepare) {
  unsigned unpacked = 9;
  std::string foreign;
  ASSERT_EQ(prepare_data(set_, folder_.path(), &unpacked, &foreign).result, Fetched::ok);
  EXPECT_EQ(unpacked, 2u);
  EXPECT_EQ(foreign, "");
  EXPECT_TRUE(read_file(folder_ / "set/one.bin") == one_);
  ASSERT_EQ(prepare_data(set_, folder_.path(), &unpacked, &foreign).result, Fetched::ok);
  EXPECT_EQ(unpacked, 0u);
  // An archive in a folder of the set's own name is unpacked beside itself.
  write_file(folder_ / "set/set.tar.gz", gzip(second_ + first_ + end_blocks));
  std::filesystem::remove(folder_ / "set/two.bin");
  ASSERT_EQ(prepare_data(set_, folder_ / "set/", &unpacked, &foreign).result, Fetched::ok);
  EXPECT_EQ(unpacked, 2u);
  EXPECT_EQ(foreign, "set.tar.gz");
  EXPECT_TRUE(read_file(folder_ / "set/two.bin") == two_);
}

// Film reviews: the file that is made of their texts, out of an archive of this test's own.
class GetReviews : public Archive {
 protected:
  GetReviews() {
    write_file(from_, gzip(reviews_ + end_blocks));
    sha256_ = file_sha256(from_);
    archive_ = {"set.tar.gz", file_bytes(from_), sha256_.c_str()};
    set_ = {"imdb", "aclImdb", files_, 2, mirrors_, 1, &archive_, true};
  }
  Fetched get(bool force = false) {
    said_.clear();
    return get_data({&set_, folder_.path(), to_, force},
                    {[this](const std::string& line) { said_ += line + "\n"; },
                     [](const std::string&, uint64_t, uint64_t) {}, [this](const std::string&) { ++drawn_; }});
  }

  const std::string reviews_ =
      entry("aclImdb/README", "x") + entry("aclImdb/test/neg/0_1.txt", "worse") +
      entry("aclImdb/test/pos/0_9.txt", "best of all") + entry("aclImdb/train/neg/0_1.txt", "a bad \xff film") +
      entry("aclImdb/train/pos/0_9.txt", "a good film") + entry("aclImdb/train/unsup/0_0.txt", "unknown");
  const PublishedFile files_[2] = {{"imdb-words.safetensors", 1000, ""}, {"imdb-words.txt", 100, ""}};
  const char* const mirrors_[1] = {"http://127.0.0.1:1"};
  std::string sha256_, said_;
  unsigned drawn_ = 0;
  PublishedArchive archive_{};
  PublishedSet set_{};
  const std::string to_ = folder_ / "to", words_ = to_ + "/imdb-words.safetensors";
};

TEST_F(GetReviews, FromAFolder) {
  ASSERT_EQ(get().result, Fetched::ok) << said_;
  EXPECT_NE(said_.find("4 reviews, 11 words, 5 different ones to train on"), std::string::npos) << said_;
  EXPECT_NE(said_.find("1 place in the reviews"), std::string::npos) << said_;
  EXPECT_GT(drawn_, 0u);
  EXPECT_EQ(read_file(to_ + "/imdb-words.txt"), "a\t2\nfilm\t2\ngood\t1\nbad\t1\n\xef\xbf\xbd\t1\n");
  EXPECT_EQ(count_files(), 2u);
  EXPECT_TRUE(std::filesystem::exists(from_));
  const std::string made = read_file(words_);
  ASSERT_EQ(get().result, Fetched::ok);
  EXPECT_NE(said_.find("there already"), std::string::npos) << said_;
  for (const std::string& damaged : {std::string("short"), made.substr(0, made.size() - 1) + "\1"}) {
    write_file(words_, damaged);
    ASSERT_EQ(get().result, Fetched::ok);
    EXPECT_TRUE(read_file(words_) == made);
  }
  std::filesystem::remove(words_);
  write_file(from_, gzip(reviews_ + entry("aclImdb/test/neg/1_1.txt", "more") + end_blocks));
  EXPECT_EQ(get().result, Fetched::wrong_bytes);  // not the published archive
  EXPECT_FALSE(std::filesystem::exists(words_));
}

TEST_F(GetReviews, ReviewsThatAreTooManyOrTooLongAreRefused) {
  const auto refuse = [&](const std::string& tar, const std::string& words) {
    write_file(from_, gzip(tar));
    std::vector<Review> reviews;
    const Fetched result = unpack_reviews(from_, &reviews);
    EXPECT_EQ(result.result, Fetched::wrong_bytes);
    EXPECT_NE(result.why.find(words), std::string::npos) << result.why;
  };
  refuse(header("aclImdb/train/pos/0_9.txt", 0, '0', "", "00100000001"), "a review of more than 16.0 MiB");
  refuse(header("aclImdb/other", 0, '0', "", "77777777777"), "has more in it");
  refuse(reviews_ + header("aclImdb/train/pos/1_9.txt", 2000) + "cut", "in the middle of aclImdb/train/pos/1_9.txt");
  refuse(entry("aclImdb/train/pos/0_9.txt", "alone") + end_blocks, "holds no review NUMBER_RATING.txt in train/neg");
  refuse(reviews_, "without the block that ends");
}

}  // namespace
}  // namespace lt::tool
