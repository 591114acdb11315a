// Saves that are cut short. A recorder stands between checkpoints and the system, and what it saw is played back onto a made-up
// disk that loses power after every call: names in any state between the last fsync of the folder and now, bytes that were not
// yet synced lost, half there or all there. Whatever is found then is the old checkpoint or the new one, whole. Calls that fail
// leave the old one.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "src/base/file.h"
#include "src/lean_train.h"
#include "tests/data/temporary_folder.h"

namespace lt::test {
namespace {

using tests::read_file;
using tests::TemporaryFolder;
using tests::write_file;

constexpr const char* recipe = R"(
name = "tiny"
[input]
shape = [1, 2, 2]
type = "u8"
[training]
batch = 4
epochs = 1
optimizer = "adam"
lr = 0.01
[[layer]]
type = "linear"
name = "fc1"
out_features = 3
)";

class Trained {
 public:
  Trained() {
    lt_config config;
    lt_config_init(&config);
    config.recipe = recipe;
    config.device = "cpu";
    config.threads = 1;
    EXPECT_EQ(lt_plan_create(&config, &plan_), LT_OK) << lt_last_error();
    EXPECT_EQ(lt_session_create(plan_, nullptr, 0, &session_), LT_OK) << lt_last_error();
  }
  ~Trained() {
    lt_session_free(session_);
    lt_plan_free(plan_);
  }
  lt_session* session() const { return session_; }
  void step() {
    const uint8_t x[16] = {1, 200, 3, 40, 5, 60, 7, 8, 9, 100, 11, 12, 130, 14, 15, 16}, labels[4] = {0, 1, 2, 0};
    lt_report report{};
    report.size = sizeof report;
    ASSERT_EQ(lt_session_step_on(session_, x, labels, 4, &report), LT_OK) << lt_last_error();
  }
  lt_status save() {
    const lt_status status = lt_session_checkpoint(session_);
    return status != LT_OK ? status : lt_session_checkpoint_finish(session_);
  }

 private:
  lt_plan* plan_ = nullptr;
  lt_session* session_ = nullptr;
};

struct Call {
  enum Kind { write, write_at, sync, rename, link } kind;
  std::string path, to, bytes;
  off_t offset = 0;
};
std::vector<Call> calls;
int calls_until_failure = -1;

bool due() {
  const bool now = calls_until_failure == 0;
  if (calls_until_failure >= 0) --calls_until_failure;
  if (now) errno = ENOSPC;
  return now;
}

std::string path_of(int descriptor) {
  return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor)).string();
}

class CheckpointFaults : public ::testing::Test {
 protected:
  CheckpointFaults() {
    calls.clear();
    calls_until_failure = -1;
    file_calls.write = [](int descriptor, const void* bytes, size_t n) -> ssize_t {
      if (due()) return -1;
      calls.push_back({Call::write, path_of(descriptor), "", {static_cast<const char*>(bytes), n}});
      return ::write(descriptor, bytes, n);
    };
    file_calls.write_at = [](int descriptor, const void* bytes, size_t n, off_t offset) -> ssize_t {
      if (due()) return -1;
      calls.push_back({Call::write_at, path_of(descriptor), "", {static_cast<const char*>(bytes), n}, offset});
      return ::pwrite(descriptor, bytes, n, offset);
    };
    file_calls.sync = [](int descriptor) {
      if (due()) return -1;
      calls.push_back({Call::sync, path_of(descriptor), "", ""});
      return ::fsync(descriptor);
    };
    file_calls.rename = [](const char* from, const char* to) {
      if (due()) return -1;
      const int result = ::rename(from, to);
      const int error = errno;
      if (result == 0) calls.push_back({Call::rename, from, to, ""});
      errno = error;
      return result;
    };
    file_calls.link = [](const char* from, const char* to) {
      if (due()) return -1;
      const int result = ::link(from, to);
      const int error = errno;
      if (result == 0) calls.push_back({Call::link, from, to, ""});
      errno = error;
      return result;
    };
  }
  ~CheckpointFaults() override { file_calls = saved_; }

 private:
  FileCalls saved_ = file_calls;
};

// Files by number, and the names that they have: now, and on the disk whatever happens.
class Disk {
 public:
  // `folder` is the one whose names count; the files that are there are safe.
  explicit Disk(const std::map<std::string, std::string>& files) {
    for (const auto& [path, bytes] : files) {
      durable_names_[path] = live_.size();
      live_.push_back(bytes);
    }
    durable_ = live_;
    live_names_ = durable_names_;
  }

  void play(const Call& call, const std::string& folder) {
    if (call.kind == Call::write || call.kind == Call::write_at) {
      if (!live_names_.contains(call.path)) {
        rename_or_make(call.path, live_.size());
        live_.emplace_back();
        durable_.emplace_back();
      }
      std::string& file = live_[live_names_[call.path]];
      const size_t at = call.kind == Call::write ? file.size() : static_cast<size_t>(call.offset);
      file.resize(std::max(file.size(), at + call.bytes.size()));
      file.replace(at, call.bytes.size(), call.bytes);
    } else if (call.kind == Call::sync && call.path == folder) {
      durable_names_ = live_names_;
      between_.clear();
    } else if (call.kind == Call::sync) {
      durable_[live_names_.at(call.path)] = live_[live_names_.at(call.path)];
    } else {
      const size_t file = live_names_.at(call.path);
      if (call.kind == Call::rename) live_names_.erase(call.path);
      rename_or_make(call.to, file);
    }
  }

