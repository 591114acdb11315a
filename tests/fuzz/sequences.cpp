// Sequences of a user's own: the first two bytes say how many of the others are the labels' file and the lengths' file, the
// rest is the sequences'.
#include <algorithm>
#include <numeric>
#include <vector>

#include "data/formats.h"
#include "tests/fuzz/fuzz.h"

using namespace lt;

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size < 2) return 0;
  static const fuzz::Folder folder;
  const size_t labels = std::min<size_t>(bytes[0], size - 2), lengths = std::min<size_t>(bytes[1], size - 2 - labels);
  folder.write("train-labels.npy", bytes + 2, labels);
  if (lengths != 0)
    folder.write("train-lengths.npy", bytes + 2 + labels, lengths);
  else
    std::filesystem::remove(folder.file("train-lengths.npy"));
  folder.write("train-sequences.npy", bytes + 2 + labels + lengths, size - 2 - labels - lengths);
  std::unique_ptr<Dataset> dataset;
  if (!ok(data::sequences.open(folder.path().c_str(), Split::train, 1, &dataset))) return 0;
  const DatasetInfo& info = dataset->info();
  std::vector<uint32_t> indices(info.count), steps(info.count);
  std::iota(indices.begin(), indices.end(), 0u);
  std::vector<uint8_t> x(info.count * info.sample_bytes());
  std::vector<int32_t> found(info.count * info.label_count);
  const auto count = static_cast<uint32_t>(info.count);
  fuzz::expect(ok(dataset->read(indices.data(), count, x.data(), found.data())), "an open set can be read");
  fuzz::expect(ok(dataset->lengths(indices.data(), count, steps.data())), "so can its lengths");
  for (const uint32_t length : steps)
    fuzz::expect(length >= 1 && length <= info.extent.height, "lengths fit their sequences");
  return 0;
}
