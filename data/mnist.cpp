// MNIST: two IDX files a split, mapped where the publishers' archive left them. A data set owns its two mappings; reading
// copies out of them and allocates nothing, from any thread.
#include <cstring>
#include <string>

#include "data/folder.h"
#include "data/formats.h"
#include "data/hash.h"
#include "data/idx.h"
#include "data/view.h"

namespace lt::data {
namespace {

constexpr uint32_t rows = 28, columns = 28, classes = 10;

// Where the files lie under the folder that the user names, the likeliest first: that folder, the publishers' own, and what
// torchvision makes of it.
constexpr const char* subfolders[] = {"", "mnist", "MNIST", "MNIST/raw", "mnist/MNIST/raw", "mnist/raw", "raw"};

// Two spellings are about: as the publishers pack the files, and as some unpackers name them.
struct FileNames {
  const char* spellings[2];
};
struct SplitNames {
  FileNames images, labels;
};
constexpr SplitNames split_names[] = {
    {{{"train-images-idx3-ubyte", "train-images.idx3-ubyte"}}, {{"train-labels-idx1-ubyte", "train-labels.idx1-ubyte"}}},
    {{{"t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"}}, {{"t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"}}}};

// The path of the file in `folder` in the spelling that is there, with `suffix` at its end; "" where there is none.
std::string find_file(const std::string& folder, const FileNames& names, const char* suffix) {
  for (const char* name : names.spellings) {
    std::string path = join_path(folder, name) + suffix;
    if (path_exists(path)) return path;
  }
  return "";
}

struct Place {
  std::string images, labels;  // "" where missing
  bool any() const { return !images.empty() || !labels.empty(); }
  bool both() const { return !images.empty() && !labels.empty(); }
};

Place look_in(const std::string& folder, Split split, const char* suffix) {
  const SplitNames& names = split_names[split == Split::test];
  return {find_file(folder, names.images, suffix), find_file(folder, names.labels, suffix)};
}

// The folder with both files of the split, or else the first with one of them, which `folder` then names.
Place locate(const std::string& directory, Split split, const char* suffix, std::string* folder) {
  Place half;
  for (const char* subfolder : subfolders) {
    const std::string candidate = join_path(directory, subfolder);
    const Place place = look_in(candidate, split, suffix);
    if (!place.any() || (!place.both() && half.any())) continue;
    *folder = candidate;
    if (place.both()) return place;
    half = place;
  }
  return half;
}

Status missing(const char* directory, Split split) {
  const char* image_name = split_names[split == Split::test].images.spellings[0];
  LT_TRY(check_folder(directory, "MNIST", "mnist", image_name));
  std::string folder;
  if (const Place packed = locate(directory, split, ".gz", &folder); packed.any()) {
    return fail(Status::io, "%s: is there only packed; unpack it with gunzip or `lean-train data prepare mnist %s`",
                (packed.images.empty() ? packed.labels : packed.images).c_str(), folder.c_str());
  }
  return fail(Status::io,
              "%s: holds no %s, nor do mnist, MNIST/raw and raw in it; fetch it with `lean-train data get mnist`",
              directory, image_name);
}

Status missing_half(const Place& place, const std::string& folder, Split split) {
  const SplitNames& names = split_names[split == Split::test];
  const FileNames& missing_names = place.images.empty() ? names.images : names.labels;
  const std::string& present = place.images.empty() ? place.labels : place.images;
  if (const std::string packed = find_file(folder, missing_names, ".gz"); !packed.empty()) {
    return fail(Status::io, "%s: is still packed beside %s; unpack it with gunzip or `lean-train data prepare mnist %s`",
                packed.c_str(), present.c_str(), folder.c_str());
  }
  return fail(Status::io, "%s: is missing beside %s; fetch it with `lean-train data get mnist`",
              join_path(folder, missing_names.spellings[0]).c_str(), present.c_str());
}

Status check_same_count(const IdxFile& images, const IdxFile& labels) {
  if (images.count == labels.count) return Status::ok;
  return fail(Status::mismatch, "%s: %u images, but %s: %u labels; these two files do not belong together",
              images.file.path().c_str(), images.count, labels.file.path().c_str(), labels.count);
}

class Mnist final : public Dataset {
 public:
  // Without labels (an IdxFile of nothing) all are 0.
  Mnist(IdxFile images, IdxFile labels) : images_(std::move(images)), labels_(std::move(labels)) {
    info_.name = "mnist";
    info_.extent = {rows, columns, 1};
    info_.x_dtype = DType::u8;
    info_.classes = classes;
    info_.count = images_.count;
    images_.file.advise_all_needed();
  }

