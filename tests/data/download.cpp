// Fetching from servers that break off, lie, or have nothing, by curl and by wget; and unpacking what may be damaged or a
// bomb. The server is tests/data/http_server.py on the loopback interface.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/data/temporary_folder.h"
#include "tools/data_download.h"
#include "tools/data_publishers.h"
#include "tools/data_unpack.h"

namespace lt::tool {
namespace {

using tests::read_file;
using tests::TemporaryFolder;
using tests::write_file;

// SHA-256 of "abc": FIPS 180-2, appendix B.1.
constexpr const char* abc_sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

std::string gzip(const std::string& bytes) {
  TemporaryFolder folder;
  gzFile file = ::gzopen((folder / "x.gz").c_str(), "wb6");
  EXPECT_EQ(::gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
  EXPECT_EQ(::gzclose(file), Z_OK);
  return read_file(folder / "x.gz");
}

class WebServer {
 public:
  bool start(const std::string& folder) {
    const char* python = std::getenv("PYTHON3");
    const char* script = std::getenv("HTTP_SERVER");
    if (!python || !script) return false;
    int ends[2];
    if (::pipe(ends) != 0) return false;
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(ends[1], 1);
      ::close(ends[0]);
      ::close(ends[1]);
      ::execl(python, python, script, folder.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    lines_ = ::fdopen(ends[0], "r");
    unsigned port = 0;
    if (!lines_ || std::fscanf(lines_, "%u", &port) != 1) return false;
    base_ = "http://127.0.0.1:" + std::to_string(port);
    return true;
  }
  ~WebServer() {
    if (lines_) std::fclose(lines_);
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
  }
  const std::string& base() const { return base_; }

  // The next request's path and range, "-" where it asked for none.
  std::string next_request() {
    char path[256], range[64];
    return std::fscanf(lines_, "%255s %63s", path, range) == 2 ? std::string(path) + " " + range : "";
  }

 private:
  pid_t child_ = -1;
  FILE* lines_ = nullptr;
  std::string base_;
};

class Fetching : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (::system((std::string("command -v ") + GetParam() + " >/dev/null").c_str()) != 0)
      GTEST_SKIP() << "no " << GetParam();
    ::setenv("no_proxy", "127.0.0.1", 1);
    for (int i = 0; i < 200000; ++i) bytes_ += static_cast<char>(i * 31 + i / 251);
    write_file(served_ / "data.gz", bytes_);
    sha256_ = file_sha256(served_ / "data.gz");
    if (!server_.start(served_.path())) GTEST_SKIP() << "no python3 for the server";
  }

  Fetched fetch(const std::string& mode, bool known = true) {
    seen_ = 0;
    Download what = {server_.base() + "/" + mode + "/data.gz", path_, 0, "", 1 << 20};
    if (known) what.bytes = bytes_.size(), what.sha256 = sha256_;
    return download(what, GetParam(), [this](uint64_t bytes) { seen_ = bytes; });
  }
  void fetched(const std::string& mode, bool known = true) {
    const Fetched result = fetch(mode, known);
    EXPECT_EQ(result.result, Fetched::ok) << mode << ": " << result.why;
    EXPECT_TRUE(read_file(path_) == bytes_) << mode;
    EXPECT_FALSE(std::filesystem::exists(part_));
  }
  void refused(const std::string& mode, Fetched::Result expected, const std::string& words, bool known = true) {
    const Fetched result = fetch(mode, known);
    EXPECT_EQ(result.result, expected) << mode << ": " << result.why;
    EXPECT_NE(result.why.find(words), std::string::npos) << "'" << words << "' in: " << result.why;
    EXPECT_FALSE(std::filesystem::exists(path_)) << mode;
  }

  TemporaryFolder served_, folder_;
  const std::string path_ = folder_ / "data.gz", part_ = path_ + ".part";
  std::string bytes_, sha256_;
  uint64_t seen_ = 0;
  WebServer server_;
};

TEST_P(Fetching, GetsAFile) {
  fetched("good");
  fetched("good", false);
  fetched("moved");
}

TEST_P(Fetching, GoesOnWhereItBrokeOff) {
  fetched("break-120000-once");
  EXPECT_EQ(server_.next_request(), "/break-120000-once/data.gz -");
  EXPECT_EQ(server_.next_request(), "/break-120000-once/data.gz bytes=120000-");
  std::filesystem::remove(path_);
  fetched("break-50000");  // every time
  std::filesystem::remove(path_);
  fetched("break-120000-once", false);
}

TEST_P(Fetching, GoesOnWhereAnEarlierRunBrokeOff) {
  write_file(part_, bytes_.substr(0, 150000));
  fetched("good");
  EXPECT_EQ(server_.next_request(), "/good/data.gz bytes=150000-");
  // The last byte had come, the end of the program before its check.
  write_file(part_, bytes_);
  fetched("404");
}

TEST_P(Fetching, BeginsAnewWhereGoingOnDoesNotHelp) {
  write_file(part_, bytes_.substr(0, 150000));
  fetched("no-ranges");
  write_file(part_, std::string(150000, 'x'));  // of another file
  fetched("good");
  write_file(part_, bytes_ + "more");
  fetched("good");
  write_file(part_, std::string(bytes_.size(), 'x'));
  fetched("good");
  write_file(part_, std::string(10, 'x'));  // of an unknown file
  fetched("good", false);
}

TEST_P(Fetching, TellsWhatTheServerSaid) {
  refused("404", Fetched::unreachable, "404");
  refused("403", Fetched::unreachable, "403");
  refused("500", Fetched::unreachable, "500");
  refused("404", Fetched::unreachable, "404", false);
}

TEST_P(Fetching, AFailureKeepsWhatIsThere) {
  write_file(part_, bytes_.substr(0, 150000));
  refused("404", Fetched::unreachable, "404");
  EXPECT_TRUE(read_file(part_) == bytes_.substr(0, 150000));
  Download what = {"http://127.0.0.1:1/data.gz", path_, bytes_.size(), sha256_, 0};  // nobody listens
  const Fetched result = download(what, GetParam(), nullptr);
  EXPECT_EQ(result.result, Fetched::unreachable) << result.why;
  EXPECT_NE(result.why.find("127.0.0.1:1/data.gz"), std::string::npos) << result.why;
  EXPECT_TRUE(read_file(part_) == bytes_.substr(0, 150000));
  fetched("good");
}

TEST_P(Fetching, RefusesOtherBytesThanTheAnnounced) {
  refused("wrong", Fetched::wrong_bytes, sha256_);
  EXPECT_FALSE(std::filesystem::exists(part_));
  refused("page", Fetched::wrong_bytes, "18 bytes came, expected 200000");
  refused("short", Fetched::wrong_bytes, "100000 bytes came, expected 200000");
}

TEST_P(Fetching, TakesTheWholeFileFromAServerThatLiesAboutItsLength) { fetched("long"); }

TEST_P(Fetching, NeverWritesMoreThanAnnounced) {
  refused("endless", Fetched::wrong_bytes, "more than 200000 bytes");
  refused("endless", Fetched::wrong_bytes, "more than 1048576 bytes", false);
  EXPECT_FALSE(std::filesystem::exists(part_));
}

TEST_P(Fetching, LeavesTheWeb) {
  EXPECT_NE(fetch("file").result, Fetched::ok);  // redirected to a file of this machine
  EXPECT_FALSE(std::filesystem::exists(path_));
  const Fetched result = download({"file:///etc/hostname", path_, 0, "", 1000}, GetParam(), nullptr);
  EXPECT_EQ(result.result, Fetched::local);
}

TEST_P(Fetching, AFullOrForbiddenDiskIsNotTheServersFault) {
  Download what = {server_.base() + "/good/data.gz", folder_ / "no/such/folder/data.gz", bytes_.size(), sha256_, 0};
  EXPECT_EQ(download(what, GetParam(), nullptr).result, Fetched::local);
  what.path = path_;
  EXPECT_EQ(download(what, "no-such-program", nullptr).result, Fetched::local);
}

INSTANTIATE_TEST_SUITE_P(Programs, Fetching, ::testing::Values("curl", "wget"));

TEST(FileSha256, GivesTheKnownAnswer) {
  TemporaryFolder folder;
  write_file(folder / "abc", "abc");
  EXPECT_EQ(file_sha256(folder / "abc"), abc_sha256);
  EXPECT_EQ(file_sha256(folder / "none"), "");
}

class Unpacking : public ::testing::Test {
 protected:
  void refused(const std::string& packed, const std::string& words, uint64_t bytes, const std::string& sha256 = "") {
    write_file(from_, packed);
    write_file(to_, "old");
    const Fetched result = unpack(from_, to_, bytes, sha256, nullptr);
    EXPECT_EQ(result.result, Fetched::wrong_bytes) << result.why;
    EXPECT_NE(result.why.find(words), std::string::npos) << "'" << words << "' in: " << result.why;
    EXPECT_EQ(read_file(to_), "old");
    size_t entries = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path())) ++entries;
    EXPECT_EQ(entries, 2u) << "nothing temporary stays";
  }

