// NPY's header, a small part of Python's grammar read strictly: what numpy.save writes, in any order and spacing, and
// nothing else. array_file.h draws the format.
#include <optional>
#include <string_view>
#include <utility>

#include "data/array_file.h"
#include "src/base/bytes.h"
#include "src/base/checked.h"

namespace lt::data {
namespace {

constexpr uint32_t header_bytes_max = 1 << 16;

struct NamedType {
  const char* name;
  ElementType type;
};
constexpr NamedType types[] = {{"u1", ElementType::u8},  {"i1", ElementType::i8},  {"u2", ElementType::u16},
                               {"i2", ElementType::i16}, {"u4", ElementType::u32}, {"i4", ElementType::i32},
                               {"u8", ElementType::u64}, {"i8", ElementType::i64}, {"f4", ElementType::f32},
                               {"f8", ElementType::f64}};

// Takes the text from its front; each call says whether what it asks for was there.
class Text {
 public:
  explicit Text(std::string_view text) : text_(text) {}

  bool literal(std::string_view wanted) {
    skip_spaces();
    if (!text_.starts_with(wanted)) return false;
    text_.remove_prefix(wanted.size());
    return true;
  }
  // 'abc' or "abc", nothing escaped.
  bool quoted(std::string_view* value) {
    skip_spaces();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) return false;
    const size_t end = text_.find(text_[0], 1);
    if (end == text_.npos) return false;
    *value = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return value->find('\\') == value->npos;
  }
  bool whole_number(uint64_t* value) {
    skip_spaces();
    size_t digits = 0;
    std::optional<uint64_t> result = 0;
    for (; digits < text_.size() && text_[digits] >= '0' && text_[digits] <= '9'; ++digits) {
      result = result ? checked_multiply(*result, 10) : result;
      result = result ? checked_add(*result, static_cast<uint64_t>(text_[digits] - '0')) : result;
    }
    if (digits == 0 || !result) return false;
    text_.remove_prefix(digits);
    *value = *result;
    return true;
  }
  bool ended() {
    skip_spaces();
    return text_.empty();
  }

 private:
  void skip_spaces() {
    const size_t first = text_.find_first_not_of(" \n");
    text_.remove_prefix(first == text_.npos ? text_.size() : first);
  }
  std::string_view text_;
};

class Header {
 public:
  Header(std::string_view text, ArrayFile* array) : text_(text), array_(array), path_(array->file.path().c_str()) {}

  Status read() {
    if (!text_.literal("{")) return bad("no dictionary");
    while (!text_.literal("}")) {
      std::string_view key;
      if (!text_.quoted(&key) || !text_.literal(":")) return bad("no name and colon");
      if (key == "descr") {
        LT_TRY(read_type());
      } else if (key == "fortran_order") {
        LT_TRY(read_order());
      } else if (key == "shape") {
        LT_TRY(read_shape());
      } else {
        return bad("an unknown name");
      }
      if (text_.literal(",")) continue;
      if (!text_.literal("}")) return bad("no comma");
      break;
    }
    if (!text_.ended()) return bad("more behind its dictionary");
    if (!has_type_ || !has_order_ || !has_shape_) return bad("no descr, fortran_order or shape");
    return Status::ok;
  }

 private:
  Status bad(const char* what) const {
    return fail(Status::format, "%s: its NPY header has %s; save it with numpy.save", path_, what);
  }

  Status read_type() {
    std::string_view name;
    if (std::exchange(has_type_, true)) return bad("descr twice");
    if (!text_.quoted(&name)) return bad("a descr that is no plain type, as structured arrays have");
    const std::string_view given = name;
    const char order = name.empty() ? ' ' : name[0];
    if (order == '<' || order == '|' || order == '=' || order == '>') name.remove_prefix(1);
    for (const NamedType& named : types) {
      if (name != named.name) continue;
      array_->type = named.type;
      array_->big_endian = order == '>';
      return Status::ok;
    }
    return fail(Status::format, "%s: elements of type %.*s, expected floats of 4 or 8 bytes or whole numbers", path_,
                static_cast<int>(given.size() < 20 ? given.size() : 20), given.data());
  }

  Status read_order() {
    if (std::exchange(has_order_, true)) return bad("fortran_order twice");
    if (text_.literal("False")) return Status::ok;
    if (text_.literal("True"))
      return fail(Status::format, "%s: is in Fortran's order; save it with numpy.save(..., numpy.ascontiguousarray(a))",
                  path_);
    return bad("a fortran_order that is neither True nor False");
  }

  Status read_shape() {
    if (std::exchange(has_shape_, true)) return bad("shape twice");
    if (!text_.literal("(")) return bad("a shape that is no tuple");
    bool closed = text_.literal(")");
    while (!closed) {
      if (array_->rank == array_rank_max) return fail(Status::format, "%s: more than %u dimensions", path_, array_rank_max);
      if (!text_.whole_number(&array_->shape[array_->rank])) return bad("a shape with what is no whole number in it");
      ++array_->rank;
      const bool comma = text_.literal(",");
      closed = text_.literal(")");
      if (!comma && (!closed || array_->rank == 1)) return bad("a shape without its comma");
    }
    if (array_->rank == 0) return fail(Status::format, "%s: is a single number, expected an array", path_);
    return Status::ok;
  }

  Text text_;
  ArrayFile* array_;
  const char* path_;
  bool has_type_ = false, has_order_ = false, has_shape_ = false;
};

}  // namespace

Status read_npy_header(ArrayFile* array, uint64_t* offset) {
  const char* const path = array->file.path().c_str();
  ByteReader reader(array->file.bytes(), array->file.size());
  reader.bytes(6);
  const auto major = reader.u8(), minor = reader.u8();
  if (minor && (*major < 1 || *major > 3 || *minor != 0))
    return fail(Status::format, "%s: byte 6: NPY of version %u.%u, expected 1.0, 2.0 or 3.0", path, *major, *minor);
  std::optional<uint64_t> length;
  if (minor && *major == 1) length = reader.u16_little();
  if (minor && *major != 1) length = reader.u32_little();
  if (length && *length > header_bytes_max)
    return fail(Status::format, "%s: byte 8: a header of %llu bytes, at most %u are read", path,
                static_cast<unsigned long long>(*length), header_bytes_max);
  const uint8_t* const text = length ? reader.bytes(*length) : nullptr;
  if (!text) return fail(Status::format, "%s: ends in the header of an NPY file", path);
  *offset = reader.offset();
  return Header({reinterpret_cast<const char*>(text), static_cast<size_t>(*length)}, array).read();
}

}  // namespace lt::data
