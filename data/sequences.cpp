// Sequences of a user's own, each with a class: arrays in files as array_file.h reads them, NPY or IDX, in one folder. For
// SPLIT train and test, each NAME as NAME.npy or NAME.idx:
//
//   SPLIT-sequences   [samples][time][features]  floats of 4 or 8 bytes, or unsigned bytes
//   SPLIT-labels      [samples]                  whole numbers from 0 on
//   SPLIT-lengths     [samples]                  steps that a sample has, 1 to time; without this file all have all
//
// A sample is given out as float, or as the bytes that it was, with zeros behind its length whatever the file has there. A
// data set owns its mappings; reading allocates nothing, from any thread.
#include <algorithm>
#include <cstring>
#include <string>

#include "data/array_file.h"
#include "data/folder.h"
#include "data/formats.h"
#include "data/hash.h"

namespace lt::data {
namespace {

constexpr const char* subfolders[] = {"", "sequences"};
// Samples and steps are counted in 32 bits, and a sample has to fit beside others into memory.
constexpr uint64_t samples_max = UINT32_MAX / 2, sample_elements_max = 1u << 28;
constexpr int64_t classes_max = 1 << 20;

struct Files {
  ArrayFile sequences, labels, lengths;
  bool has_lengths = false;
};

// The path of NAME.npy or NAME.idx in the folder; "" where neither is there.
std::string find_file(const std::string& folder, const std::string& name) {
  for (const char* suffix : {".npy", ".idx"}) {
    std::string path = join_path(folder, (name + suffix).c_str());
    if (path_exists(path)) return path;
  }
  return "";
}

std::string split_file(const std::string& folder, Split split, const char* what) {
  return find_file(folder, std::string(split == Split::test ? "test-" : "train-") + what);
}

// The folder with the split's sequences; "" where there is none.
std::string locate(const std::string& directory, Split split) {
  for (const char* subfolder : subfolders) {
    std::string folder = join_path(directory, subfolder);
    if (!split_file(folder, split, "sequences").empty()) return folder;
  }
  return "";
}

Status open_sequences(const std::string& path, ArrayFile* array) {
  LT_TRY(open_array(path.c_str(), array));
  if (array->rank != 3)
    return fail(Status::format, "%s: %u dimensions, expected [samples][time][features]", path.c_str(), array->rank);
  if (array->type != ElementType::u8 && !is_real(array->type))
    return fail(Status::format, "%s: signed or wide whole numbers, expected floats of 4 or 8 bytes or unsigned bytes",
                path.c_str());
  // The product fits: the file has as many bytes.
  const uint64_t elements = array->shape[1] * array->shape[2];
  if (array->shape[0] > samples_max || elements > sample_elements_max) {
    return fail(Status::format, "%s: %llu samples of %llu numbers, at most %llu of %llu are read", path.c_str(),
                static_cast<unsigned long long>(array->shape[0]), static_cast<unsigned long long>(elements),
                static_cast<unsigned long long>(samples_max), static_cast<unsigned long long>(sample_elements_max));
  }
  return Status::ok;
}

// One number a sample, each from `least` to `most`.
Status open_numbers(const std::string& path, const ArrayFile& sequences, int64_t least, int64_t most, ArrayFile* array) {
  LT_TRY(open_array(path.c_str(), array));
  if (is_real(array->type)) return fail(Status::format, "%s: floats, expected whole numbers", path.c_str());
  if (array->rank != 1 || array->shape[0] != sequences.shape[0]) {
    return fail(Status::mismatch, "%s: %llu numbers in %u dimensions, expected one for each of the %llu samples of %s",
                path.c_str(), static_cast<unsigned long long>(array->count), array->rank,
                static_cast<unsigned long long>(sequences.shape[0]), sequences.file.path().c_str());
  }
  for (uint64_t i = 0; i < array->count; ++i) {
    if (const int64_t value = array->integer(i); value < least || value > most) {
      return fail(Status::format, "%s: sample %llu has %lld, expected %lld to %lld", path.c_str(),
                  static_cast<unsigned long long>(i), static_cast<long long>(value), static_cast<long long>(least),
                  static_cast<long long>(most));
    }
  }
  return Status::ok;
}

class Sequences final : public Dataset {
 public:
  explicit Sequences(Files files) : files_(std::move(files)) {
    const ArrayFile& sequences = files_.sequences;
    info_.name = "sequences";
    info_.extent = {static_cast<uint32_t>(sequences.shape[1]), static_cast<uint32_t>(sequences.shape[2]), 1};
    info_.x_dtype = sequences.type == ElementType::u8 ? DType::u8 : DType::f32;
    info_.has_lengths = files_.has_lengths;
    info_.count = sequences.shape[0];
    int64_t highest = 0;
    for (uint64_t i = 0; i < info_.count; ++i) highest = std::max(highest, files_.labels.integer(i));
    info_.classes = static_cast<uint32_t>(highest) + 1;
    sequences.file.advise_all_needed();
  }