  TemporaryFolder folder_;
  const std::string from_ = folder_ / "data.gz", to_ = folder_ / "data";
};

TEST_F(Unpacking, PutsTheFileInPlace) {
  write_file(from_, gzip("abc"));
  std::string found;
  ASSERT_EQ(unpack(from_, to_, 3, abc_sha256, &found).result, Fetched::ok);
  EXPECT_EQ(read_file(to_), "abc");
  EXPECT_EQ(found, abc_sha256);
  write_file(from_, "abc");  // not packed at all
  ASSERT_EQ(unpack(from_, to_, 3, abc_sha256, nullptr).result, Fetched::ok);
  EXPECT_EQ(unpack(folder_ / "none", to_, 3, "", nullptr).result, Fetched::local);
  EXPECT_EQ(unpack(from_, folder_ / "no/such", 3, "", nullptr).result, Fetched::local);
}

TEST_F(Unpacking, RefusesDamageAndWrongSizes) {
  const std::string bytes(100000, 'b'), packed = gzip(bytes);
  refused(packed.substr(0, packed.size() - 9), "cut short", bytes.size());
  refused(packed.substr(0, 30), "cut short", bytes.size());
  std::string flipped = packed;
  flipped[packed.size() - 6] = static_cast<char>(flipped[packed.size() - 6] ^ 1);  // in the CRC
  refused(flipped, "damaged", bytes.size());
  refused(packed, "unpacks to 100000 bytes, expected 100001", 100001);
  refused(packed, "more than the 99999 bytes", 99999);
  refused(gzip("abd"), "expected " + std::string(abc_sha256), 3, abc_sha256);
  refused("", "0 bytes, expected 3", 3);
}

