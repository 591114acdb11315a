// Files of the ground floor: mapping what is there, refusing what is not a file, and replacing in one piece whatever fails.
#include "src/base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "src/base/bytes.h"
#include "tests/data/temporary_folder.h"

namespace lt {
namespace {

using tests::read_file;
using tests::TemporaryFolder;
using tests::write_file;

bool says(const std::string& part) { return std::string(last_error()).find(part) != std::string::npos; }

size_t entries(const std::string& folder) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

TEST(ByteReader, ReadsBothOrdersAndNothingPastTheEnd) {
  const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xff};
  ByteReader reader(bytes, sizeof bytes);
  EXPECT_EQ(reader.u32_big(), 0x01020304u);
  EXPECT_EQ(reader.u32_little(), 0x08070605u);
  EXPECT_EQ(reader.u32_big(), std::nullopt);
  EXPECT_EQ(reader.offset(), 8u);
  EXPECT_EQ(reader.u16_big(), 0x090au);
  EXPECT_EQ(reader.bytes(2), nullptr);
  EXPECT_EQ(reader.bytes(UINT64_MAX), nullptr);
  EXPECT_EQ(reader.u8(), 0xffu);
  EXPECT_EQ(reader.left(), 0u);
  EXPECT_EQ(reader.u8(), std::nullopt);
  ByteReader again(bytes, sizeof bytes);
  EXPECT_EQ(again.u64_little(), 0x0807060504030201ull);
  EXPECT_EQ(again.u64_big(), std::nullopt);
}

TEST(MappedFile, MapsWhatIsThere) {
  TemporaryFolder folder;
  write_file(folder / "a file", "hello");
  MappedFile file;
  ASSERT_TRUE(ok(MappedFile::open((folder / "a file").c_str(), &file)));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file.bytes()), file.size()), "hello");
  MappedFile moved = std::move(file);
  EXPECT_EQ(moved.size(), 5u);
  EXPECT_EQ(file.bytes(), nullptr);  // NOLINT: that a moved-from file is empty is what is tested
  EXPECT_TRUE(ok(moved.check_size()));

  write_file(folder / "empty", "");
  ASSERT_TRUE(ok(MappedFile::open((folder / "empty").c_str(), &file)));
  EXPECT_EQ(file.size(), 0u);
}

TEST(MappedFile, RefusesWhatIsNotAFile) {
  TemporaryFolder folder;
  MappedFile file;
  EXPECT_EQ(MappedFile::open((folder / "none").c_str(), &file), Status::io);
  EXPECT_TRUE(says(folder / "none") && says("No such file")) << last_error();
  EXPECT_EQ(MappedFile::open(folder.path().c_str(), &file), Status::io);
  EXPECT_TRUE(says(folder.path()) && says("a directory")) << last_error();
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::open((folder / "pipe").c_str(), &file), Status::io);
  EXPECT_TRUE(says("a pipe")) << last_error();
  EXPECT_EQ(file.size(), 0u);
}

TEST(MappedFile, NoticesThatItWasCut) {
  TemporaryFolder folder;
  write_file(folder / "file", std::string(100, 'x'));
  MappedFile file;
  ASSERT_TRUE(ok(MappedFile::open((folder / "file").c_str(), &file)));
  ASSERT_EQ(::truncate((folder / "file").c_str(), 99), 0);
  EXPECT_EQ(file.check_size(), Status::io);
  EXPECT_TRUE(says("99 bytes") && says("100")) << last_error();
}

TEST(FileReplacement, ReplacesInOnePieceAndKeepsPermissions) {
  TemporaryFolder folder;
  const std::string path = folder / "weights.safetensors";
  write_file(path, "old");
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  FileReplacement replacement;
  ASSERT_TRUE(ok(replacement.create(path.c_str())));
  ASSERT_TRUE(ok(replacement.write("new ", 4)));
  ASSERT_TRUE(ok(replacement.write("bytes", 5)));
  EXPECT_EQ(read_file(path), "old");
  ASSERT_TRUE(ok(replacement.commit()));
  EXPECT_EQ(read_file(path), "new bytes");
  struct stat about;
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0640u);
  EXPECT_EQ(entries(folder.path()), 1u);
  EXPECT_EQ(replacement.write("x", 1), Status::state);
  EXPECT_EQ(replacement.commit(), Status::state);
}

TEST(FileReplacement, LeavesNothingWhereItIsNotCommitted) {
  TemporaryFolder folder;
  {
    FileReplacement replacement;
    ASSERT_TRUE(ok(replacement.create((folder / "file").c_str())));
    ASSERT_TRUE(ok(replacement.write("half", 4)));
    EXPECT_EQ(entries(folder.path()), 1u);
  }
  EXPECT_EQ(entries(folder.path()), 0u);
}

TEST(FileReplacement, FollowsLinksAndRefusesWhatIsNotAFile) {
  TemporaryFolder folder;
  write_file(folder / "target", "old");
  ASSERT_EQ(::symlink((folder / "target").c_str(), (folder / "link").c_str()), 0);
  FileReplacement replacement;
  ASSERT_TRUE(ok(replacement.create((folder / "link").c_str())));
  ASSERT_TRUE(ok(replacement.write("new", 3)));
  ASSERT_TRUE(ok(replacement.commit()));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "target"), "new");

  EXPECT_EQ(replacement.create(folder.path().c_str()), Status::io);
  EXPECT_TRUE(says("a directory")) << last_error();
  EXPECT_EQ(replacement.create("/dev/null"), Status::io);
  EXPECT_TRUE(says("a device")) << last_error();
  EXPECT_EQ(replacement.create((folder / "no/such/file").c_str()), Status::io);
  EXPECT_TRUE(says(folder / "no/such/file")) << last_error();
  EXPECT_EQ(replacement.create(""), Status::io);
}

