// Members of a tar archive, put in place together: see data_archive.h. tar_reader.h draws the format.
#include "tools/data_archive.h"

#include <sha2.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "tools/replacement.h"
#include "tools/tar_reader.h"

namespace lt::tool {
namespace {

constexpr unsigned entries_max = 1000;
constexpr uint64_t other_bytes_max = 16 << 20;  // of all that is in the archive beside the members

class Unpacking {
 public:
  Unpacking(const std::string& from, const std::vector<ArchiveMember>& members)
      : archive_(from), members_(members), written_(members.size()), sha256_(members.size()) {}

  Fetched read_all() {
    for (unsigned entries = 0;; ++entries) {
      TarEntry entry;
      bool end = false;
      if (Fetched result = archive_.next(&entry, &end); result.result != Fetched::ok) return result;
      if (end) break;
      if (entries == entries_max) return archive_.wrong("has more than " + std::to_string(entries_max) + " entries");
      if (Fetched result = take(entry); result.result != Fetched::ok) return result;
    }
    for (size_t i = 0; i < members_.size(); ++i) {
      if (!written_[i]) return archive_.wrong("has no " + members_[i].name);
    }
    return archive_.finish(other_bytes_max);
  }

  // A file that is there and is not the archive's.
  Fetched check_present() const {
    for (size_t i = 0; i < members_.size(); ++i) {
      const std::string& place = members_[i].place;
      struct stat about;
      if (::stat(place.c_str(), &about) == 0 && file_sha256(place) != sha256_[i]) {
        return {Fetched::wrong_bytes, place + ": is there and is not the published file (" + std::to_string(about.st_size) +
                                          " bytes, published " + std::to_string(members_[i].bytes) +
                                          "); move it away, or replace it with --force"};
      }
    }
    return {};
  }

  Fetched commit() {
    for (const auto& written : written_) {
      if (!written->commit()) return written->failed();
    }
    return {};
  }

 private:
  Fetched take(const TarEntry& entry) {
    for (size_t i = 0; i < members_.size(); ++i) {
      const ArchiveMember& member = members_[i];
      if (entry.name != member.name) continue;
      if (!entry.is_file) return archive_.wrong(member.name + " is no regular file");
      if (written_[i]) return archive_.wrong("has " + member.name + " twice");
      if (entry.bytes != member.bytes) {
        return archive_.wrong(member.name + " has " + std::to_string(entry.bytes) + " bytes, expected " +
                              std::to_string(member.bytes));
      }
      return write(i);
    }
    if (entry.bytes > other_bytes_max || others_ + entry.bytes > other_bytes_max)
      return archive_.wrong("has more in it than the files that are looked for");
    others_ += entry.bytes;
    return {};
  }

  Fetched write(size_t index) {
    written_[index] = std::make_unique<Replacement>(members_[index].place);
    SHA2_CTX context;
    SHA256Init(&context);
    for (uint64_t left = members_[index].bytes; left > 0;) {
      const auto n = static_cast<size_t>(std::min<uint64_t>(left, buffer_.size()));
      if (Fetched result = archive_.read(buffer_.data(), n); result.result != Fetched::ok) return result;
      SHA256Update(&context, buffer_.data(), n);
      if (!written_[index]->write(buffer_.data(), n)) return written_[index]->failed();
      left -= n;
    }
    if (!written_[index]->good()) return written_[index]->failed();
    char digits[SHA256_DIGEST_STRING_LENGTH];
    sha256_[index] = SHA256End(&context, digits);
    return {};
  }

  TarReader archive_;
  const std::vector<ArchiveMember>& members_;
  std::vector<std::unique_ptr<Replacement>> written_;
  std::vector<std::string> sha256_;
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(1 << 16);
  uint64_t others_ = 0;
};

}  // namespace

Fetched unpack_archive(const std::string& from, const std::vector<ArchiveMember>& members, bool replace) {
  Unpacking unpacking(from, members);
  Fetched result = unpacking.read_all();
  if (result.result == Fetched::ok && !replace) result = unpacking.check_present();
  return result.result == Fetched::ok ? unpacking.commit() : result;
}

}  // namespace lt::tool
