// The prepared film reviews' file, whole and damaged: what is right is cut and padded as the network reads it, and every
// number that lies is refused with a sentence that says which, what was expected, and what to do.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "data/hash.h"
#include "src/dataset.h"
#include "tests/data/dataset_case.h"
#include "tests/data/temporary_folder.h"

namespace lt {
namespace {

using tests::DatasetCase;
using tests::TemporaryFolder;
using tests::write_file;

constexpr uint32_t steps = 150;

template <class T>
std::string bytes_of(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}

struct SplitArrays {
  std::vector<int64_t> offsets;
  std::vector<uint16_t> words;
  std::vector<uint8_t> labels;
};

// Reviews of these lengths; the words of review r are 4 + r, 5 + r, ... around 100.
SplitArrays make_split(const std::vector<uint32_t>& lengths) {
  SplitArrays split;
  split.offsets.push_back(0);
  for (uint32_t r = 0; r < lengths.size(); ++r) {
    for (uint32_t k = 0; k < lengths[r]; ++k)
      split.words.push_back(k == 0 ? uint16_t{1} : static_cast<uint16_t>(4 + (r + k) % 96));
    split.offsets.push_back(static_cast<int64_t>(split.words.size()));
    split.labels.push_back(static_cast<uint8_t>(r % 2));
  }
  return split;
}

class Imdb : public DatasetCase {
 protected:
  Imdb() : DatasetCase("imdb") { write(); }

  // The file as `data prepare` lays it out, of what the members say.
  std::string file() const {
    std::string header = "{\"__metadata__\":{\"format\":\"" + file_format_ + "\",\"vocabulary\":\"" + vocabulary_ +
                         "\",\"words\":\"96\",\"xxh3_128\":\"";
    std::string tensors, data;
    const auto add = [&](const std::string& name, const std::string& dtype, size_t count, const std::string& bytes) {
      if (name == left_out_) return;
      tensors += ",\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + std::to_string(count) +
                 "],\"data_offsets\":[" + std::to_string(data.size()) + "," + std::to_string(data.size() + bytes.size()) +
                 "]}";
      data += bytes;
    };
    add("train.offsets", "I64", train_.offsets.size(), bytes_of(train_.offsets));
    add("test.offsets", "I64", test_.offsets.size(), bytes_of(test_.offsets));
    add("train.words", "U16", train_.words.size(), bytes_of(train_.words));
    add("test.words", words_type_, test_.words.size(), bytes_of(test_.words));
    add("train.labels", "U8", train_.labels.size(), bytes_of(train_.labels));
    add("test.labels", "U8", test_.labels.size(), bytes_of(test_.labels));
    const data::HashedPart part = {data.data(), data.size()};
    uint8_t hash[16];
    data::hash_parts({&part, 1}, hash);
    header += data::hash_digits(hash);
    header += "\"}" + tensors + "}";
    header.resize((8 + header.size() + 63) / 64 * 64 - 8 + shift_, ' ');
    const uint64_t length = header.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data;
  }
  void write() const { write_file(path_, file()); }

  void file_refused(const std::vector<std::string>& words, Split split = Split::train) {
    write();
    refused(Status::format, words, split);
    refused(Status::format, {path_, "lean-train data prepare imdb"}, split);
  }

