// The steps of `lean-train data get`: see data_get.h. Sets up everything that can fail for sure (folder, lock, space, a
// program to fetch with) before the first byte is fetched.
#include "tools/data_get.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "tools/data_archive.h"
#include "tools/data_reviews.h"
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
  Fetched result = download(
      packed, program, [&](uint64_t bytes) { events.progress(std::string(file.name) + ".gz", bytes, file.packed_bytes); });
  if (result.result != Fetched::ok) return result;
  result = unpack(packed.path, place, file.bytes, file.sha256, nullptr);
  ::unlink(packed.path.c_str());
  return result;
}

// Tries one web folder after the other: the mirrors, or the one that the user named.
template <class Fetch>
Fetched from_mirrors(const DataGet& what, const std::string& name, const DataGetEvents& events, const Fetch& fetch) {
  std::vector<std::string> bases(what.set->mirrors, what.set->mirrors + what.set->mirror_count);
  if (!what.from.empty()) bases = {what.from};
  std::string failures;
  Fetched::Result worst = Fetched::unreachable;
  for (size_t i = 0; i < bases.size(); ++i) {
    events.say("fetching " + name + " from " + host(bases[i]));
    Fetched result = fetch(bases[i]);
    if (result.result == Fetched::ok || result.result == Fetched::local) return result;
    if (result.result == Fetched::wrong_bytes) worst = Fetched::wrong_bytes;
    if (i + 1 < bases.size()) events.say(result.why + "; trying the next mirror");
    failures += (failures.empty() ? "" : "; ") + result.why;
  }
  return {worst, failures};
}

Fetched fetch_file(const DataGet& what, const PublishedFile& file, const std::string& place, const std::string& program,
                   const DataGetEvents& events) {
  return from_mirrors(what, std::string(file.name) + ".gz", events, [&](const std::string& base) {
    return fetch_from(base, what.from.empty(), file, place, program, events);
  });
}

bool is_folder_of_this_machine(const DataGet& what) { return !what.from.empty() && !is_url(what.from); }

// What the user needs before the first byte is fetched: room, and a folder or a program to fetch from or with.
Fetched check_means(const DataGet& what, uint64_t needed_bytes, std::string* program) {
  if (Fetched result = check_space(what.to, needed_bytes); result.result != Fetched::ok) return result;
  if (is_folder_of_this_machine(what)) {
    return is_folder(what.from) ? Fetched{} : Fetched{Fetched::unreachable, what.from + ": is no folder"};
  }
  *program = download_program();
  if (!program->empty()) return {};
  return {Fetched::local, "neither curl nor wget is there to fetch with; install one, or put the files of " +
                              std::string(what.set->mirrors[0]) + " into a folder and say --from FOLDER"};
}

