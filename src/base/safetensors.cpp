#include "src/base/safetensors.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>

#include <nlohmann/json.hpp>

#include "src/base/checked.h"

namespace lt {
namespace {

using nlohmann::json;

uint64_t dtype_size(const std::string& dtype) {
  static const std::pair<const char*, uint64_t> sizes[] = {
      {"F64", 8}, {"F32", 4},  {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"I32", 4},     {"I16", 2},    {"I8", 1},
      {"U8", 1},  {"BOOL", 1}, {"U16", 2}, {"U32", 4},  {"U64", 8}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  for (const auto& [name, size] : sizes)
    if (dtype == name) return size;
  return 0;
}

// Takes the header's events; depth 1 is the outer object, 2 a tensor (or the metadata), 3 one of a tensor's two arrays.
class HeaderHandler : public nlohmann::json_sax<json> {
 public:
  std::vector<SafetensorsEntry> entries;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::string problem;

  bool null() override { return refuse("a null"); }
  bool boolean(bool) override { return refuse("a truth value"); }
  bool number_integer(number_integer_t) override { return refuse("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return refuse("a fractional or overlarge number"); }
  bool binary(binary_t&) override { return refuse("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != 3) return refuse("a number in the wrong place");
    SafetensorsEntry& entry = entries.back();
    if (field_ == "shape") {
      if (entry.shape.size() == safetensors_max_rank) return refuse("more than 8 dimensions");
      entry.shape.push_back(value);
      return true;
    }
    if (offsets_ == 0) entry.begin = value;
    if (offsets_ == 1) entry.end = value;
    return ++offsets_ <= 2 || refuse("more than two data_offsets");
  }

  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) {
      metadata.back().second = value;
      return true;
    }
    if (depth_ != 2 || field_ != "dtype") return refuse("a text in the wrong place");
    entries.back().dtype = value;
    return true;
  }

  bool start_object(std::size_t) override {
    if (++depth_ > 2) return refuse("an object inside a tensor");
    return true;
  }

  bool key(string_t& name) override {
    if (depth_ == 1) {
      in_metadata_ = name == "__metadata__";
      if (in_metadata_) return true;
      if (entries.size() == safetensors_max_tensors) return refuse("too many tensors");
      entries.emplace_back();
      entries.back().name = name;
      offsets_ = 0;
      seen_dtype_ = seen_shape_ = seen_offsets_ = false;
      return true;
    }
    if (in_metadata_) {
      metadata.emplace_back(name, "");
      return true;
    }
    bool* seen = name == "dtype"          ? &seen_dtype_
                 : name == "shape"        ? &seen_shape_
                 : name == "data_offsets" ? &seen_offsets_
                                          : nullptr;
    if (!seen) return refuse("an unknown field");
    if (*seen) return refuse("a field twice");
    *seen = true;
    field_ = name;
    return true;
  }

  bool end_object() override {
    if (--depth_ == 1 && !in_metadata_ && (!seen_dtype_ || !seen_shape_ || !seen_offsets_ || offsets_ != 2))
      return refuse("no dtype, shape or two data_offsets");
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || field_ == "dtype") return refuse("an array in the wrong place");
    ++depth_;
    return true;
  }

  bool end_array() override {
    --depth_;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    problem = "is not JSON at byte " + std::to_string(8 + position);
    return false;
  }

 private:
  bool refuse(const char* what) {
    problem = std::string("has ") + what;
    if (!entries.empty() && depth_ > 1) problem += " at tensor \"" + entries.back().name.substr(0, 100) + "\"";
    return false;
  }

  int depth_ = 0, offsets_ = 0;
  bool in_metadata_ = false, seen_dtype_ = false, seen_shape_ = false, seen_offsets_ = false;
  std::string field_;
};

Status check_entry(const char* path, const SafetensorsEntry& entry, uint64_t data_bytes) {
  const uint64_t size = dtype_size(entry.dtype);
  if (size == 0)
    return fail(Status::format, "%s: tensor \"%.100s\": unknown dtype \"%.20s\"", path, entry.name.c_str(),
                entry.dtype.c_str());
  std::optional<uint64_t> bytes = size;
  for (const uint64_t dimension : entry.shape) bytes = bytes ? checked_multiply(*bytes, dimension) : bytes;
  if (!bytes) return fail(Status::format, "%s: tensor \"%.100s\": its shape overflows", path, entry.name.c_str());
  if (entry.begin <= entry.end && entry.end - entry.begin == *bytes && entry.end > data_bytes)
    return fail(Status::format,
                "%s: is cut short: tensor \"%.100s\" needs %" PRIu64 " bytes of data, the file has %" PRIu64
                "; take another copy of it",
                path, entry.name.c_str(), entry.end, data_bytes);
  if (entry.begin > entry.end || entry.end > data_bytes || entry.end - entry.begin != *bytes)
    return fail(Status::format,
                "%s: tensor \"%.100s\": its shape needs %" PRIu64 " bytes, its data_offsets say %" PRIu64 " to %" PRIu64
                " of %" PRIu64,
                path, entry.name.c_str(), *bytes, entry.begin, entry.end, data_bytes);
  return Status::ok;
}

Status check_tiling(const char* path, const std::vector<SafetensorsEntry>& entries, uint64_t data_bytes) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const SafetensorsEntry& entry : entries)
    if (entry.begin != entry.end) ranges.emplace_back(entry.begin, entry.end);
  std::sort(ranges.begin(), ranges.end());
  uint64_t at = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != at)
      return fail(Status::format, "%s: tensors %s at data byte %" PRIu64, path, begin < at ? "overlap" : "leave a hole",
                  at);
    at = end;
  }
  if (at != data_bytes)
    return fail(Status::format, "%s: %" PRIu64 " bytes of tensors, the file holds %" PRIu64 ": cut off or padded", path, at,
                data_bytes);
  return Status::ok;
}

}  // namespace

