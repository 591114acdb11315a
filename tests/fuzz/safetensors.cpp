// A file of weights or prepared data: its header, and its checksum where it has one.
#include <cstring>

#include "src/base/safetensors.h"
#include "src/base/safetensors_checksum.h"
#include "tests/fuzz/fuzz.h"

using namespace lt;

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const fuzz::Folder folder;
  const std::string path = folder.write("file", bytes, size);
  SafetensorsReader reader;
  if (!ok(SafetensorsReader::open(path.c_str(), &reader))) {
    fuzz::expect(*last_error() != '\0', "a refusal has its sentence");
    return 0;
  }
  uint64_t all = 0;
  for (const SafetensorsEntry& entry : reader.entries()) {
    fuzz::expect(entry.begin <= entry.end && reader.data_offset() + entry.end <= size, "tensors lie in the file");
    fuzz::expect(reader.find(entry.name) == &entry, "a tensor is found by its name");
    if (entry.end > entry.begin)
      fuzz::expect(std::memcmp(entry.bytes, bytes + reader.data_offset() + entry.begin, entry.end - entry.begin) == 0,
                   "a tensor's bytes are the file's");
    all += entry.end - entry.begin;
  }
  fuzz::expect(reader.data_offset() + all == size, "tensors tile the file");
  bool present = false;
  (void)safetensors_check(reader, &present);
  return 0;
}
