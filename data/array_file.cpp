// What both formats have in common, and IDX's header: see array_file.h.
#include "data/array_file.h"

#include <bit>
#include <cstring>
#include <optional>

#include "src/base/bytes.h"
#include "src/base/checked.h"

namespace lt::data {
namespace {

template <class Number>
Number load(const uint8_t* bytes, bool big_endian) {
  uint8_t turned[sizeof(Number)];
  const bool turn = big_endian != (std::endian::native == std::endian::big);
  for (size_t i = 0; i < sizeof(Number); ++i) turned[i] = bytes[turn ? sizeof(Number) - 1 - i : i];
  Number number;
  std::memcpy(&number, turned, sizeof number);
  return number;
}

template <class Number>
void load_floats(const uint8_t* bytes, bool big_endian, uint64_t n, float* out) {
  for (uint64_t i = 0; i < n; ++i) out[i] = static_cast<float>(load<Number>(bytes + i * sizeof(Number), big_endian));
}

// Says what a file is that is no array.
Status no_array(const char* path, const MappedFile& file) {
  const uint8_t* const b = file.bytes();
  const uint64_t size = file.size();
  if (size >= 2 && b[0] == 'P' && b[1] == 'K')
    return fail(Status::format, "%s: is an .npz archive; save each array by itself with numpy.save", path);
  if (size >= 2 && b[0] == 0x1f && b[1] == 0x8b)
    return fail(Status::format, "%s: is still compressed by gzip; unpack it with gunzip", path);
  return fail(Status::format, "%s: %llu bytes that begin like neither an NPY nor an IDX file; save it with numpy.save",
              path, static_cast<unsigned long long>(size));
}

Status check_size(const ArrayFile& array, uint64_t offset) {
  const char* const path = array.file.path().c_str();
  std::optional<uint64_t> bytes = element_bytes(array.type);
  for (uint32_t i = 0; i < array.rank; ++i) {
    if (array.shape[i] == 0) return fail(Status::format, "%s: dimension %u of its shape is 0", path, i);
    bytes = bytes ? checked_multiply(*bytes, array.shape[i]) : bytes;
  }
  const uint64_t left = array.file.size() - offset;
  if (bytes && *bytes == left) return Status::ok;
  return fail(Status::format, "%s: its shape and type need %llu bytes behind byte %llu, the file has %llu there: %s", path,
              static_cast<unsigned long long>(bytes.value_or(UINT64_MAX)), static_cast<unsigned long long>(offset),
              static_cast<unsigned long long>(left), !bytes || *bytes > left ? "cut off" : "too many");
}

}  // namespace

int64_t ArrayFile::integer(uint64_t index) const {
  const uint8_t* const bytes = elements + index * element_bytes(type);
  switch (type) {
    case ElementType::u8: return *bytes;
    case ElementType::i8: return static_cast<int8_t>(*bytes);
    case ElementType::u16: return load<uint16_t>(bytes, big_endian);
    case ElementType::i16: return load<int16_t>(bytes, big_endian);
    case ElementType::u32: return load<uint32_t>(bytes, big_endian);
    case ElementType::i32: return load<int32_t>(bytes, big_endian);
    case ElementType::i64: return load<int64_t>(bytes, big_endian);
    case ElementType::u64: {
      const auto value = load<uint64_t>(bytes, big_endian);
      return value > static_cast<uint64_t>(INT64_MAX) ? -1 : static_cast<int64_t>(value);
    }
    case ElementType::f32:
    case ElementType::f64: break;
  }
  return -1;
}

void ArrayFile::floats(uint64_t first, uint64_t n, float* out) const {
  const uint8_t* const bytes = elements + first * element_bytes(type);
  if (type == ElementType::f32) return load_floats<float>(bytes, big_endian, n, out);
  load_floats<double>(bytes, big_endian, n, out);
}

Status read_idx_header(ArrayFile* array, uint64_t* offset) {
  const char* const path = array->file.path().c_str();
  ByteReader reader(array->file.bytes(), array->file.size());
  reader.bytes(2);
  const auto type = reader.u8(), rank = reader.u8();
  if (!type || !rank) return fail(Status::format, "%s: ends in the header of an IDX file", path);
  switch (*type) {
    case 0x08: array->type = ElementType::u8; break;
    case 0x09: array->type = ElementType::i8; break;
    case 0x0b: array->type = ElementType::i16; break;
    case 0x0c: array->type = ElementType::i32; break;
    case 0x0d: array->type = ElementType::f32; break;
    case 0x0e: array->type = ElementType::f64; break;
    default: return fail(Status::format, "%s: byte 2: 0x%02x is no type of IDX elements", path, *type);
  }
  if (*rank == 0 || *rank > array_rank_max)
    return fail(Status::format, "%s: byte 3: %u dimensions, expected 1 to %u", path, *rank, array_rank_max);
  array->rank = *rank;
  array->big_endian = true;
  for (uint32_t i = 0; i < array->rank; ++i) {
    const auto dimension = reader.u32_big();
    if (!dimension) return fail(Status::format, "%s: ends in the header of an IDX file", path);
    array->shape[i] = *dimension;
  }
  *offset = reader.offset();
  return Status::ok;
}

Status open_array(const char* path, ArrayFile* array) {
  ArrayFile opened;
  LT_TRY(MappedFile::open(path, &opened.file));
  const uint8_t* const b = opened.file.bytes();
  const uint64_t size = opened.file.size();
  uint64_t offset = 0;
  if (size >= 6 && std::memcmp(b, "\x93NUMPY", 6) == 0) {
    LT_TRY(read_npy_header(&opened, &offset));
  } else if (size >= 2 && b[0] == 0 && b[1] == 0) {
    LT_TRY(read_idx_header(&opened, &offset));
  } else {
    return no_array(path, opened.file);
  }
  LT_TRY(check_size(opened, offset));
  for (uint32_t i = 0; i < opened.rank; ++i) opened.count *= opened.shape[i];
  opened.elements = b + offset;
  *array = static_cast<ArrayFile&&>(opened);
  return Status::ok;
}

}  // namespace lt::data
