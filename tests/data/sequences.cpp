// Arrays of a user's own: NPY and IDX files as NumPy and others write them are read to the bit, and headers that lie, break
// off or mean something else are refused with one sentence.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "data/array_file.h"
#include "src/dataset.h"
#include "tests/data/dataset_case.h"
#include "tests/data/temporary_folder.h"

namespace lt {
namespace {

using data::ArrayFile;
using data::ElementType;
using tests::DatasetCase;
using tests::TemporaryFolder;
using tests::write_file;

// A number's bytes, the lowest first, or the highest.
template <class Number>
std::string number(Number value, bool big = false) {
  char bytes[sizeof(Number)];
  std::memcpy(bytes, &value, sizeof value);
  return big ? std::string(std::rbegin(bytes), std::rend(bytes)) : std::string(bytes, sizeof bytes);
}

template <class Number>
std::string numbers(const std::vector<Number>& values, bool big = false) {
  std::string bytes;
  for (const Number value : values) bytes += number(value, big);
  return bytes;
}

std::string npy(std::string header, const std::string& elements, int version = 1) {
  const size_t before = version == 1 ? 10 : 12;
  header.resize((before + header.size() + 64) / 64 * 64 - before - 1, ' ');
  header += '\n';
  std::string file = "\x93NUMPY" + std::string(1, static_cast<char>(version)) + std::string(1, '\0');
  file += version == 1 ? number(static_cast<uint16_t>(header.size())) : number(static_cast<uint32_t>(header.size()));
  return file + header + elements;
}

std::string npy_header(const std::string& type, const std::string& shape) {
  return "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
}

std::string idx(uint8_t type, const std::vector<uint32_t>& shape, const std::string& elements) {
  std::string file = std::string(2, '\0') + static_cast<char>(type) + static_cast<char>(shape.size());
  return file + numbers(shape, true) + elements;
}

class Arrays : public ::testing::Test {
 protected:
  Status open(const std::string& bytes) {
    write_file(path_, bytes);
    array_ = {};
    return data::open_array(path_.c_str(), &array_);
  }
  void refused(const std::string& bytes, const std::string& words) {
    EXPECT_EQ(open(bytes), Status::format) << words;
    const std::string text = last_error();
    EXPECT_NE(text.find(path_), std::string::npos) << text;
    EXPECT_NE(text.find(words), std::string::npos) << "'" << words << "' in: " << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
  void header_refused(const std::string& header, const std::string& words) { refused(npy(header, "12345678"), words); }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "array";
  ArrayFile array_;
};

TEST_F(Arrays, ReadsFloatsOfEveryKind) {
  const std::vector<float> values = {1.5f, -2.25f, 0.1f, 1e30f, -0.0f, 3.0f};
  const std::vector<double> doubles = {1.5, -2.25, 0.1, 1e30, -0.0, 3.0};
  for (const std::string& file :
       {npy(npy_header("<f4", "(3, 2)"), numbers(values)), npy(npy_header("<f4", "(3, 2)"), numbers(values), 2),
        npy(npy_header("=f4", "(3, 2)"), numbers(values), 3), npy(npy_header(">f4", "(3, 2)"), numbers(values, true)),
        npy(npy_header("<f8", "(3, 2)"), numbers(doubles)), npy(npy_header(">f8", "(3, 2)"), numbers(doubles, true)),
        npy("{\"shape\":(3,2),\n\"fortran_order\":False,\"descr\":\"<f4\"}", numbers(values)),
        idx(0x0d, {3, 2}, numbers(values, true)), idx(0x0e, {3, 2}, numbers(doubles, true))}) {
    ASSERT_EQ(open(file), Status::ok) << last_error();
    EXPECT_EQ(array_.rank, 2u);
    EXPECT_EQ(array_.shape[0], 3u);
    EXPECT_EQ(array_.shape[1], 2u);
    EXPECT_EQ(array_.count, 6u);
    float read[6];
    array_.floats(0, 6, read);
    EXPECT_EQ(std::memcmp(read, values.data(), sizeof read), 0);
    array_.floats(4, 2, read);
    EXPECT_EQ(read[1], 3.0f);
  }
}

TEST_F(Arrays, ReadsWholeNumbersOfEveryKind) {
  const auto expect = [&](const std::string& file, ElementType type, std::vector<int64_t> values) {
    ASSERT_EQ(open(file), Status::ok) << last_error();
    EXPECT_EQ(array_.type, type);
    ASSERT_EQ(array_.count, values.size());
    for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(array_.integer(i), values[i]);
  };
  expect(npy(npy_header("|u1", "(3,)"), "\x01\x80\xff"), ElementType::u8, {1, 128, 255});
  expect(npy(npy_header("|i1", "(3,)"), "\x01\x80\xff"), ElementType::i8, {1, -128, -1});
  expect(npy(npy_header("<u2", "(2,)"), numbers<uint16_t>({1, 65535})), ElementType::u16, {1, 65535});
  expect(npy(npy_header("<i2", "(2,)"), numbers<int16_t>({-2, 300})), ElementType::i16, {-2, 300});
  expect(npy(npy_header(">i2", "(2,)"), numbers<int16_t>({-2, 300}, true)), ElementType::i16, {-2, 300});
  expect(npy(npy_header("<u4", "(1,)"), numbers<uint32_t>({4000000000})), ElementType::u32, {4000000000});
  expect(npy(npy_header("<i4", "(2,)"), numbers<int32_t>({-7, 1 << 30})), ElementType::i32, {-7, 1 << 30});
  expect(npy(npy_header("<i8", "(2,)"), numbers<int64_t>({-7, int64_t{1} << 60})), ElementType::i64,
         {-7, int64_t{1} << 60});
  expect(npy(npy_header("<u8", "(2,)"), numbers<uint64_t>({5, UINT64_MAX})), ElementType::u64, {5, -1});
  expect(idx(0x08, {2}, "\x05\xf0"), ElementType::u8, {5, 240});
  expect(idx(0x09, {2}, "\x05\xf0"), ElementType::i8, {5, -16});
  expect(idx(0x0b, {1}, numbers<int16_t>({-300}, true)), ElementType::i16, {-300});
  expect(idx(0x0c, {1}, numbers<int32_t>({-70000}, true)), ElementType::i32, {-70000});
}

TEST_F(Arrays, RefusesHeadersThatLie) {
  for (const char* shape : {"(3,)", "(1,)", "(18446744073709551615,)", "(4611686018427387905,)", "(4294967296, 4294967296)",
                            "(65536, 65536, 65536, 65536)"})
    header_refused(npy_header("<f4", shape), "need");
  header_refused(npy_header("<f4", "(18446744073709551616,)"), "no whole number");
  header_refused(npy_header("<f4", "(0,)"), "dimension 0 of its shape is 0");
  header_refused(npy_header("<f4", "(2, 0)"), "dimension 1");
  header_refused(npy_header("<f4", "()"), "a single number");
  header_refused(npy_header("<f4", "(1, 1, 1, 1, 2)"), "more than 4 dimensions");
  refused(npy(npy_header("<f4", "(2,)"), "1234567"), "cut off");
  refused(npy(npy_header("<f4", "(2,)"), "123456789"), "too many");
  refused(idx(0x0d, {3}, "12345678"), "need 12 bytes behind byte 8, the file has 8 there: cut off");
  refused(idx(0x0d, {1}, "12345678"), "too many");
  refused(idx(0x0d, {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}, "12345678"), "cut off");
  refused(idx(0x0d, {0}, ""), "is 0");
  refused(idx(0x0a, {1}, "1"), "0x0a is no type");
  refused(idx(0x08, {}, "1"), "0 dimensions");
  refused(idx(0x08, {1, 1, 1, 1, 1}, "1"), "5 dimensions");
}

TEST_F(Arrays, RefusesWhatIsNoHeader) {
  header_refused("", "no dictionary");
  header_refused("{", "no name and colon");
  header_refused("{}", "no descr, fortran_order or shape");
  header_refused("{'descr': '<f4', 'shape': (2,)}", "no descr, fortran_order or shape");
  header_refused("{'descr': '<f4', 'descr': '<f4'}", "descr twice");
  header_refused("{'descr': '<f4' 'shape': (2,)}", "no comma");
  header_refused("{'descr' '<f4'}", "no name and colon");
  header_refused("{'descr': '<f4', 'size': 3}", "an unknown name");
  header_refused("{'descr': [('a', '<f4')]}", "no plain type");
  header_refused("{'descr': '\\x3cf4'}", "no plain type");
  header_refused("{'descr': '<f4", "no plain type");
  header_refused(npy_header("<f2", "(2,)"), "elements of type <f2");
  header_refused(npy_header("|O", "(2,)"), "elements of type |O");
  header_refused(npy_header("", "(2,)"), "elements of type");
  header_refused(npy_header(std::string(1000, 'x'), "(2,)"), "elements of type xxxxxxxxxxxxxxxxxxxx,");
  header_refused("{'descr': '<f4', 'fortran_order': True, 'shape': (2,)}", "Fortran's order");
  header_refused("{'descr': '<f4', 'fortran_order': 1, 'shape': (2,)}", "neither True nor False");
  for (const char* shape : {"(2)", "(2 1)", "(2.0,)"}) header_refused(npy_header("<f4", shape), "shape without its comma");
  for (const char* shape : {"(-2,)", "(1, 2", "(,)", "(2, ,)", "(None,)"})
    header_refused(npy_header("<f4", shape), "no whole number");
  header_refused(npy_header("<f4", "2"), "no tuple");
  header_refused(npy_header("<f4", "(2,)") + " {}", "more behind");
  refused(npy(npy_header("<f4", "(2,)"), "12345678", 4), "version 4.0");
  refused(npy(npy_header("<f4", std::string(70000, ' ') + "(2,)"), "12345678", 2), "at most 65536");
  refused("PK\x03\x04", ".npz");
  refused("\x1f\x8b\x08", "gzip");
  refused("", "0 bytes");
  refused("1.0, 2.0", "neither an NPY nor an IDX");
}

// Every beginning of a right file, and every right file with one byte of its header changed: an error, or an array that
// lies within the file.
TEST_F(Arrays, NoHeaderLeadsOutOfTheFile) {
  for (const std::string& whole :
       {npy(npy_header("<f4", "(2, 3)"), std::string(24, 'x')), npy(npy_header("<f4", "(2, 3)"), std::string(24, 'x'), 2),
        idx(0x0d, {2, 3}, std::string(24, 'x'))}) {
    for (size_t n = 0; n < whole.size(); ++n) EXPECT_EQ(open(whole.substr(0, n)), Status::format) << n;
    const size_t header_bytes = whole.size() - 24;
    for (size_t i = 0; i < header_bytes; ++i) {
      for (const int flip : {1, 8, 32, 255}) {
        std::string changed = whole;
        changed[i] = static_cast<char>(changed[i] ^ flip);
        if (!ok(open(changed))) continue;
        ASSERT_EQ(array_.elements + array_.count * element_bytes(array_.type), array_.file.bytes() + array_.file.size());
        ASSERT_GE(array_.elements, array_.file.bytes() + 8);
      }
    }
  }
}

class Sequences : public DatasetCase {
 protected:
  Sequences() : DatasetCase("sequences") {
    // 3 samples of 2 steps with 2 features; the number tells its place.
    write_file(folder_ / "train-sequences.npy", npy(npy_header("<f8", "(3, 2, 2)"), numbers<double>(values_)));
    write_file(folder_ / "train-labels.npy", npy(npy_header("<i8", "(3,)"), numbers<int64_t>({2, 0, 5})));
    write_file(folder_ / "train-lengths.npy", npy(npy_header("<i4", "(3,)"), numbers<int32_t>({2, 1, 2})));
  }

