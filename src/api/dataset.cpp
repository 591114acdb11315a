// lt_dataset: the formats of the table, and samples that lie in the caller's memory.
#include "src/api/handles.h"
#include "src/base/checked.h"
#include "src/base/digest.h"
#include "src/dataset_file.h"

using namespace lt;
using namespace lt::api;

namespace {

// The caller's samples, used in place; the caller keeps them.
class WrappedDataset : public Dataset {
 public:
  WrappedDataset(const uint8_t* x, const uint8_t* labels, const DatasetInfo& info) : x_(x), labels_(labels), info_(info) {}

  const DatasetInfo& info() const override { return info_; }

  Status read(const uint32_t* indices, uint32_t n, void* x, int32_t* labels) const override {
    const uint64_t sample_bytes = info_.sample_bytes();
    for (uint32_t i = 0; i < n; ++i) {
      std::memcpy(static_cast<uint8_t*>(x) + i * sample_bytes, x_ + indices[i] * sample_bytes, sample_bytes);
      labels[i] = labels_[indices[i]];
    }
    return Status::ok;
  }

  Status hash(uint8_t out[16]) const override {
    Digest digest;
    digest.update(x_, info_.count * info_.sample_bytes());
    digest.update(labels_, info_.count);
    digest.finish(out);
    return Status::ok;
  }

 private:
  const uint8_t* x_;
  const uint8_t* labels_;
  DatasetInfo info_;
};

Status find_format(const char* kind, const DatasetFormat** format) {
  LT_NOT_NULL(kind);
  *format = dataset_format(kind);
  if (*format) return Status::ok;
  std::string known;
  for (size_t i = 0; i < dataset_table_size; ++i) known += std::string(i ? ", " : "") + dataset_table[i]->name;
  return fail(Status::argument, "no kind of data set \"%.60s\", expected one of: %s", kind, known.c_str());
}

Status check_index(const DatasetInfo& info, uint64_t index) {
  if (index < info.count) return Status::ok;
  return fail(Status::argument, "sample %llu: the set has %llu", static_cast<unsigned long long>(index),
              static_cast<unsigned long long>(info.count));
}

}  // namespace

uint32_t lt_dataset_kind_count(void) { return static_cast<uint32_t>(dataset_table_size); }

lt_status lt_dataset_kind_get(uint32_t index, lt_dataset_kind* out) {
  return guarded([&] {
    LT_TRY(check_size(out, "out"));
    if (index >= dataset_table_size)
      return fail(Status::argument, "kind number %u: there are %zu", index, dataset_table_size);
    const DatasetFormat& format = *dataset_table[index];
    lt_dataset_kind result{};
    copy_text(result.name, format.name);
    copy_text(result.title, format.title);
    copy_text(result.stand_in, format.stand_in ? format.stand_in : "");
    copy_text(result.folder, format.folder ? format.folder : "");
    result.synthetic = format.synthetic;
    copy_out(result, out);
    return Status::ok;
  });
}

int lt_dataset_found(const char* kind, const char* dir) {
  const DatasetFormat* format = kind ? dataset_format(kind) : nullptr;
  if (!format || !dir || !format->found) return 0;
  int found = 0;
  (void)guarded([&] {
    found = format->found(dir);
    return Status::ok;
  });
  return found;
}

lt_status lt_dataset_open(const char* kind, const char* dir, lt_split split, uint64_t seed, lt_dataset** out) {
  return guarded([&] {
    LT_NOT_NULL(out);
    const DatasetFormat* format = nullptr;
    LT_TRY(find_format(kind, &format));
    if (!format->synthetic) LT_NOT_NULL(dir);
    if (split != LT_TRAIN && split != LT_TEST)
      return fail(Status::argument, "split %d is neither LT_TRAIN nor LT_TEST", static_cast<int>(split));
    std::unique_ptr<Dataset> dataset;
    LT_TRY(format->open(dir, split == LT_TRAIN ? Split::train : Split::test, seed, &dataset));
    *out = new lt_dataset{std::move(dataset)};
    return Status::ok;
  });
}

