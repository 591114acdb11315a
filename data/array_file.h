// Arrays of numbers in files of a user's own, NPY or IDX, told apart by their first bytes. An ArrayFile owns the mapping
// its view points into. Opening allocates little, whatever the header claims: every number in it is bounded, multiplied
// with care and held against the file's size, to the byte. An open one is immutable, and any thread may read it.
//
// NPY (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), as numpy.save writes it:
//
//   byte 0   0x93 "NUMPY"
//        6   version: 1, 2 or 3; then 0
//        8   header's length, little-endian: u16 (version 1) or u32
//   10 or 12   header: a Python dictionary in text, spaces, a newline:
//              {'descr': '<f4', 'fortran_order': False, 'shape': (25, 1000, 123), }
//        then  the elements, the last dimension fastest; then the file ends
//
// IDX is drawn in idx.h; here its elements may be of any of its types, big-endian all of them.
#pragma once

#include <cstdint>

#include "src/base/file.h"

namespace lt::data {

enum class ElementType : uint8_t { u8, i8, u16, i16, u32, i32, u64, i64, f32, f64 };

constexpr uint32_t element_bytes(ElementType type) {
  constexpr uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
  return bytes[static_cast<int>(type)];
}
constexpr bool is_real(ElementType type) { return type >= ElementType::f32; }

inline constexpr uint32_t array_rank_max = 4;

struct ArrayFile {
  MappedFile file;
  ElementType type = ElementType::u8;
  bool big_endian = false;
  uint32_t rank = 0;
  uint64_t shape[array_rank_max] = {};  // none is 0
  uint64_t count = 1;                   // of all elements
  const uint8_t* elements = nullptr;    // of any alignment

  // Element `index` (< count). integer: of a type that is none of reals; u64 above INT64_MAX gives -1.
  int64_t integer(uint64_t index) const;
  // Elements first .. first + n, of a real type, as floats: doubles are rounded.
  void floats(uint64_t first, uint64_t n, float* out) const;
};

// Status::io where the file cannot be mapped, Status::format where it is not such an array or of a kind that is not read.
Status open_array(const char* path, ArrayFile* array);

// Both expect the first bytes to be theirs and fill all but the elements; `offset` is where those begin.
Status read_npy_header(ArrayFile* array, uint64_t* offset);
Status read_idx_header(ArrayFile* array, uint64_t* offset);

}  // namespace lt::data
