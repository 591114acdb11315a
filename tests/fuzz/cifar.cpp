// One batch of CIFAR-10.
#include <numeric>
#include <vector>

#include "data/formats.h"
#include "tests/fuzz/fuzz.h"

using namespace lt;

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const fuzz::Folder folder;
  const std::string path = folder.write("data_batch_1.bin", bytes, size);
  std::unique_ptr<Dataset> dataset;
  bool labelled = false;
  if (!ok(data::open_cifar10_file(path.c_str(), &dataset, &labelled))) return 0;
  const auto count = static_cast<uint32_t>(dataset->info().count);
  std::vector<uint32_t> indices(count);
  std::iota(indices.begin(), indices.end(), 0u);
  std::vector<uint8_t> x(count * dataset->info().sample_bytes());
  std::vector<int32_t> labels(count);
  fuzz::expect(ok(dataset->read(indices.data(), count, x.data(), labels.data())), "an open set can be read");
  for (const int32_t label : labels) fuzz::expect(label >= 0 && label < 10, "labels are classes");
  return 0;
}
