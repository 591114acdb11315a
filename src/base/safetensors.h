// safetensors: the file format of weights and of prepared data sets (https://github.com/huggingface/safetensors, "Format").
//
//   offset 0   8 bytes   header length H, little-endian
//          8   H bytes   JSON: {"__metadata__": {text: text, ...}, name: {"dtype": "F32", "shape": [...],
//                        "data_offsets": [begin, end]}, ...}, padded with spaces
//        8+H   the rest  the tensors' bytes; the offsets count from here and tile the rest exactly: no holes, no overlap
//
// A reader owns the mapping of its file; its views are valid as long as it lives. Set-up only: both sides allocate.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "src/base/file.h"
#include "src/base/status.h"

namespace lt {

struct SafetensorsEntry {
  std::string name, dtype;
  std::vector<uint64_t> shape;
  uint64_t begin = 0, end = 0;     // bytes from the start of the data
  const uint8_t* bytes = nullptr;  // in the mapping; any alignment
};

inline constexpr uint64_t safetensors_max_header_bytes = 16u << 20;
inline constexpr size_t safetensors_max_tensors = 100000, safetensors_max_rank = 8;

class SafetensorsReader {
 public:
  // Opens and checks everything but the numbers themselves.
  static Status open(const char* path, SafetensorsReader* reader);
  const SafetensorsEntry* find(const std::string& name) const;
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  // A text of "__metadata__"; null where there is none of the name.
  const std::string* metadata(const std::string& name) const;
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }
  const MappedFile& file() const { return file_; }
  // Of the tensors' bytes in the file.
  uint64_t data_offset() const { return data_offset_; }

 private:
  MappedFile file_;
  std::vector<SafetensorsEntry> entries_;  // by name
  std::vector<std::pair<std::string, std::string>> metadata_;
  uint64_t data_offset_ = 0;
};

// Writes F32 tensors. Call create, then write_tensor once for each of the tensors given to create, in that order, then
// commit.
class SafetensorsWriter {
 public:
  struct Tensor {
    std::string name;
    std::vector<uint64_t> shape;
  };
  Status create(const char* path, const std::vector<std::pair<std::string, std::string>>& metadata,
                const std::vector<Tensor>& tensors);
  Status write_tensor(const float* values, uint64_t count);
  Status commit();

 private:
  FileReplacement file_;
};

}  // namespace lt