  // All that may be found after a power cut now.
  std::vector<std::map<std::string, std::string>> found() const {
    std::vector<std::map<std::string, std::string>> all;
    std::vector<std::map<std::string, size_t>> names = between_;
    names.push_back(durable_names_);
    for (const auto& each : names)
      for (const int kept : {0, 1, 2}) {
        std::map<std::string, std::string> files;
        for (const auto& [path, file] : each) {
          const std::string &safe = durable_[file], &now = live_[file];
          std::string half = now.substr(0, now.size() / 2);
          half.resize(now.size());  // the rest are zeros
          files[path] = kept == 0 || safe == now ? safe : kept == 1 ? half : now;
        }
        all.push_back(std::move(files));
      }
    return all;
  }

 private:
  void rename_or_make(const std::string& path, size_t file) {
    live_names_[path] = file;
    between_.push_back(live_names_);
  }

  std::vector<std::string> live_, durable_;
  std::map<std::string, size_t> live_names_, durable_names_;
  std::vector<std::map<std::string, size_t>> between_;  // since the folder's last fsync
};

std::map<std::string, std::string> files_of(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (!entry.path().string().ends_with(".lock")) files[entry.path()] = read_file(entry.path());
  return files;
}

TEST_F(CheckpointFaults, APowerCutAtAnyCallLeavesTheOldOrTheNewOneWhole) {
  TemporaryFolder folder, after;
  const std::string path = folder / "F", root = std::filesystem::canonical(folder.path());
  Trained run, loaded;
  ASSERT_EQ(lt_session_save_to(run.session(), path.c_str(), 2), LT_OK) << lt_last_error();
  int states = 0, old_ones = 0, new_ones = 0;
  for (int save = 0; save < 4; ++save) {
    run.step();
    const std::map<std::string, std::string> before = files_of(root);
    const std::string old_bytes = save == 0 ? "" : before.at(root + "/F");
    calls.clear();
    ASSERT_EQ(run.save(), LT_OK) << lt_last_error();
    const std::string new_bytes = read_file(path);
    ASSERT_NE(new_bytes, old_bytes);
    const std::vector<Call> seen = calls;
    Disk disk(before);
    for (size_t call = 0; call <= seen.size(); ++call) {
      for (const auto& files : disk.found()) {
        ++states;
        const auto F = files.find(root + "/F");
        if (F == files.end()) {
          EXPECT_EQ(save, 0) << "call " << call;
          continue;
        }
        ASSERT_TRUE(F->second == old_bytes || F->second == new_bytes) << "save " << save << ", call " << call;
        (F->second == old_bytes ? old_ones : new_ones)++;
        write_file(after / "F", F->second);
        ASSERT_EQ(lt_session_load(loaded.session(), (after / "F").c_str()), LT_OK) << lt_last_error();
        // Of those that are kept none is broken, save the temporary file.
        for (const auto& [name, bytes] : files)
          if (name.find(".tmp.") == std::string::npos) {
            write_file(after / "kept", bytes);
            ASSERT_EQ(lt_session_load(loaded.session(), (after / "kept").c_str()), LT_OK) << name << ": " << lt_last_error();
          }
      }
      if (call < seen.size()) disk.play(seen[call], root);
    }
  }
  EXPECT_GT(states, 300);
  EXPECT_GT(old_ones, 100);
  EXPECT_GT(new_ones, 8);
}

TEST_F(CheckpointFaults, AnyCallThatFailsLeavesTheOldOne) {
  TemporaryFolder folder;
  const std::string path = folder / "F";
  Trained run, loaded;
  ASSERT_EQ(lt_session_save_to(run.session(), path.c_str(), 2), LT_OK) << lt_last_error();
  for (int save = 0; save < 3; ++save) {
    run.step();
    ASSERT_EQ(run.save(), LT_OK) << lt_last_error();
  }
  int failures = 0;
  for (int n = 0;; ++n) {
    const std::string old_bytes = read_file(path);
    run.step();
    calls_until_failure = n;
    const lt_status status = run.save();
    calls_until_failure = -1;
    ASSERT_EQ(lt_session_load(loaded.session(), path.c_str()), LT_OK) << "call " << n << ": " << lt_last_error();
    for (const auto& [name, bytes] : files_of(folder.path())) EXPECT_EQ(name.find(".tmp."), std::string::npos) << name;
    if (status == LT_OK) break;
    ++failures;
    EXPECT_EQ(status, LT_ERR_IO) << n;
    const bool written = read_file(path) != old_bytes;  // the folder's fsync failed
    EXPECT_EQ(written, std::string(lt_last_error()).find("was written, but") != std::string::npos) << lt_last_error();
    EXPECT_NE(std::string(lt_last_error()).find("No space left"), std::string::npos) << lt_last_error();
    // The next one goes well.
    ASSERT_EQ(run.save(), LT_OK) << lt_last_error();
    EXPECT_NE(read_file(path), old_bytes);
  }
  EXPECT_GE(failures, 10);
}

}  // namespace
}  // namespace lt::test