TEST_F(Unpacking, ABombIsCutOffAtTheAnnouncedSize) {
  refused(gzip(std::string(50 << 20, '\0')), "more than the 1000 bytes", 1000);
}

TEST(Publishers, ListsAreWhole) {
  const PublishedSet* mnist = published_set("mnist");
  ASSERT_NE(mnist, nullptr);
  EXPECT_EQ(mnist->file_count, 4u);
  EXPECT_EQ(mnist->bytes(), 54950048u);
  EXPECT_EQ(mnist->packed_bytes(), 11594722u);
  EXPECT_GE(mnist->mirror_count, 2u);
  for (size_t i = 0; i < mnist->file_count; ++i) {
    EXPECT_EQ(std::string(mnist->files[i].sha256).size(), 64u);
    EXPECT_EQ(std::string(mnist->files[i].packed_sha256).size(), 64u);
  }
  const PublishedSet* cifar10 = published_set("cifar10");
  ASSERT_NE(cifar10, nullptr);
  EXPECT_EQ(cifar10->file_count, 6u);
  EXPECT_EQ(cifar10->bytes(), 60000u * 3073);
  EXPECT_EQ(cifar10->packed_bytes(), 170052171u);
  EXPECT_GE(cifar10->mirror_count, 1u);
  ASSERT_NE(cifar10->archive, nullptr);
  EXPECT_EQ(std::string(cifar10->archive->sha256).size(), 64u);
  EXPECT_EQ(published_set("synthetic-digits"), nullptr);
}

}  // namespace
}  // namespace lt::tool
