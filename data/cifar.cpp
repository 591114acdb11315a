// CIFAR-10, the binary version: five batches to train on and one to test with, mapped where the publishers' archive left
// them. A data set owns its mappings; reading copies out of them and allocates nothing, from any thread. The i-th sample is
// the i-th record of the batches in their order; a file is nothing but records:
//
//   byte 3073 i          label, 0 to 9
//        3073 i +    1   red, 32 rows of 32 bytes
//        3073 i + 1025   green
//        3073 i + 2049   blue
#include <array>
#include <cstring>
#include <string>

#include "data/folder.h"
#include "data/formats.h"
#include "data/hash.h"
#include "src/base/file.h"

namespace lt::data {
namespace {

constexpr uint32_t side = 32, channels = 3, classes = 10, batches_max = 5;
constexpr uint64_t image_bytes = channels * side * side, record_bytes = 1 + image_bytes;
// More than any file of this format has; samples are counted in 32 bits.
constexpr uint64_t records_max = 1u << 24;

// Where the files lie under the folder that the user names, the likeliest first.
constexpr const char* subfolders[] = {"", "cifar-10-batches-bin", "cifar10", "cifar10/cifar-10-batches-bin"};
constexpr const char* archive = "cifar-10-binary.tar.gz";

struct SplitNames {
  uint32_t count;
  const char* names[batches_max];
};
constexpr SplitNames split_names[] = {
    {5, {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"}},
    {1, {"test_batch.bin"}}};

const SplitNames& names_of(Split split) { return split_names[split == Split::test]; }

uint32_t count_present(const std::string& folder, const SplitNames& names) {
  uint32_t present = 0;
  for (uint32_t i = 0; i < names.count; ++i) present += path_exists(join_path(folder, names.names[i]));
  return present;
}

// The folder with all files of the split, or else the first with some of them; "" where none has one.
std::string locate(const std::string& directory, Split split, uint32_t* present) {
  const SplitNames& names = names_of(split);
  std::string some;
  *present = 0;
  for (const char* subfolder : subfolders) {
    std::string candidate = join_path(directory, subfolder);
    const uint32_t here = count_present(candidate, names);
    if (here == 0 || (here<names.count&& * present> 0)) continue;
    *present = here;
    some = candidate;
    if (here == names.count) break;
  }
  return some;
}

Status missing(const char* directory, Split split) {
  const char* first_name = names_of(split).names[0];
  LT_TRY(check_folder(directory, "CIFAR-10", "cifar10", first_name));
  if (const std::string packed = find_below(directory, subfolders, archive); !packed.empty()) {
    return fail(Status::io, "%s: is there only packed; unpack it with tar or `lean-train data prepare cifar10 %s`",
                packed.c_str(), packed.substr(0, packed.find_last_of('/')).c_str());
  }
  for (const char* python : {"data_batch_1", "cifar-10-batches-py/data_batch_1"}) {
    if (const std::string path = find_below(directory, subfolders, python); !path.empty()) {
      return fail(Status::io,
                  "%s: is the Python version of CIFAR-10, and the binary version (%s) is read; fetch it with `lean-train "
                  "data get cifar10`",
                  path.c_str(), first_name);
    }
  }
  return fail(Status::io,
              "%s: holds no %s, nor does cifar-10-batches-bin in it; fetch it with `lean-train data get cifar10`",
              directory, first_name);
}

// Says what a file is whose size is none of a batch.
Status wrong_size(const char* path, const MappedFile& file) {
  const uint8_t* b = file.bytes();
  const uint64_t size = file.size();
  if (size == 0) {
    return fail(Status::format, "%s: 0 bytes, expected a multiple of %llu; fetch it with `lean-train data get cifar10`",
                path, static_cast<unsigned long long>(record_bytes));
  }
  if (size >= 2 && b[0] == 0x1f && b[1] == 0x8b) {
    return fail(Status::format, "%s: is still compressed by gzip; unpack it with gunzip or tar", path);
  }
  if (b[0] == '<') {
    return fail(
        Status::format,
        "%s: is a web page, not a batch of CIFAR-10, as a failed download leaves it; fetch it with `lean-train data "
        "get cifar10`",
        path);
  }
  const char* hint = size % (record_bytes + 1) == 0 ? "; CIFAR-100, whose records have 3074 bytes, is not read" : "";
  return fail(Status::format,
              "%s: %llu bytes are %llu records of %llu bytes and %llu bytes more, expected whole records alone%s; fetch it "
              "with `lean-train data get cifar10`",
              path, static_cast<unsigned long long>(size), static_cast<unsigned long long>(size / record_bytes),
              static_cast<unsigned long long>(record_bytes), static_cast<unsigned long long>(size % record_bytes), hint);
}

// Maps one batch and checks its size and every label.
Status open_batch(const char* path, MappedFile* file) {
  LT_TRY(MappedFile::open(path, file));
  const uint64_t size = file->size();
  if (size == 0 || size % record_bytes != 0) return wrong_size(path, *file);
  const uint64_t records = size / record_bytes;
  if (records > records_max) {
    return fail(Status::format, "%s: %llu records, at most %llu are read", path, static_cast<unsigned long long>(records),
                static_cast<unsigned long long>(records_max));
  }
  for (uint64_t i = 0; i < records; ++i) {
    if (const uint8_t label = file->bytes()[i * record_bytes]; label >= classes) {
      return fail(Status::format, "%s: byte %llu: record %llu has label %u, expected 0 to %u", path,
                  static_cast<unsigned long long>(i * record_bytes), static_cast<unsigned long long>(i), label,
                  classes - 1);
    }
  }
  return Status::ok;
}

class Cifar10 final : public Dataset {
 public:
  using Batches = std::array<MappedFile, batches_max>;

  Cifar10(Batches batches, uint32_t batch_count) : batches_(std::move(batches)), batch_count_(batch_count) {
    for (uint32_t i = 0; i < batch_count_; ++i) {
      first_[i + 1] = first_[i] + static_cast<uint32_t>(batches_[i].size() / record_bytes);
      batches_[i].advise_all_needed();
    }
    info_.name = "cifar10";
    info_.extent = {side, side, channels};
    info_.x_dtype = DType::u8;
    info_.classes = classes;
    info_.count = first_[batch_count_];
  }

  const DatasetInfo& info() const override { return info_; }

  Status read(const uint32_t* indices, uint32_t n, void* x, int32_t* labels) const override {
    LT_TRY(check_sizes());
    auto* out = static_cast<uint8_t*>(x);
    for (uint32_t i = 0; i < n; ++i, out += image_bytes) {
      const uint32_t index = indices[i];
      if (index >= info_.count) {
        return fail(Status::argument, "%s: sample %u asked for, %llu in this and the other batches",
                    batches_[0].path().c_str(), index, static_cast<unsigned long long>(info_.count));
      }
      uint32_t batch = 0;
      while (index >= first_[batch + 1]) ++batch;
      const MappedFile& file = batches_[batch];
      const uint8_t* record = file.bytes() + (index - first_[batch]) * record_bytes;
      std::memcpy(out, record + 1, image_bytes);
      // Checked when it was opened, and again: the bytes belong to whoever may write the file.
      const uint8_t label = *record;
      if (label >= classes) {
        return fail(Status::io, "%s: record %u changed to label %u while in use", file.path().c_str(),
                    index - first_[batch], label);
      }
      labels[i] = label;
    }
    return Status::ok;
  }

  Status hash(uint8_t out[16]) const override {
    LT_TRY(check_sizes());
    HashedPart parts[batches_max];
    for (uint32_t i = 0; i < batch_count_; ++i) parts[i] = {batches_[i].bytes(), batches_[i].size()};
    hash_parts({parts, batch_count_}, out);
    return Status::ok;
  }

 private:
  // Before every touch of the mappings, 0.2 us a file: a file that was cut meanwhile is an error, not a bus error.
  Status check_sizes() const {
    for (uint32_t i = 0; i < batch_count_; ++i) LT_TRY(batches_[i].check_size());
    return Status::ok;
  }

  Batches batches_;
  uint32_t batch_count_;
  uint32_t first_[batches_max + 1] = {};  // sample with which each batch begins, and the end
  DatasetInfo info_;
};

bool found(const char* directory) {
  uint32_t present;
  return !locate(directory, Split::train, &present).empty() || !locate(directory, Split::test, &present).empty() ||
         !find_below(directory, subfolders, archive).empty();
}

Status open(const char* directory, Split split, uint64_t, std::unique_ptr<Dataset>* dataset) {
  const SplitNames& names = names_of(split);
  uint32_t present;
  const std::string folder = locate(directory, split, &present);
  if (folder.empty()) return missing(directory, split);
  Cifar10::Batches batches;
  for (uint32_t i = 0; i < names.count; ++i) {
    const std::string path = join_path(folder, names.names[i]);
    if (present < names.count && !path_exists(path)) {
      return fail(Status::io, "%s: is missing, %u of the %u batches are there; fetch it with `lean-train data get cifar10`",
                  path.c_str(), present, names.count);
    }
    LT_TRY(open_batch(path.c_str(), &batches[i]));
  }
  *dataset = std::make_unique<Cifar10>(std::move(batches), names.count);
  return Status::ok;
}

}  // namespace

Status open_cifar10_file(const char* path, std::unique_ptr<Dataset>* dataset, bool* labelled) {
  Cifar10::Batches batches;
  LT_TRY(open_batch(path, &batches[0]));
  *dataset = std::make_unique<Cifar10>(std::move(batches), 1);
  *labelled = true;
  return Status::ok;
}

const DatasetFormat cifar10 = {
    "cifar10", "CIFAR-10 colour images (binary version)", false, "synthetic-images", "cifar-10-batches-bin", found, open};

}  // namespace lt::data