Fetched get_files(const DataGet& what, const DataGetEvents& events) {
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
  std::string program;
  if (Fetched result = check_means(what, needed_bytes, &program); result.result != Fetched::ok) return result;
  const bool local = is_folder_of_this_machine(what);
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

std::vector<ArchiveMember> members_of(const PublishedSet& set, const std::string& to) {
  std::vector<ArchiveMember> members;
  for (size_t i = 0; i < set.file_count; ++i) {
    const PublishedFile& file = set.files[i];
    members.push_back({std::string(set.folder) + "/" + file.name, to + "/" + file.name, file.bytes});
  }
  return members;
}

// The archive from the first web folder that has it.
Fetched fetch_archive(const DataGet& what, const std::string& place, const std::string& program,
                      const DataGetEvents& events) {
  const PublishedArchive& archive = *what.set->archive;
  return from_mirrors(what, archive.name, events, [&](const std::string& base) {
    const Download packed = {base + "/" + archive.name, place, archive.bytes, archive.sha256, 0};
    return download(packed, program, [&](uint64_t bytes) { events.progress(archive.name, bytes, archive.bytes); });
  });
}

// One archive with all files. What is there already is compared with the archive's files when they are unpacked: nobody
// publishes digests of them.
Fetched get_archive(const DataGet& what, const DataGetEvents& events) {
  const PublishedArchive& archive = *what.set->archive;
  const std::vector<ArchiveMember> members = members_of(*what.set, what.to);
  size_t whole = 0;
  for (const ArchiveMember& member : members) {
    std::error_code ignored;
    const bool right_size = is_file(member.place) && file_bytes(member.place) == member.bytes;
    whole += right_size;
    if (right_size || what.force || !std::filesystem::exists(member.place, ignored)) continue;
    return {Fetched::wrong_bytes, member.place + ": is there and is not the published file (" +
                                      std::to_string(file_bytes(member.place)) + " bytes, published " +
                                      std::to_string(member.bytes) + "); move it away, or replace it with --force"};
  }
  if (whole == members.size() && !what.force) {
    events.say(what.to + ": all " + std::to_string(whole) +
               " files are there already, of the published sizes; --force fetches them anew");
    return {};
  }
  std::string packed;
  bool fetched = false;
  Fetched result = get_archive_file(what, what.set->bytes(), events, &packed, &fetched);
  if (result.result != Fetched::ok) return result;
  result = unpack_archive(packed, members, what.force);
  if (fetched) ::unlink(packed.c_str());
  if (result.result == Fetched::ok)
    events.say(what.to + ": " + std::to_string(members.size()) + " files from " + archive.name + ", SHA-256 as published");
  return result;
}

// The archive in `folder`, unpacked into the set's folder below it, as tar does, or into `folder` where that is its name.
Fetched prepare_archive(const PublishedSet& set, const std::string& folder, unsigned* unpacked, std::string* foreign) {
  const std::string packed = folder + "/" + set.archive->name;
  if (!is_file(packed)) return {};
  const std::filesystem::path path = std::filesystem::path(folder).lexically_normal();
  const std::string last = (path.has_filename() ? path : path.parent_path()).filename().string();
  const std::string to = last == set.folder ? folder : folder + "/" + set.folder;
  std::error_code error;
  std::filesystem::create_directories(to, error);
  if (error && !is_folder(to)) return {Fetched::local, to + ": cannot be made: " + error.message()};
  const std::vector<ArchiveMember> members = members_of(set, to);
  if (std::all_of(members.begin(), members.end(), [](const ArchiveMember& member) { return is_file(member.place); }))
    return {};
  if (Fetched result = unpack_archive(packed, members, false); result.result != Fetched::ok) return result;
  *unpacked = static_cast<unsigned>(members.size());
  if (file_sha256(packed) != set.archive->sha256) *foreign = set.archive->name;
  return {};
}

}  // namespace

Fetched get_archive_file(const DataGet& what, uint64_t room_bytes, const DataGetEvents& events, std::string* path,
                         bool* fetched) {
  const PublishedArchive& archive = *what.set->archive;
  std::string program;
  if (Fetched result = check_means(what, archive.bytes + room_bytes, &program); result.result != Fetched::ok) return result;
  *fetched = !is_folder_of_this_machine(what);
  *path = (*fetched ? what.to : what.from) + "/" + archive.name;
  if (*fetched) return fetch_archive(what, *path, program, events);
  if (!is_file(*path)) return {Fetched::unreachable, what.from + ": holds no " + archive.name};
  const std::string found = file_sha256(*path);
  if (found == archive.sha256) return {};
  return {Fetched::wrong_bytes, *path + ": SHA-256 " + found + ", expected " + archive.sha256};
}

Fetched get_data(const DataGet& what, const DataGetEvents& events) {
  std::error_code error;
  std::filesystem::create_directories(what.to, error);
  if (error && !is_folder(what.to)) return {Fetched::local, what.to + ": cannot be made: " + error.message()};
  FolderLock lock;
  if (Fetched result = lock.take(what.to); result.result != Fetched::ok) return result;
  if (what.set->made_of_texts) return get_reviews(what, events);
  return what.set->archive ? get_archive(what, events) : get_files(what, events);
}

Fetched prepare_data(const PublishedSet& set, const std::string& folder, unsigned* unpacked, std::string* foreign) {
  *unpacked = 0;
  foreign->clear();
  FolderLock lock;
  if (Fetched result = lock.take(folder); result.result != Fetched::ok) return result;
  if (set.archive) return prepare_archive(set, folder, unpacked, foreign);
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
