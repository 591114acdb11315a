// A reader of tar archives in the ustar format (POSIX.1-1988) and its forerunner, on top of zlib. Extended headers (pax,
// GNU) are stepped over: no member that is looked for needs one. An archive is a row of entries and ends with a block of
// zeros:
//
//   byte   0   name, 100 bytes, ended by a zero where it is shorter
//        100   mode, owner, group
//        124   size, 12 bytes: octal digits
//        136   time
//        148   checksum, 8 bytes: octal digits; the sum of the header's bytes with spaces in this place
//        156   type: '0' or zero a file, '5' a folder; others exist
//        157   name of a link's target
//        257   "ustar"
//        345   what precedes the name and a slash, 155 bytes (ustar)
//        512   the file's bytes, filled up to a multiple of 512
#include "tools/data_archive.h"

#include <sha2.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "tools/gzip_reader.h"
#include "tools/replacement.h"

namespace lt::tool {
namespace {

constexpr size_t block_bytes = 512;
constexpr unsigned entries_max = 1000;
constexpr uint64_t other_bytes_max = 16 << 20;  // of all that is in the archive beside the members

std::string text_of(const uint8_t* field, size_t n) {
  const auto* text = reinterpret_cast<const char*>(field);
  return {text, ::strnlen(text, n)};
}

// Octal digits between spaces, ended by a zero or the field's end; none where it is anything else.
std::optional<uint64_t> octal(const uint8_t* field, size_t n) {
  size_t i = 0;
  while (i < n && field[i] == ' ') ++i;
  uint64_t value = 0;
  const size_t start = i;
  for (; i < n && field[i] >= '0' && field[i] <= '7'; ++i) value = value * 8 + (field[i] - '0');
  if (i == start || i - start > 12) return std::nullopt;
  return i == n || field[i] == 0 || field[i] == ' ' ? std::optional(value) : std::nullopt;
}

struct Entry {
  std::string name;
  uint64_t bytes;
  bool is_file;
};

std::optional<Entry> parse(const uint8_t* header) {
  uint64_t sum = 0;
  for (size_t i = 0; i < block_bytes; ++i) sum += i >= 148 && i < 156 ? ' ' : header[i];
  const auto checksum = octal(header + 148, 8), bytes = octal(header + 124, 12);
  if (checksum != sum || !bytes) return std::nullopt;
  Entry entry = {text_of(header, 100), *bytes, header[156] == '0' || header[156] == 0};
  if (std::memcmp(header + 257, "ustar\0", 6) == 0 && header[345] != 0)
    entry.name = text_of(header + 345, 155) + "/" + entry.name;
  if (entry.name.starts_with("./")) entry.name.erase(0, 2);
  return entry;
}

class Unpacking {
 public:
  Unpacking(const std::string& from, const std::vector<ArchiveMember>& members)
      : from_(from), packed_(from), members_(members), written_(members.size()), sha256_(members.size()) {}

  Fetched read_all() {
    for (unsigned entries = 0;; ++entries) {
      uint8_t header[block_bytes];
      size_t got;
      if (Fetched result = packed_.read(header, block_bytes, &got); result.result != Fetched::ok) return result;
      if (got < block_bytes)
        return wrong(entries == 0 ? "is no tar archive" : "ends without the block that ends an archive");
      if (std::all_of(header, header + block_bytes, [](uint8_t byte) { return byte == 0; })) break;
      const auto entry = parse(header);
      if (!entry) return wrong(entries == 0 ? "is no tar archive" : "is damaged: a header's checksum is wrong");
      if (entries == entries_max) return wrong("has more than " + std::to_string(entries_max) + " entries");
      if (Fetched result = take(*entry); result.result != Fetched::ok) return result;
    }
    for (size_t i = 0; i < members_.size(); ++i) {
      if (!written_[i]) return wrong("has no " + members_[i].name);
    }
    return step_over(other_bytes_max);  // to the end, where gzip's checksum stands
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
  Fetched wrong(const std::string& what) const { return {Fetched::wrong_bytes, from_ + ": " + what}; }

  Fetched take(const Entry& entry) {
    const uint64_t filling = (block_bytes - entry.bytes % block_bytes) % block_bytes;
    for (size_t i = 0; i < members_.size(); ++i) {
      const ArchiveMember& member = members_[i];
      if (entry.name != member.name) continue;
      if (!entry.is_file) return wrong(member.name + " is no regular file");
      if (written_[i]) return wrong("has " + member.name + " twice");
      if (entry.bytes != member.bytes) {
        return wrong(member.name + " has " + std::to_string(entry.bytes) + " bytes, expected " +
                     std::to_string(member.bytes));
      }
      if (Fetched result = write(i); result.result != Fetched::ok) return result;
      return step_over_exactly(filling);
    }
    if (entry.bytes > other_bytes_max || others_ + entry.bytes > other_bytes_max)
      return wrong("has more in it than the files that are looked for");
    others_ += entry.bytes;
    return step_over_exactly(entry.bytes + filling);
  }

  Fetched write(size_t index) {
    written_[index] = std::make_unique<Replacement>(members_[index].place);
    SHA2_CTX context;
    SHA256Init(&context);
    for (uint64_t left = members_[index].bytes; left > 0;) {
      const auto n = static_cast<size_t>(std::min<uint64_t>(left, buffer_.size()));
      size_t got;
      if (Fetched result = packed_.read(buffer_.data(), n, &got); result.result != Fetched::ok) return result;
      if (got < n) return wrong("ends in the middle of " + members_[index].name);
      SHA256Update(&context, buffer_.data(), n);
      if (!written_[index]->write(buffer_.data(), n)) return written_[index]->failed();
      left -= n;
    }
    if (!written_[index]->good()) return written_[index]->failed();
    char digits[SHA256_DIGEST_STRING_LENGTH];
    sha256_[index] = SHA256End(&context, digits);
    return {};
  }

  Fetched step_over_exactly(uint64_t bytes) {
    while (bytes > 0) {
      const auto n = static_cast<size_t>(std::min<uint64_t>(bytes, buffer_.size()));
      size_t got;
      if (Fetched result = packed_.read(buffer_.data(), n, &got); result.result != Fetched::ok) return result;
      if (got < n) return wrong("ends in the middle of an entry");
      bytes -= n;
    }
    return {};
  }

  // To the end of the archive, which is no further than that.
  Fetched step_over(uint64_t limit) {
    for (uint64_t done = 0; done <= limit;) {
      size_t got;
      if (Fetched result = packed_.read(buffer_.data(), buffer_.size(), &got); result.result != Fetched::ok) return result;
      if (got < buffer_.size()) return {};
      done += got;
    }
    return wrong("goes on behind its end");
  }

  const std::string& from_;
  GzipReader packed_;
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