TEST(FileReplacement, RemovesWhatADeadProcessLeftAndNothingElse) {
  TemporaryFolder folder;
  // The same number as this process, as happens where every process is the first one of its container.
  write_file(folder / ("file.tmp." + std::to_string(::getpid())), "left");
  write_file(folder / "file.tmp.123", "left");
  write_file(folder / "file.tmp.mine", "not ours");
  FileReplacement first, second;
  ASSERT_TRUE(ok(first.create((folder / "file").c_str())));
  EXPECT_EQ(entries(folder.path()), 2u);
  ASSERT_TRUE(ok(first.write("first", 5)));
  EXPECT_EQ(second.create((folder / "file").c_str()), Status::io);
  EXPECT_TRUE(says("two saves")) << last_error();
  ASSERT_TRUE(ok(first.commit()));
  EXPECT_EQ(read_file(folder / "file"), "first");
  EXPECT_EQ(entries(folder.path()), 2u);
}

// Faults: the calls below count down and fail, or do half, when they reach zero.
struct Faults {
  int calls_until_failure = -1;
  int error = ENOSPC;
  bool kill = false;
  bool due() {
    const bool now = calls_until_failure == 0;
    if (calls_until_failure >= 0) --calls_until_failure;
    if (now && kill) ::_exit(9);
    errno = error;
    return now;
  }
} faults;

class FileFaults : public ::testing::Test {
 protected:
  FileFaults() {
    file_calls = {[](int descriptor, const void* bytes, size_t n) -> ssize_t {
                    return faults.due() ? -1 : ::write(descriptor, bytes, n > 1 ? n / 2 : n);
                  },
                  [](int descriptor) { return faults.due() ? -1 : ::fsync(descriptor); },
                  [](const char* from, const char* to) { return faults.due() ? -1 : ::rename(from, to); }};
    faults = {};
  }
  ~FileFaults() override { file_calls = saved_; }

  static Status save(const std::string& path, const std::string& bytes) {
    FileReplacement replacement;
    LT_TRY(replacement.create(path.c_str()));
    LT_TRY(replacement.write(bytes.data(), bytes.size()));
    return replacement.commit();
  }

  FileCalls saved_ = file_calls;
};

TEST_F(FileFaults, ShortWritesAndInterruptionsAreGoneOver) {
  TemporaryFolder folder;
  const std::string bytes(1000, 'b');
  ASSERT_TRUE(ok(save(folder / "file", bytes)));
  EXPECT_EQ(read_file(folder / "file"), bytes);
  for (int n = 0; n < 4; ++n) {
    faults = {n, EINTR, false};
    ASSERT_TRUE(ok(save(folder / "file", bytes + std::to_string(n))));
    EXPECT_EQ(read_file(folder / "file"), bytes + std::to_string(n));
  }
}

TEST_F(FileFaults, AnyFailureLeavesTheOldFileOrTheNewOne) {
  TemporaryFolder folder;
  const std::string path = folder / "file", old_bytes(1000, 'o'), new_bytes(1000, 'n');
  int failures = 0;
  for (int n = 0;; ++n) {
    faults = {};
    ASSERT_TRUE(ok(save(path, old_bytes)));
    faults = {n, ENOSPC, false};
    const Status status = save(path, new_bytes);
    EXPECT_EQ(entries(folder.path()), 1u) << "n " << n;
    if (ok(status)) break;
    ++failures;
    EXPECT_EQ(status, Status::io);
    EXPECT_TRUE(says(path) && says("No space left")) << last_error();
    EXPECT_EQ(read_file(path), says("was written") ? new_bytes : old_bytes) << "n " << n;
  }
  EXPECT_GE(failures, 5);  // several writes, two fsyncs, a rename
  EXPECT_EQ(read_file(path), new_bytes);
}

TEST_F(FileFaults, DeathAtAnyCallLeavesTheOldFileOrTheNewOne) {
  TemporaryFolder folder;
  const std::string path = folder / "file", old_bytes(1000, 'o'), new_bytes(1000, 'n');
  int deaths = 0;
  for (int n = 0;; ++n) {
    faults = {};
    ASSERT_TRUE(ok(save(path, old_bytes)));
    EXPECT_EQ(entries(folder.path()), 1u) << "what the dead process left is removed by the next save";
    const pid_t child = ::fork();
    if (child == 0) {
      faults = {n, EIO, true};
      ::_exit(ok(save(path, new_bytes)) ? 0 : 1);
    }
    int result = 0;
    ASSERT_EQ(::waitpid(child, &result, 0), child);
    const std::string bytes = read_file(path);
    EXPECT_TRUE(bytes == old_bytes || bytes == new_bytes) << "n " << n;
    if (WIFEXITED(result) && WEXITSTATUS(result) == 0) break;
    ASSERT_EQ(WEXITSTATUS(result), 9);
    ++deaths;
  }
  EXPECT_GE(deaths, 5);
}

}  // namespace
}  // namespace lt
