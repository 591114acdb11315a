// The callbacks of nlohmann's parser. One thread.
#include "tools/report/flat_record.h"

#include <nlohmann/json.hpp>

namespace lt::tool {

// Fields of the first level are kept; depth 1 is inside the object.
class FlatReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit FlatReader(FlatRecord* record) : record_(record) {}

  bool null() override { return take(FlatRecord::Kind::null) != nullptr; }
  bool boolean(bool value) override {
    FlatRecord::Field* const field = take(FlatRecord::Kind::boolean);
    if (field != nullptr) field->whole = value;
    return field != nullptr;
  }
  bool number_integer(number_integer_t value) override { return number(static_cast<double>(value), false, 0); }
  bool number_unsigned(number_unsigned_t value) override { return number(static_cast<double>(value), true, value); }
  bool number_float(number_float_t value, const string_t&) override { return number(value, false, 0); }
  bool string(string_t& value) override {
    FlatRecord::Field* const field = take(FlatRecord::Kind::text);
    if (field != nullptr) field->text = value;
    return field != nullptr;
  }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return descend(); }
  bool end_object() override { return ascend(); }
  bool start_array(std::size_t) override { return depth_ == 0 ? false : descend(); }
  bool end_array() override { return ascend(); }
  bool key(string_t& name) override {
    if (depth_ == 1) record_->next().name = name;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    record_->why_ = "it breaks off or goes wrong at column " + std::to_string(position);
    return false;
  }

 private:
  // The field that a value belongs to; a field that nobody reads inside of what is skipped, null outside of any object.
  FlatRecord::Field* take(FlatRecord::Kind kind) {
    if (depth_ == 0) return nullptr;
    FlatRecord::Field* const field = depth_ == 1 ? &record_->fields_[record_->used_ - 1] : &skipped_;
    field->kind = kind;
    return field;
  }
  bool number(double value, bool is_whole, uint64_t whole) {
    FlatRecord::Field* const field = take(FlatRecord::Kind::number);
    if (field == nullptr) return false;
    field->number = value;
    field->is_whole = is_whole;
    field->whole = whole;
    return true;
  }
  bool descend() {
    if (depth_ == 1) record_->fields_[record_->used_ - 1].kind = FlatRecord::Kind::skipped;
    ++depth_;
    return true;
  }
  bool ascend() {
    --depth_;
    return true;
  }

  FlatRecord* record_;
  FlatRecord::Field skipped_;
  unsigned depth_ = 0;
};

FlatRecord::Field& FlatRecord::next() {
  if (used_ == fields_.size()) fields_.emplace_back();
  return fields_[used_++];
}

bool FlatRecord::parse(std::string_view line) {
  used_ = 0;
  why_.clear();
  FlatReader reader(this);
  if (nlohmann::json::sax_parse(line.begin(), line.end(), &reader)) return true;
  if (why_.empty()) why_ = "it holds something else";
  return false;
}

const FlatRecord::Field* FlatRecord::find(std::string_view name) const {
  for (size_t i = 0; i < used_; ++i)
    if (fields_[i].name == name) return &fields_[i];
  return nullptr;
}

}  // namespace lt::tool