  const std::vector<double> values_ = {0, 1, 10, 11, 100, 101, 110, 111, 200, 201, 210, 211};
};

TEST_F(Sequences, AreReadWithZerosBehindTheirEnd) {
  ASSERT_TRUE(format_.found(folder_.path().c_str()));
  ASSERT_TRUE(ok(open())) << last_error();
  const DatasetInfo& info = dataset_->info();
  EXPECT_STREQ(info.name, "sequences");
  EXPECT_EQ(info.count, 3u);
  EXPECT_EQ(info.classes, 6u);
  EXPECT_EQ(info.vocabulary, 0u);
  EXPECT_EQ(info.x_dtype, DType::f32);
  EXPECT_TRUE((info.extent == Extent{2, 2, 1}));
  const uint32_t indices[] = {2, 1, 0, 1};
  std::vector<float> x(16, 7.0f);
  int32_t labels[4];
  uint32_t lengths[4];
  ASSERT_TRUE(ok(dataset_->read(indices, 4, x.data(), labels)));
  ASSERT_TRUE(ok(dataset_->lengths(indices, 4, lengths)));
  EXPECT_EQ(x, (std::vector<float>{200, 201, 210, 211, 100, 101, 0, 0, 0, 1, 10, 11, 100, 101, 0, 0}));
  EXPECT_EQ(std::vector<int32_t>(labels, labels + 4), (std::vector<int32_t>{5, 0, 2, 0}));
  EXPECT_EQ(std::vector<uint32_t>(lengths, lengths + 4), (std::vector<uint32_t>{2, 1, 2, 1}));
  EXPECT_TRUE(info.has_lengths);
  const uint32_t past = 3;
  EXPECT_EQ(dataset_->read(&past, 1, x.data(), labels), Status::argument);
  EXPECT_EQ(dataset_->lengths(&past, 1, lengths), Status::argument);
}

TEST_F(Sequences, MayBeBytesOfFullLengthInIdxBesideIt) {
  TemporaryFolder parent;
  write_file(parent / "sequences/test-sequences.idx", idx(0x08, {2, 3, 1}, "abcdef"));
  write_file(parent / "sequences/test-labels.idx", idx(0x08, {2}, std::string("\x01\x00", 2)));
  EXPECT_TRUE(format_.found(parent.path().c_str()));
  ASSERT_TRUE(ok(format_.open(parent.path().c_str(), Split::test, 1, &dataset_))) << last_error();
  EXPECT_EQ(dataset_->info().x_dtype, DType::u8);
  const uint32_t indices[] = {1, 0};
  uint8_t x[6];
  int32_t labels[2];
  uint32_t lengths[2];
  ASSERT_TRUE(ok(dataset_->read(indices, 2, x, labels)));
  ASSERT_TRUE(ok(dataset_->lengths(indices, 2, lengths)));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(x), 6), "defabc");
  EXPECT_EQ(labels[1], 1);
  EXPECT_EQ(lengths[0], 3u);
  EXPECT_FALSE(dataset_->info().has_lengths);
  EXPECT_EQ(format_.open(parent.path().c_str(), Split::train, 1, &dataset_), Status::io);
  EXPECT_NE(std::string(last_error()).find("train-sequences.npy"), std::string::npos) << last_error();
}

TEST_F(Sequences, HashIsOfAllFiles) {
  uint8_t hash[16], again[16];
  ASSERT_TRUE(ok(open()));
  ASSERT_TRUE(ok(dataset_->hash(hash)));
  write_file(folder_ / "train-lengths.npy", npy(npy_header("<i4", "(3,)"), numbers<int32_t>({2, 1, 1})));
  ASSERT_TRUE(ok(open()));
  ASSERT_TRUE(ok(dataset_->hash(again)));
  EXPECT_NE(std::memcmp(hash, again, 16), 0);
}

TEST_F(Sequences, RefusesWhatDoesNotFit) {
  const auto write = [&](const char* name, const std::string& bytes) { write_file(folder_ / name, bytes); };
  write("train-lengths.npy", npy(npy_header("<i4", "(3,)"), numbers<int32_t>({2, 3, 2})));
  refused(Status::format, {"train-lengths.npy", "sample 1 has 3, expected 1 to 2"});
  write("train-lengths.npy", npy(npy_header("<i4", "(3,)"), numbers<int32_t>({2, 2, 0})));
  refused(Status::format, {"sample 2 has 0"});
  write("train-lengths.npy", npy(npy_header("<i4", "(2,)"), numbers<int32_t>({2, 2})));
  refused(Status::mismatch, {"2 numbers in 1 dimensions", "3 samples"});
  write("train-lengths.npy", npy(npy_header("<f4", "(3,)"), numbers<float>({2, 2, 2})));
  refused(Status::format, {"floats, expected whole numbers"});
  std::filesystem::remove(folder_ / "train-lengths.npy");
  ASSERT_TRUE(ok(open())) << last_error();
  for (const int64_t label : {int64_t{-1}, int64_t{1} << 20, INT64_MAX, INT64_MIN}) {
    write("train-labels.npy", npy(npy_header("<i8", "(3,)"), numbers<int64_t>({0, 0, label})));
    refused(Status::format, {"train-labels.npy", "sample 2 has " + std::to_string(label)});
  }
  std::filesystem::remove(folder_ / "train-labels.npy");
  refused(Status::io, {"train-labels.npy"});
  write("train-sequences.npy", npy(npy_header("<f8", "(3, 4)"), numbers<double>(values_)));
  write("train-labels.npy", npy(npy_header("<i8", "(3,)"), numbers<int64_t>({0, 0, 0})));
  refused(Status::format, {"2 dimensions", "[samples][time][features]"});
  write("train-sequences.npy", npy(npy_header("<i4", "(3, 2, 4)"), numbers<double>(values_)));
  refused(Status::format, {"signed or wide whole numbers"});
}

// A file that claims to be huge and is, though it is but a hole, costs no memory.
TEST_F(Sequences, RefusesSamplesThatFitNoMemory) {
  const std::string header = npy(npy_header("|u1", "(2, 65536, 8192)"), "");
  write_file(folder_ / "train-sequences.npy", header);
  ASSERT_EQ(::truncate((folder_ / "train-sequences.npy").c_str(), static_cast<off_t>(header.size()) + (int64_t{1} << 30)),
            0);
  refused(Status::format, {"2 samples of 536870912 numbers"});
}

TEST_F(Sequences, NoticesFilesChangedWhileInUse) {
  ASSERT_TRUE(ok(open()));
  const uint32_t index = 1;
  float x[4];
  int32_t label;
  uint32_t length;
  const auto put = [&](const std::string& name, int64_t from_end, char byte) {
    std::fstream file(folder_ / name, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-from_end, std::ios::end);
    file.put(byte);
  };
  put("train-lengths.npy", 8, 3);
  EXPECT_EQ(dataset_->read(&index, 1, x, &label), Status::io);
  EXPECT_EQ(dataset_->lengths(&index, 1, &length), Status::io);
  put("train-lengths.npy", 8, 2);
  ASSERT_TRUE(ok(dataset_->read(&index, 1, x, &label)));
  put("train-labels.npy", 16, 6);
  EXPECT_EQ(dataset_->read(&index, 1, x, &label), Status::io);
  EXPECT_NE(std::string(last_error()).find("sample 1 changed to 6"), std::string::npos) << last_error();
  put("train-labels.npy", 16, 0);
  ASSERT_EQ(::truncate((folder_ / "train-sequences.npy").c_str(), 100), 0);
  EXPECT_EQ(dataset_->read(&index, 1, x, &label), Status::io);
}

}  // namespace
}  // namespace lt
