// An array of numbers in a file, NPY or IDX.
#include "data/array_file.h"
#include "tests/fuzz/fuzz.h"

using namespace lt;

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const fuzz::Folder folder;
  const std::string path = folder.write("array", bytes, size);
  data::ArrayFile array;
  if (!ok(data::open_array(path.c_str(), &array))) {
    fuzz::expect(*last_error() != '\0', "a refusal has its sentence");
    return 0;
  }
  fuzz::expect(array.count >= 1 && array.count <= size, "every element has a byte at least");
  float value = 0;
  for (uint64_t i = 0; i < array.count; ++i)
    data::is_real(array.type) ? array.floats(i, 1, &value) : void(array.integer(i));
  return 0;
}