  const DatasetInfo& info() const override { return info_; }

  Status read(const uint32_t* indices, uint32_t n, void* x, int32_t* labels) const override {
    LT_TRY(check_sizes());
    const uint64_t elements = info_.extent.elements(), features = info_.extent.width;
    auto* out = static_cast<uint8_t*>(x);
    for (uint32_t i = 0; i < n; ++i, out += info_.sample_bytes()) {
      uint32_t length = 0;
      LT_TRY(find_length(indices[i], &length));
      const uint64_t first = indices[i] * elements, there = length * features;
      if (info_.x_dtype == DType::u8) {
        std::memcpy(out, files_.sequences.elements + first, there);
      } else {
        files_.sequences.floats(first, there, reinterpret_cast<float*>(out));
      }
      // All bits 0 are the number 0 in either type.
      const uint64_t there_bytes = there * dtype_bytes(info_.x_dtype);
      std::memset(out + there_bytes, 0, info_.sample_bytes() - there_bytes);
      const int64_t label = files_.labels.integer(indices[i]);
      if (label < 0 || label >= info_.classes) {
        return fail(Status::io, "%s: sample %u changed to %lld while in use", files_.labels.file.path().c_str(), indices[i],
                    static_cast<long long>(label));
      }
      labels[i] = static_cast<int32_t>(label);
    }
    return Status::ok;
  }

  Status lengths(const uint32_t* indices, uint32_t n, uint32_t* lengths) const override {
    LT_TRY(check_sizes());
    for (uint32_t i = 0; i < n; ++i) LT_TRY(find_length(indices[i], &lengths[i]));
    return Status::ok;
  }

  Status hash(uint8_t out[16]) const override {
    LT_TRY(check_sizes());
    const HashedPart parts[] = {whole(files_.sequences), whole(files_.labels), whole(files_.lengths)};
    hash_parts({parts, files_.has_lengths ? size_t{3} : size_t{2}}, out);
    return Status::ok;
  }

 private:
  static HashedPart whole(const ArrayFile& array) { return {array.file.bytes(), array.file.size()}; }

  // Before every touch of the mappings: a file that was cut meanwhile is an error, not a bus error.
  Status check_sizes() const {
    LT_TRY(files_.sequences.file.check_size());
    LT_TRY(files_.labels.file.check_size());
    return files_.has_lengths ? files_.lengths.file.check_size() : Status::ok;
  }

  // Checked when it was opened, and again: the bytes belong to whoever may write the file.
  Status find_length(uint32_t index, uint32_t* length) const {
    if (index >= info_.count) {
      return fail(Status::argument, "%s: sample %u asked for, has %llu", files_.sequences.file.path().c_str(), index,
                  static_cast<unsigned long long>(info_.count));
    }
    const int64_t found = files_.has_lengths ? files_.lengths.integer(index) : info_.extent.height;
    if (found < 1 || found > info_.extent.height) {
      return fail(Status::io, "%s: sample %u changed to %lld while in use", files_.lengths.file.path().c_str(), index,
                  static_cast<long long>(found));
    }
    *length = static_cast<uint32_t>(found);
    return Status::ok;
  }

  Files files_;
  DatasetInfo info_;
};

bool found(const char* directory) {
  return !locate(directory, Split::train).empty() || !locate(directory, Split::test).empty();
}

Status open(const char* directory, Split split, uint64_t, std::unique_ptr<Dataset>* dataset) {
  const char* const name = split == Split::test ? "test" : "train";
  const std::string folder = locate(directory, split);
  if (folder.empty() && !is_folder(directory)) return fail(Status::io, "%s: is no folder", directory);
  if (folder.empty()) {
    return fail(Status::io, "%s: holds neither %s-sequences.npy nor %s-sequences.idx; save [samples][time][features] there",
                directory, name, name);
  }
  const std::string labels = split_file(folder, split, "labels"), lengths = split_file(folder, split, "lengths");
  if (labels.empty())
    return fail(Status::io, "%s: holds %s-sequences but neither %s-labels.npy nor %s-labels.idx", folder.c_str(), name,
                name, name);
  Files files;
  LT_TRY(open_sequences(split_file(folder, split, "sequences"), &files.sequences));
  LT_TRY(open_numbers(labels, files.sequences, 0, classes_max - 1, &files.labels));
  files.has_lengths = !lengths.empty();
  if (files.has_lengths) {
    const auto steps = static_cast<int64_t>(files.sequences.shape[1]);
    LT_TRY(open_numbers(lengths, files.sequences, 1, steps, &files.lengths));
  }
  *dataset = std::make_unique<Sequences>(std::move(files));
  return Status::ok;
}

}  // namespace

const DatasetFormat sequences = {"sequences", "sequences of your own (NPY or IDX)", false, nullptr, "sequences", found,
                                 open};

}  // namespace lt::data
