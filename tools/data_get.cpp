// The steps of `lean-train data get`: see data_get.h. Sets up everything that can fail for sure (folder, lock, space, a
// program to fetch with) before the first byte is fetched.
#include "tools/data_get.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "tools/data_unpack.h"

namespace lt::tool {
namespace {

bool is_url(const std::string& text) { return text.find("://") != std::string::npos; }

bool is_file(const std::string& path) {
  struct stat about;
  return ::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode);
}

bool is_folder(const std::string& path) {
  struct stat about;
  return ::stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode);
}

// "train-images-idx3-ubyte" is also spelled "train-images.idx3-ubyte".
std::string with_dots(std::string name) {
  const size_t dash = name.rfind("-idx");
  if (dash != std::string::npos) name[dash] = '.';
  return name;
}

// Keeps a second process out of the folder for as long as it lives.
class FolderLock {
 public:
  ~FolderLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Fetched take(const std::string& folder) {
    descriptor_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor_ < 0) return {Fetched::local, folder + ": cannot be opened: " + std::strerror(errno)};
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      return {Fetched::local, folder + ": another lean-train is fetching into it; wait for its end"};
    }
    return {};
  }

 private:
  int descriptor_ = -1;
};

Fetched check_space(const std::string& folder, uint64_t needed) {
  struct statvfs about;
  if (::statvfs(folder.c_str(), &about) != 0) return {};  // writing will tell
  const uint64_t free = uint64_t{about.f_bavail} * about.f_frsize;
  if (free >= needed) return {};
  return {Fetched::local, folder + ": " + std::to_string(free) + " bytes are free, " + std::to_string(needed) +
                              " are needed; name another place with --to"};
}

// The host of a URL, for short.
std::string host(const std::string& url) {
  const size_t start = url.find("://") + 3;
  return url.substr(start, url.find('/', start) - start);
}

// Where the file lies in a folder of this machine, packed or not, or "".
std::string find_local(const std::string& folder, const PublishedFile& file) {
  for (const std::string& name : {std::string(file.name), with_dots(file.name)}) {
    for (const char* suffix : {"", ".gz"}) {
      if (std::string path = folder + "/" + name + suffix; is_file(path)) return path;
    }
  }
  return "";
}

Fetched copy_local(const DataGet& what, const PublishedFile& file, const std::string& place) {
  const std::string source = find_local(what.from, file);
  if (source.empty()) {
    return {Fetched::unreachable, what.from + ": holds neither " + file.name + " nor " + file.name + ".gz"};
  }
  return unpack(source, place, file.bytes, file.sha256, nullptr);
}

// One file from one web folder. `published`: the packed file is the publishers' own, too.
Fetched fetch_from(const std::string& base, bool published, const PublishedFile& file, const std::string& place,
                   const std::string& program, const DataGetEvents& events) {
  Download packed = {base + "/" + file.name + ".gz", place + ".gz", 0, "", 2 * file.bytes};
  if (published) {
    packed.bytes = file.packed_bytes;
    packed.sha256 = file.packed_sha256;
  }
  Fetched result = download(packed, program, [&](uint64_t bytes) { events.progress(file, bytes); });
  if (result.result != Fetched::ok) return result;
  result = unpack(packed.path, place, file.bytes, file.sha256, nullptr);
  ::unlink(packed.path.c_str());
  return result;
}

Fetched fetch_file(const DataGet& what, const PublishedFile& file, const std::string& place, const std::string& program,
                   const DataGetEvents& events) {
  std::vector<std::string> bases(what.set->mirrors, what.set->mirrors + what.set->mirror_count);
  if (!what.from.empty()) bases = {what.from};
  std::string failures;
  Fetched::Result worst = Fetched::unreachable;
  for (size_t i = 0; i < bases.size(); ++i) {
    events.say("fetching " + std::string(file.name) + ".gz from " + host(bases[i]));
    Fetched result = fetch_from(bases[i], what.from.empty(), file, place, program, events);
    if (result.result == Fetched::ok || result.result == Fetched::local) return result;
    if (result.result == Fetched::wrong_bytes) worst = Fetched::wrong_bytes;
    if (i + 1 < bases.size()) events.say(result.why + "; trying the next mirror");
    failures += (failures.empty() ? "" : "; ") + result.why;
  }
  return {worst, failures};
}

}  // namespace

Fetched get_data(const DataGet& what, const DataGetEvents& events) {
  std::error_code error;
  std::filesystem::create_directories(what.to, error);
  if (error && !is_folder(what.to)) return {Fetched::local, what.to + ": cannot be made: " + error.message()};
  FolderLock lock;
  if (Fetched result = lock.take(what.to); result.result != Fetched::ok) return result;

  std::vector<const PublishedFile*> missing;
  uint64_t needed_bytes = 0;
  for (size_t i = 0; i < what.set->file_count; ++i) {
    const PublishedFile& file = what.set->files[i];
    const std::string place = what.to + "/" + file.name;
    if (is_file(place) && file_bytes(place) == file.bytes && file_sha256(place) == file.sha256) {
      events.say(place + ": there already, as published");
      continue;
    }
    std::error_code ignored;
    if (std::filesystem::exists(place, ignored) && !what.force) {
      return {Fetched::wrong_bytes, place + ": is there and is not the published file (" +
                                        std::to_string(file_bytes(place)) + " bytes, published " +
                                        std::to_string(file.bytes) + "); move it away, or replace it with --force"};
    }
    missing.push_back(&file);
    needed_bytes += file.bytes + file.packed_bytes;
  }
  if (missing.empty()) return {};
  if (Fetched result = check_space(what.to, needed_bytes); result.result != Fetched::ok) return result;

  const bool local = !what.from.empty() && !is_url(what.from);
  if (local && !is_folder(what.from)) return {Fetched::unreachable, what.from + ": is no folder"};
  const std::string program = local ? "" : download_program();
  if (!local && program.empty()) {
    return {Fetched::local, "neither curl nor wget is there to fetch with; install one, or put the files of " +
                                std::string(what.set->mirrors[0]) + " into a folder and say --from FOLDER"};
  }
  for (const PublishedFile* file : missing) {
    const std::string place = what.to + "/" + file->name;
    if (Fetched result = local ? copy_local(what, *file, place) : fetch_file(what, *file, place, program, events);
        result.result != Fetched::ok) {
      return result;
    }
    events.say(place + ": " + std::to_string(file->bytes) + " bytes, SHA-256 as published");
  }
  return {};
}

Fetched prepare_data(const PublishedSet& set, const std::string& folder, unsigned* unpacked, std::string* foreign) {
  *unpacked = 0;
  foreign->clear();
  FolderLock lock;
  if (Fetched result = lock.take(folder); result.result != Fetched::ok) return result;
  for (size_t i = 0; i < set.file_count; ++i) {
    const PublishedFile& file = set.files[i];
    for (const std::string& name : {std::string(file.name), with_dots(file.name)}) {
      const std::string place = folder + "/" + name;
      if (is_file(place) || !is_file(place + ".gz")) continue;
      std::string found;
      if (Fetched result = unpack(place + ".gz", place, file.bytes, "", &found); result.result != Fetched::ok)
        return result;
      ++*unpacked;
      if (found != file.sha256) *foreign += (foreign->empty() ? "" : ", ") + name;
    }
  }
  return {};
}

}  // namespace lt::tool