lt_status lt_dataset_open_file(const char* kind, const char* path, lt_dataset** out, int* labelled) {
  return guarded([&] {
    LT_NOT_NULL(path);
    LT_NOT_NULL(out);
    LT_NOT_NULL(labelled);
    const DatasetFormat* format = nullptr;
    LT_TRY(find_format(kind, &format));
    const DatasetFileFormat* files = nullptr;
    for (size_t i = 0; i < dataset_file_table_size; ++i)
      if (std::strcmp(dataset_file_table[i].name, kind) == 0) files = &dataset_file_table[i];
    if (!files)
      return fail(Status::unsupported, "%s: samples of kind %s are not taken from a single file; give a folder", path,
                  kind);
    std::unique_ptr<Dataset> dataset;
    bool has_labels = false;
    LT_TRY(files->open(path, &dataset, &has_labels));
    *out = new lt_dataset{std::move(dataset)};
    *labelled = has_labels;
    return Status::ok;
  });
}

lt_status lt_dataset_wrap(const uint8_t* x, const uint8_t* labels, uint64_t count, uint32_t channels, uint32_t height,
                          uint32_t width, uint32_t classes, lt_dataset** out) {
  return guarded([&] {
    LT_NOT_NULL(x);
    LT_NOT_NULL(labels);
    LT_NOT_NULL(out);
    const auto bytes = checked_multiply(count, channels, height, width);
    if (!bytes || *bytes == 0 || *bytes > static_cast<uint64_t>(PTRDIFF_MAX) || count > UINT32_MAX ||
        channels > recipe_max_dimension || height > recipe_max_dimension || width > recipe_max_dimension || classes == 0 ||
        classes > 256)
      return fail(Status::argument,
                  "%llu samples of %u x %u x %u with %u classes: not a set of samples that fits into memory",
                  static_cast<unsigned long long>(count), channels, height, width, classes);
    for (uint64_t i = 0; i < count; ++i)
      if (labels[i] >= classes)
        return fail(Status::argument, "label %u of sample %llu: there are %u classes", labels[i],
                    static_cast<unsigned long long>(i), classes);
    DatasetInfo info;
    info.name = "memory";
    info.extent = {height, width, channels};
    info.classes = classes;
    info.count = count;
    *out = new lt_dataset{std::make_unique<WrappedDataset>(x, labels, info)};
    return Status::ok;
  });
}

lt_status lt_dataset_get(const lt_dataset* dataset, lt_dataset_info* out) {
  return guarded([&] {
    LT_NOT_NULL(dataset);
    LT_TRY(check_size(out, "out"));
    const DatasetInfo& info = dataset->dataset->info();
    lt_dataset_info result{};
    copy_text(result.name, info.name);
    result.count = info.count;
    result.sample_bytes = info.sample_bytes();
    result.channels = info.extent.channels;
    result.height = info.extent.height;
    result.width = info.extent.width;
    result.classes = info.classes;
    result.vocabulary = info.vocabulary;
    copy_text(result.vocabulary_hash, info.vocabulary_hash);
    result.cut = info.cut;
    copy_out(result, out);
    return Status::ok;
  });
}

lt_status lt_dataset_read(const lt_dataset* dataset, uint64_t index, void* x, uint32_t* label) {
  return guarded([&] {
    LT_NOT_NULL(dataset);
    const DatasetInfo& info = dataset->dataset->info();
    LT_TRY(check_index(info, index));
    const auto position = static_cast<uint32_t>(index);
    std::vector<int32_t> found(info.label_count);
    std::string unwanted;
    if (!x) {
      unwanted.resize(info.sample_bytes());
      x = unwanted.data();
    }
    LT_TRY(dataset->dataset->read(&position, 1, x, found.data()));
    if (label) *label = static_cast<uint32_t>(found[0]);
    return Status::ok;
  });
}

lt_status lt_dataset_length(const lt_dataset* dataset, uint64_t index, uint32_t* out) {
  return guarded([&] {
    LT_NOT_NULL(dataset);
    LT_NOT_NULL(out);
    LT_TRY(check_index(dataset->dataset->info(), index));
    const auto position = static_cast<uint32_t>(index);
    uint32_t length = 0;
    LT_TRY(dataset->dataset->lengths(&position, 1, &length));
    *out = length;
    return Status::ok;
  });
}

lt_status lt_dataset_hash(const lt_dataset* dataset, uint8_t out[16]) {
  return guarded([&] {
    LT_NOT_NULL(dataset);
    LT_NOT_NULL(out);
    return dataset->dataset->hash(out);
  });
}

void lt_dataset_free(lt_dataset* dataset) { delete dataset; }
