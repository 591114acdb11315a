// The contract of a data set: a read-only set of labelled samples, mapped from files whose every header field was checked
// when it was opened, or made by the program. data/table.cpp joins the formats to the core. Reading is safe from any
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "src/base/status.h"
#include "src/op.h"

namespace lt {

enum class Split : uint8_t { train, test };

struct DatasetInfo {
  const char* name = "";      // as the run log says it: "mnist", "synthetic"
  Extent extent;              // of one sample; of a sequence: height = time steps, width = features, one channel
  DType x_dtype = DType::u8;  // samples are [channel][row][column] of these
  uint32_t vocabulary = 0;    // not 0: samples are words, i32 below this, and zeros behind the last of a shorter one
  uint32_t classes = 0;       // labels are 0 .. classes - 1, checked on opening
  uint32_t label_count = 1;   // labels of a sample; more than 1: a list, filled up with -1 behind its last
  bool has_lengths = false;   // samples are sequences of lengths of their own
  uint64_t count = 0;         // samples
  uint64_t cut = 0;           // samples that are longer in the file: of these the last time steps are given
  // Where a file tells the words: 32 hex digits of that file's XXH3-128, as long as the data set lives; else "".
  const char* vocabulary_hash = "";
  uint64_t sample_bytes() const { return extent.elements() * dtype_bytes(x_dtype); }
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual const DatasetInfo& info() const = 0;
  // Copies sample indices[0 .. n) to x (n * sample_bytes) and their labels to labels (n * label_count). Indices are below
  // `count`.
  virtual Status read(const uint32_t* indices, uint32_t n, void* x, int32_t* labels) const = 0;
  // The same without a copy, where samples first to first + n - 1 lie in memory as `read` would leave them: their place, in
  // `x`, as long as the data set lives, and their labels. Elsewhere `x` becomes null and nothing else happens.
  virtual Status view(uint32_t first, uint32_t n, const void** x, int32_t* labels) const {
    (void)first, (void)n, (void)labels;
    *x = nullptr;
    return Status::ok;
  }
  // The time steps that samples indices[0 .. n) have, at most the extent's height: what lies behind them is padding. Where
  // samples are no sequences, the height.
  virtual Status lengths(const uint32_t* indices, uint32_t n, uint32_t* lengths) const {
    (void)indices;
    for (uint32_t i = 0; i < n; ++i) lengths[i] = info().extent.height;
    return Status::ok;
  }
  // XXH3-128 over the files' bytes (in the order named by the format; the samples' and labels' bytes of a set made by the
  // program), big-endian as XXH128_canonicalFromHash writes it.
  virtual Status hash(uint8_t out[16]) const = 0;
};

struct DatasetFormat {
  const char* name;      // what recipes and the C API call it: "mnist", "synthetic-digits"
  const char* title;     // "MNIST handwritten digits (IDX)"
  bool synthetic;        // made by the program from a seed; `directory` is ignored
  const char* stand_in;  // the synthetic format that serves where no files are found, or null
  const char* folder;    // the publishers' folder, looked for under a parent: "mnist"
  // True where `directory` (the folder itself or a parent of it) holds a file of this format, whole or not.
  bool (*found)(const char* directory);
  Status (*open)(const char* directory, Split split, uint64_t seed, std::unique_ptr<Dataset>* dataset);
};

// Defined in data/table.cpp.
extern const DatasetFormat* const dataset_table[];
extern const size_t dataset_table_size;

// The format of that name, or null.
const DatasetFormat* dataset_format(const char* name);

}  // namespace lt