Status SafetensorsReader::open(const char* path, SafetensorsReader* reader) {
  SafetensorsReader result;
  LT_TRY(MappedFile::open(path, &result.file_));
  const uint64_t size = result.file_.size();
  if (size < 8) return fail(Status::format, "%s: %" PRIu64 " bytes, a safetensors file has at least 8", path, size);
  uint64_t header_bytes = 0;
  for (int i = 0; i < 8; ++i) header_bytes |= uint64_t{result.file_.bytes()[i]} << (8 * i);
  if (header_bytes > size - 8 || header_bytes > safetensors_max_header_bytes)
    return fail(Status::format,
                "%s: not a safetensors file: its first 8 bytes tell of a header of %" PRIu64
                " bytes, the file has %" PRIu64,
                path, header_bytes, size);
  HeaderHandler handler;
  const uint8_t* header = result.file_.bytes() + 8;
  if (!json::sax_parse(header, header + header_bytes, &handler))
    return fail(Status::format, "%s: bad safetensors header: it %s", path, handler.problem.c_str());
  result.entries_ = std::move(handler.entries);
  result.metadata_ = std::move(handler.metadata);
  std::sort(result.entries_.begin(), result.entries_.end(),
            [](const SafetensorsEntry& a, const SafetensorsEntry& b) { return a.name < b.name; });
  const uint64_t data_bytes = size - 8 - header_bytes;
  result.data_offset_ = 8 + header_bytes;
  for (size_t i = 0; i < result.entries_.size(); ++i) {
    SafetensorsEntry& entry = result.entries_[i];
    if (i > 0 && entry.name == result.entries_[i - 1].name)
      return fail(Status::format, "%s: two tensors are called \"%.100s\"", path, entry.name.c_str());
    LT_TRY(check_entry(path, entry, data_bytes));
    entry.bytes = header + header_bytes + entry.begin;
  }
  LT_TRY(check_tiling(path, result.entries_, data_bytes));
  *reader = std::move(result);
  return Status::ok;
}

const SafetensorsEntry* SafetensorsReader::find(const std::string& name) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), name,
                                   [](const SafetensorsEntry& entry, const std::string& key) { return entry.name < key; });
  return at != entries_.end() && at->name == name ? &*at : nullptr;
}

const std::string* SafetensorsReader::metadata(const std::string& name) const {
  for (const auto& [key, value] : metadata_)
    if (key == name) return &value;
  return nullptr;
}

Status SafetensorsWriter::create(const char* path, const std::vector<std::pair<std::string, std::string>>& metadata,
                                 const std::vector<Tensor>& tensors) {
  json header = json::object();
  for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
  uint64_t at = 0;
  for (const Tensor& tensor : tensors) {
    uint64_t bytes = sizeof(float);
    for (const uint64_t dimension : tensor.shape) bytes *= dimension;
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  std::string text = header.dump();
  // The tensors start at a multiple of 64 bytes, so that a reader may use them in place.
  text.resize(align_up(8 + text.size(), 64) - 8, ' ');
  uint8_t length[8];
  for (int i = 0; i < 8; ++i) length[i] = static_cast<uint8_t>(uint64_t{text.size()} >> (8 * i));
  LT_TRY(file_.create(path));
  LT_TRY(file_.write(length, sizeof length));
  return file_.write(text.data(), text.size());
}

Status SafetensorsWriter::write_tensor(const float* values, uint64_t count) {
  return file_.write(values, count * sizeof(float));
}

Status SafetensorsWriter::commit() { return file_.commit(); }

}  // namespace lt
