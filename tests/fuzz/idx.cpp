// MNIST's files: the first byte says whether the rest is a file of labels or one of images; both are then read whole.
#include <numeric>
#include <vector>

#include "data/formats.h"
#include "tests/fuzz/fuzz.h"

using namespace lt;

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  static const fuzz::Folder folder;
  static constexpr uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 3, 9},
                           header[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28};
  std::vector<uint8_t> images(std::begin(header), std::end(header));
  images.resize(images.size() + 2 * 784);
  const bool of_labels = bytes[0] % 2 != 0;
  const std::string path = of_labels ? folder.write("train-images-idx3-ubyte", images.data(), images.size())
                                     : folder.write("train-images-idx3-ubyte", bytes + 1, size - 1);
  of_labels ? folder.write("train-labels-idx1-ubyte", bytes + 1, size - 1)
            : folder.write("train-labels-idx1-ubyte", labels, sizeof labels);
  std::unique_ptr<Dataset> dataset;
  bool labelled = false;
  if (!ok(data::open_mnist_file(path.c_str(), &dataset, &labelled))) return 0;
  const auto count = static_cast<uint32_t>(dataset->info().count);
  std::vector<uint32_t> indices(count);
  std::iota(indices.begin(), indices.end(), 0u);
  std::vector<uint8_t> x(count * dataset->info().sample_bytes());
  std::vector<int32_t> found(count);
  fuzz::expect(ok(dataset->read(indices.data(), count, x.data(), found.data())), "an open set can be read");
  for (const int32_t label : found) fuzz::expect(label >= 0 && label < 10, "labels are classes");
  return 0;
}