  const DatasetInfo& info() const override { return info_; }

  Status read(const uint32_t* indices, uint32_t n, void* x, int32_t* labels) const override {
    LT_TRY(check_sizes());
    auto* out = static_cast<uint8_t*>(x);
    for (uint32_t i = 0; i < n; ++i, out += rows * columns) {
      if (indices[i] >= info_.count) {
        return fail(Status::argument, "%s: sample %u asked for, has %u", images_.file.path().c_str(), indices[i],
                    images_.count);
      }
      std::memcpy(out, images_.elements + uint64_t{indices[i]} * (rows * columns), rows * columns);
      LT_TRY(read_label(indices[i], &labels[i]));
    }
    return Status::ok;
  }

  Status view(uint32_t first, uint32_t n, const void** x, int32_t* labels) const override {
    LT_TRY(check_sizes());
    LT_TRY(check_view(images_.file.path().c_str(), first, n, info_.count));
    for (uint32_t i = 0; i < n; ++i) LT_TRY(read_label(first + i, &labels[i]));
    *x = images_.elements + uint64_t{first} * (rows * columns);
    return Status::ok;
  }

  Status hash(uint8_t out[16]) const override {
    LT_TRY(check_sizes());
    const HashedPart parts[] = {{images_.file.bytes(), images_.file.size()}, {labels_.file.bytes(), labels_.file.size()}};
    hash_parts(parts, out);
    return Status::ok;
  }

 private:
  // Before every touch of the mapping, 0.2 us a file: a file that was cut meanwhile is an error, not a bus error.
  Status check_sizes() const {
    LT_TRY(images_.file.check_size());
    return labels_.elements ? labels_.file.check_size() : Status::ok;
  }

  // Checked when it was opened, and again: the bytes belong to whoever may write the file.
  Status read_label(uint32_t index, int32_t* label) const {
    *label = labels_.elements ? labels_.elements[index] : 0;
    if (*label < static_cast<int32_t>(classes)) return Status::ok;
    return fail(Status::io, "%s: record %u changed to label %d while in use", labels_.file.path().c_str(), index, *label);
  }

  IdxFile images_, labels_;
  DatasetInfo info_;
};

bool found(const char* directory) {
  std::string folder;
  for (const Split split : {Split::train, Split::test}) {
    for (const char* suffix : {"", ".gz"}) {
      if (locate(directory, split, suffix, &folder).any()) return true;
    }
  }
  return false;
}

Status open(const char* directory, Split split, uint64_t, std::unique_ptr<Dataset>* dataset) {
  std::string folder;
  const Place place = locate(directory, split, "", &folder);
  if (!place.any()) return missing(directory, split);
  if (!place.both()) return missing_half(place, folder, split);
  IdxFile images, labels;
  LT_TRY(open_idx_images(place.images.c_str(), rows, columns, &images));
  LT_TRY(open_idx_labels(place.labels.c_str(), classes, &labels));
  LT_TRY(check_same_count(images, labels));
  *dataset = std::make_unique<Mnist>(std::move(images), std::move(labels));
  return Status::ok;
}

}  // namespace

// Images alone, or with the labels of the file beside them that is called alike.
Status open_mnist_file(const char* path, std::unique_ptr<Dataset>* dataset, bool* labelled) {
  IdxFile images, labels;
  LT_TRY(open_idx_images(path, rows, columns, &images));
  std::string beside(path);
  for (const auto& [part, other] : {std::pair{"images", "labels"}, std::pair{"idx3", "idx1"}})
    if (const size_t at = beside.rfind(part); at != std::string::npos) beside.replace(at, std::strlen(part), other);
  *labelled = beside != path && path_exists(beside);
  if (*labelled) {
    LT_TRY(open_idx_labels(beside.c_str(), classes, &labels));
    LT_TRY(check_same_count(images, labels));
  }
  *dataset = std::make_unique<Mnist>(std::move(images), std::move(labels));
  return Status::ok;
}

const DatasetFormat mnist = {"mnist", "MNIST handwritten digits (IDX)", false, "synthetic-digits", "mnist", found, open};

}  // namespace lt::data
