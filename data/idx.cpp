// Opening IDX files: every number of the header is checked before it is used, and what a wrong file is gets named where its
// first bytes tell. The format is drawn in idx.h.
#include "data/idx.h"

#include <cstring>

#include "src/base/bytes.h"
#include "src/base/checked.h"

namespace lt::data {
namespace {

constexpr uint32_t magic_images = 0x00000803, magic_labels = 0x00000801;

const char* noun(uint32_t magic) { return magic == magic_images ? "image" : "label"; }

constexpr uint64_t header_bytes(uint32_t magic) { return 4 + 4 * (magic & 0xff); }

// Says what a file with these first bytes is, where it is not what it should be.
Status wrong_magic(const char* path, const MappedFile& file, uint32_t found, uint32_t expected) {
  const uint8_t* b = file.bytes();
  if (b[0] == 0x1f && b[1] == 0x8b) {
    return fail(Status::format,
                "%s: is still compressed by gzip; unpack it with gunzip or `lean-train data prepare mnist`, or fetch it "
                "again with `lean-train data get mnist`",
                path);
  }
  if (found == magic_images || found == magic_labels) {
    return fail(Status::format,
                "%s: byte 0: is an IDX %s file (magic 0x%08x), expected an %s file (0x%08x); are the names mixed up?", path,
                noun(found), found, noun(expected), expected);
  }
  if (b[0] == '<') {
    return fail(
        Status::format,
        "%s: is a web page, not an IDX file, as a failed download leaves it; fetch it with `lean-train data get mnist`",
        path);
  }
  if (found >> 16 == 0 && (found >> 8 & 0xff) >= 0x09 && (found >> 8 & 0xff) <= 0x0e) {
    return fail(Status::format, "%s: byte 2: IDX elements of type 0x%02x, expected unsigned bytes (0x08)", path,
                found >> 8 & 0xff);
  }
  return fail(Status::format, "%s: byte 0: magic 0x%08x, expected 0x%08x of an IDX %s file", path, found, expected,
              noun(expected));
}

// Maps the file and checks all but the elements. rows and columns are 1 for labels.
Status open_idx(const char* path, uint32_t magic, uint32_t rows, uint32_t columns, IdxFile* idx) {
  IdxFile opened;
  LT_TRY(MappedFile::open(path, &opened.file));
  const uint64_t size = opened.file.size();
  ByteReader reader(opened.file.bytes(), size);
  const auto found = reader.u32_big();
  if (found && *found != magic) return wrong_magic(path, opened.file, *found, magic);
  if (size < header_bytes(magic)) {
    return fail(Status::format,
                "%s: %llu bytes, need %llu for the header of an IDX %s file; fetch it with `lean-train data get mnist`",
                path, static_cast<unsigned long long>(size), static_cast<unsigned long long>(header_bytes(magic)),
                noun(magic));
  }
  opened.count = *reader.u32_big();
  if (magic == magic_images) {
    opened.rows = *reader.u32_big();
    opened.columns = *reader.u32_big();
    if (opened.rows != rows || opened.columns != columns) {
      return fail(Status::format, "%s: byte 8: images of %u x %u, expected %u x %u", path, opened.rows, opened.columns,
                  rows, columns);
    }
  }
  if (opened.count == 0) return fail(Status::format, "%s: byte 4: 0 %ss, expected at least 1", path, noun(magic));
  const auto elements = checked_multiply(opened.count, opened.rows, opened.columns);
  const auto expected = elements ? checked_add(*elements, header_bytes(magic)) : elements;
  if (!expected || *expected > size) {
    const unsigned long long missing = expected ? *expected - size : UINT64_MAX;
    return fail(
        Status::format,
        "%s: byte 4: %u %ss need %llu bytes, the file has %llu: %llu missing; fetch it with `lean-train data get mnist`",
        path, opened.count, noun(magic), static_cast<unsigned long long>(expected.value_or(UINT64_MAX)),
        static_cast<unsigned long long>(size), missing);
  }
  if (*expected < size) {
    return fail(Status::format, "%s: byte 4: %u %ss take %llu bytes, the file has %llu: %llu too many at its end", path,
                opened.count, noun(magic), static_cast<unsigned long long>(*expected),
                static_cast<unsigned long long>(size), static_cast<unsigned long long>(size - *expected));
  }
  opened.elements = reader.bytes(*elements);
  *idx = static_cast<IdxFile&&>(opened);
  return Status::ok;
}

}  // namespace

Status open_idx_images(const char* path, uint32_t rows, uint32_t columns, IdxFile* images) {
  return open_idx(path, magic_images, rows, columns, images);
}

Status open_idx_labels(const char* path, uint32_t classes, IdxFile* labels) {
  IdxFile opened;
  LT_TRY(open_idx(path, magic_labels, 1, 1, &opened));
  for (uint32_t i = 0; i < opened.count; ++i) {
    if (opened.elements[i] >= classes) {
      return fail(Status::format, "%s: byte %llu: record %u has label %u, expected 0 to %u", path,
                  static_cast<unsigned long long>(header_bytes(magic_labels) + i), i, opened.elements[i], classes - 1);
    }
  }
  *labels = static_cast<IdxFile&&>(opened);
  return Status::ok;
}

}  // namespace lt::data