  const std::string path_ = folder_ / "imdb-words.safetensors";
  SplitArrays train_ = make_split({3, 150, 149, 151, 400, 1, 0}), test_ = make_split({5, 7});
  std::string file_format_ = "lean-train words 1", vocabulary_ = "100", words_type_ = "U16", left_out_;
  size_t shift_ = 0;
};

TEST_F(Imdb, GivesTheLastWordsAndZerosBehindThem) {
  ASSERT_TRUE(ok(open())) << last_error();
  const DatasetInfo& info = dataset_->info();
  EXPECT_STREQ(info.name, "imdb");
  EXPECT_EQ(info.count, 7u);
  EXPECT_EQ(info.cut, 2u);
  EXPECT_EQ(info.vocabulary, 100u);
  EXPECT_EQ(info.classes, 2u);
  EXPECT_EQ(info.x_dtype, DType::i32);
  EXPECT_TRUE((info.extent == Extent{steps, 1, 1}));
  const uint32_t indices[] = {4, 0, 6, 1, 2, 3, 5, 4};
  std::vector<int32_t> x(8 * steps), labels(8);
  std::vector<uint32_t> lengths(8);
  ASSERT_TRUE(ok(dataset_->read(indices, 8, x.data(), labels.data())));
  ASSERT_TRUE(ok(dataset_->lengths(indices, 8, lengths.data())));
  const uint32_t expected_lengths[] = {150, 3, 1, 150, 149, 150, 1, 150};
  for (uint32_t i = 0; i < 8; ++i) {
    EXPECT_EQ(labels[i], static_cast<int32_t>(indices[i] % 2));
    EXPECT_EQ(lengths[i], expected_lengths[i]);
    const auto end = static_cast<size_t>(train_.offsets[indices[i] + 1]);
    for (uint32_t step = 0; step < steps; ++step) {
      // One without words has a step of padding.
      const bool is_word = step < lengths[i] && indices[i] != 6;
      const int32_t expected = is_word ? train_.words[end - lengths[i] + step] : 0;
      ASSERT_EQ(x[i * steps + step], expected) << "review " << indices[i] << ", step " << step;
    }
  }
  const uint32_t past = 7;
  EXPECT_EQ(dataset_->read(&past, 1, x.data(), labels.data()), Status::argument);
  EXPECT_EQ(dataset_->lengths(&past, 1, lengths.data()), Status::argument);
  ASSERT_TRUE(ok(open(Split::test)));
  EXPECT_EQ(dataset_->info().count, 2u);
  EXPECT_EQ(dataset_->info().cut, 0u);
}

TEST_F(Imdb, HashIsOfTheSplitsNumbers) {
  uint8_t train[16], test[16], again[16];
  ASSERT_TRUE(ok(open()));
  ASSERT_TRUE(ok(dataset_->hash(train)));
  ASSERT_TRUE(ok(open(Split::test)));
  ASSERT_TRUE(ok(dataset_->hash(test)));
  EXPECT_NE(std::memcmp(train, test, 16), 0);
  test_.labels[0] = 1;
  write();
  ASSERT_TRUE(ok(open()));
  ASSERT_TRUE(ok(dataset_->hash(again)));
  EXPECT_EQ(std::memcmp(train, again, 16), 0);
  ASSERT_TRUE(ok(open(Split::test)));
  ASSERT_TRUE(ok(dataset_->hash(again)));
  EXPECT_NE(std::memcmp(test, again, 16), 0);
}

TEST_F(Imdb, IsFoundWhereItIsMade) {
  EXPECT_TRUE(format_.found(folder_.path().c_str()));
  for (const char* subfolder : {"aclImdb", "imdb", "imdb/aclImdb"}) {
    TemporaryFolder parent;
    EXPECT_FALSE(format_.found(parent.path().c_str()));
    write_file(parent / subfolder + "/imdb-words.safetensors", file());
    EXPECT_TRUE(format_.found(parent.path().c_str())) << subfolder;
    EXPECT_TRUE(ok(open(parent.path()))) << last_error();
  }
  for (const char* raw : {"aclImdb/train/pos/0_9.txt", "aclImdb_v1.tar.gz"}) {
    TemporaryFolder parent;
    write_file(parent / raw, "not prepared");
    EXPECT_TRUE(format_.found(parent.path().c_str())) << raw;
    EXPECT_EQ(open(parent.path()), Status::io);
    EXPECT_NE(std::string(last_error()).find("lean-train data prepare imdb " + parent.path()), std::string::npos)
        << last_error();
  }
  TemporaryFolder empty;
  for (const std::string& nowhere : {empty.path(), empty / "none", path_}) {
    EXPECT_EQ(open(nowhere), Status::io);
    EXPECT_NE(std::string(last_error()).find("lean-train data get imdb"), std::string::npos) << last_error();
  }
}

TEST_F(Imdb, RefusesNumbersThatLie) {
  const SplitArrays whole = train_;
  const auto lie = [&](const std::vector<std::string>& words, const auto& change) {
    train_ = whole;
    change();
    file_refused(words);
    EXPECT_TRUE(ok(open(Split::test))) << last_error();  // the other split is as it was
  };
  lie({"train.words[2] is 100", "less than 100"}, [&] { train_.words[2] = 100; });
  lie({"train.words[853] is 65535"}, [&] { train_.words.back() = 65535; });
  lie({"train.labels[3] is 2", "0 or 1"}, [&] { train_.labels[3] = 2; });
  lie({"train.offsets[0] is 1"}, [&] { train_.offsets[0] = 1; });
  lie({"train.offsets[2] is 2, expected 3"}, [&] { train_.offsets[2] = 2; });
  lie({"train.offsets[1] is -1"}, [&] { train_.offsets[1] = -1; });
  lie({"train.offsets[6] is 9223372036854775807"}, [&] { train_.offsets[6] = INT64_MAX; });
  lie({"train.offsets end at 854, there are 855"}, [&] { train_.words.push_back(4), train_.offsets.back() = 854; });
  lie({"7 labels and 7 offsets"}, [&] { train_.offsets.pop_back(); });
  lie({"0 labels"}, [&] { train_ = {{0}, {}, {}}; });
}

TEST_F(Imdb, RefusesOtherFiles) {
  for (const char* name : {"train.offsets", "train.words", "train.labels"}) {
    left_out_ = name;
    file_refused({std::string("has no tensor ") + name});
  }
  left_out_ = "";
  words_type_ = "I16";
  file_refused({"test.words is I16", "expected U16"}, Split::test);
  words_type_ = "U16";
  shift_ = 4;
  file_refused({"train.offsets begins at no multiple of 8 bytes"});
  shift_ = 0;
  for (const char* vocabulary : {"", "4", "-1", "1e3", "65537", "99999999999", "100 "}) {
    vocabulary_ = vocabulary;
    file_refused({"its vocabulary is"});
  }
  vocabulary_ = "100";
  file_format_ = "pt";
  file_refused({"its format is \"pt\""});
}

TEST_F(Imdb, EveryCutAndEveryFlippedByteIsNoticed) {
  const std::string whole = file();
  for (size_t n = 0; n < whole.size(); n += 13) {
    write_file(path_, whole.substr(0, n));
    EXPECT_EQ(open(), Status::format) << n << " bytes";
  }
  const size_t header_bytes = whole.find("]}}") + 3;
  for (size_t i = (header_bytes + 63) / 64 * 64; i < whole.size(); i += 7) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    write_file(path_, changed);
    refused(Status::format, {"damaged"});
  }
}

TEST_F(Imdb, NoticesFilesChangedWhileInUse) {
  ASSERT_TRUE(ok(open()));
  const std::string whole = file();
  const uint32_t index = 1;
  std::vector<int32_t> x(steps);
  int32_t label = -1;
  uint32_t length = 0;
  const auto put = [&](const SplitArrays& changed) {
    train_ = changed;
    const std::string bytes = file();
    std::fstream out(path_, std::ios::in | std::ios::out | std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  };
  const SplitArrays before = train_;
  SplitArrays changed = before;
  changed.words[100] = 101;
  put(changed);
  EXPECT_EQ(dataset_->read(&index, 1, x.data(), &label), Status::io);
  EXPECT_NE(std::string(last_error()).find("review 1 changed to hold number 101"), std::string::npos) << last_error();
  changed = before;
  changed.labels[1] = 9;
  put(changed);
  EXPECT_EQ(dataset_->read(&index, 1, x.data(), &label), Status::io);
  changed = before;
  changed.offsets[2] = int64_t{1} << 40;
  put(changed);
  EXPECT_EQ(dataset_->lengths(&index, 1, &length), Status::io);
  put(before);
  ASSERT_TRUE(ok(dataset_->read(&index, 1, x.data(), &label)));
  ASSERT_EQ(::truncate(path_.c_str(), 100), 0);
  EXPECT_EQ(dataset_->read(&index, 1, x.data(), &label), Status::io);
  EXPECT_EQ(dataset_->lengths(&index, 1, &length), Status::io);
  uint8_t hash[16];
  EXPECT_EQ(dataset_->hash(hash), Status::io);
}

}  // namespace
}  // namespace lt
