// Files of the data set "sequences" for tests: numbers from a fixed stream, samples of lengths of their own. One thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tests/data/temporary_folder.h"

namespace lt::tests {

// An NPY file; `type` as "<f4", `shape` as "(60, 9)".
template <class Number>
void write_npy(const std::string& path, const char* type, const std::string& shape, const std::vector<Number>& values) {
  std::string header = std::string("{'descr': '") + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize((10 + header.size() + 64) / 64 * 64 - 11, ' ');
  header += '\n';
  std::string file("\x93NUMPY\1\0", 8);
  file += static_cast<char>(header.size() % 256);
  file += static_cast<char>(header.size() / 256);
  file.append(header);
  file.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Number));
  write_file(path, file);
}

// SPLIT-sequences, -lengths and -labels, the latter `first_label` to below `classes`; the first sample has all steps.
inline void write_sequences(const std::string& folder, const std::string& split, uint32_t count, uint32_t steps,
                            uint32_t features, int32_t first_label, int32_t classes) {
  std::vector<float> x(uint64_t{count} * steps * features);
  std::vector<int32_t> lengths(count), labels(count);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(static_cast<int32_t>(i * 2654435761u) >> 8) * 0x1p-23f;
  for (uint32_t i = 0; i < count; ++i) {
    lengths[i] = static_cast<int32_t>(i == 0 ? steps : 1 + i * 40503u / 7 % steps);
    labels[i] = first_label + static_cast<int32_t>(i * 2654435761u >> 8) % (classes - first_label);
    if (labels[i] < first_label) labels[i] += classes - first_label;
  }
  const std::string n = std::to_string(count), base = folder + "/" + split;
  write_npy(base + "-sequences.npy", "<f4", "(" + n + ", " + std::to_string(steps) + ", " + std::to_string(features) + ")",
            x);
  write_npy(base + "-lengths.npy", "<i4", "(" + n + ",)", lengths);
  write_npy(base + "-labels.npy", "<i4", "(" + n + ",)", labels);
}

}  // namespace lt::tests
