// safetensors files: what is written is read again, and bad files are refused with a sentence, whatever is wrong with them.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "src/base/safetensors_checksum.h"

namespace lt {
namespace {

class Safetensors : public ::testing::Test {
 protected:
  void SetUp() override { path_ = ::testing::TempDir() + "lean-train-" + std::to_string(getpid()) + ".safetensors"; }
  void TearDown() override { std::remove(path_.c_str()); }

  void write_file(uint64_t header_bytes, const std::string& header, const std::string& data) {
    std::ofstream file(path_, std::ios::binary);
    char length[8];
    for (int i = 0; i < 8; ++i) length[i] = static_cast<char>(header_bytes >> (8 * i));
    file.write(length, 8);
    file << header << data;
  }

  void expect_refused(const std::string& header, const std::string& data, const std::string& sentence) {
    write_file(header.size(), header, data);
    SafetensorsReader reader;
    EXPECT_EQ(SafetensorsReader::open(path_.c_str(), &reader), Status::format) << header;
    EXPECT_NE(std::string(last_error()).find(sentence), std::string::npos) << last_error();
  }

  std::string path_;
};

TEST_F(Safetensors, ReadsWhatItWrote) {
  const float a[6] = {1, 2, 3, 4, 5, 6}, b[2] = {-1, 0.5f};
  SafetensorsWriter writer;
  ASSERT_TRUE(ok(writer.create(path_.c_str(), {{"format", "pt"}}, {{"z", {2, 3}}, {"a.b", {2}}})));
  ASSERT_TRUE(ok(writer.write_tensor(a, 6)));
  ASSERT_TRUE(ok(writer.write_tensor(b, 2)));
  ASSERT_TRUE(ok(writer.commit()));
  SafetensorsReader reader;
  ASSERT_TRUE(ok(SafetensorsReader::open(path_.c_str(), &reader))) << last_error();
  ASSERT_NE(reader.find("z"), nullptr);
  EXPECT_EQ(reader.find("z")->shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(reader.find("z")->bytes, a, sizeof a), 0);
  EXPECT_EQ(std::memcmp(reader.find("a.b")->bytes, b, sizeof b), 0);
  EXPECT_EQ(reader.find("b"), nullptr);
  ASSERT_NE(reader.metadata("format"), nullptr);
  EXPECT_EQ(*reader.metadata("format"), "pt");
  EXPECT_EQ(reader.metadata("z"), nullptr);
  EXPECT_EQ(reader.file().path(), path_);
}

TEST_F(Safetensors, BadHeadersAreRefused) {
  const std::string tensor = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  write_file(tensor.size(), tensor, "1234");
  SafetensorsReader reader;
  EXPECT_TRUE(ok(SafetensorsReader::open(path_.c_str(), &reader))) << last_error();
  write_file(1ull << 63, tensor, "1234");
  EXPECT_EQ(SafetensorsReader::open(path_.c_str(), &reader), Status::format);
  write_file(tensor.size() + 5, tensor, "1234");
  EXPECT_EQ(SafetensorsReader::open(path_.c_str(), &reader), Status::format);

  expect_refused("{", "", "not JSON");
  expect_refused("[]", "", "array in the wrong place");
  expect_refused(std::string(10000, '['), "", "array in the wrong place");
  expect_refused(R"({"a":{"shape":{"a":[)", "", "an object inside a tensor");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "12345", "cut off or padded");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "123", "cut short");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "12345678", "leave a hole");
  expect_refused(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      "1234", "overlap");
  expect_refused(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
      "12345678", "two tensors are called");
  expect_refused(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}})", "1234", "overflows");
  expect_refused(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234", "negative");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", "1234", "fractional");
  expect_refused(R"({"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}})", "1234", "not JSON");
  expect_refused(R"({"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,4]}})", "1234", "unknown dtype");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", "1234", "data_offsets");
  expect_refused(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", "1234", "no dtype, shape");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", "1234", "8 dimensions");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":"y"}})", "1234", "unknown field");
}

TEST_F(Safetensors, EveryCutOfAFileIsRefused) {
  SafetensorsWriter writer;
  const std::vector<float> values(100, 1.5f);
  ASSERT_TRUE(ok(writer.create(path_.c_str(), {}, {{"a", {100}}})));
  ASSERT_TRUE(ok(writer.write_tensor(values.data(), values.size())));
  ASSERT_TRUE(ok(writer.commit()));
  std::ifstream file(path_, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (size_t length = 0; length < whole.size(); length += 7) {
    std::ofstream(path_, std::ios::binary) << whole.substr(0, length);
    SafetensorsReader reader;
    EXPECT_EQ(SafetensorsReader::open(path_.c_str(), &reader), Status::format) << length;
  }
}

// Mutations of a good file, from a fixed seed: bytes changed, cut out, doubled, headers grown and shrunk. None may crash (the
// sanitizers watch) nor pass with tensors outside of the file.
TEST_F(Safetensors, MutatedFilesAreRefusedOrSound) {
  const std::string header =
      R"({"__metadata__":{"format":"pt","n":"1"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("b.c":{"dtype":"U8","shape":[8],"data_offsets":[24,32]},"s":{"dtype":"I64","shape":[],"data_offsets":[32,40]}})";
  const std::string data(40, 'x');
  const std::string words[] = {"{", "}", "[", "]", ",", "\"", ":", "-1", "1e999", "18446744073709551615", "\\u0000", "null", "0",
                               "\"a\":", "\"__metadata__\":{", "\xff", "4294967296", "data_offsets", "9223372036854775808"};
  std::mt19937 random(20);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  int refused = 0, sound = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string text = header, bytes = data;
    const size_t changes = 1 + below(3);
    for (size_t i = 0; i < changes; ++i) {
      const size_t at = below(text.size()), n = std::min(text.size() - at, 1 + below(12));
      switch (below(6)) {
        case 0: text[at] = static_cast<char>(random()); break;
        case 1: text.erase(at, n); break;
        case 2: text.insert(at, text.substr(at, n)); break;
        case 3: text.insert(at, words[below(std::size(words))]); break;
        case 4: text.replace(at, n, words[below(std::size(words))]); break;
        default: bytes.resize(below(60)); break;
      }
      if (text.empty()) text = " ";
    }
    uint64_t length = text.size();
    if (below(10) == 0) length = uint64_t{1} << below(64);
    write_file(length, text, bytes);
    SafetensorsReader reader;
    const Status status = SafetensorsReader::open(path_.c_str(), &reader);
    if (!ok(status)) {
      ++refused;
      ASSERT_EQ(status, Status::format) << text;
      ASSERT_NE(std::string(last_error()).find(path_), std::string::npos) << last_error();
      continue;
    }
    ++sound;
    uint64_t total = 0;
    for (const SafetensorsEntry& entry : reader.entries()) {
      total += entry.end - entry.begin;
      ASSERT_LE(entry.bytes + (entry.end - entry.begin), reader.file().bytes() + reader.file().size());
    }
    ASSERT_EQ(total + reader.data_offset(), reader.file().size());
    bool present = false;
    ASSERT_TRUE(ok(safetensors_check(reader, &present)) || present);
  }
  EXPECT_GT(refused, 2000);
  EXPECT_GT(sound, 20);
}

}  // namespace
}  // namespace lt
