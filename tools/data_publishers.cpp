// The lists behind `lean-train data get`. The figures are the publishers'; all mirrors give out the same packed files.
#include "tools/data_publishers.h"

namespace lt::tool {
namespace {

constexpr PublishedFile mnist_files[] = {
    {"train-images-idx3-ubyte", 47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", 9912422,
     "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"},
    {"train-labels-idx1-ubyte", 60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", 28881,
     "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"},
    {"t10k-images-idx3-ubyte", 7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", 1648877,
     "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"},
    {"t10k-labels-idx1-ubyte", 10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 4542,
     "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"},
};

constexpr const char* mnist_mirrors[] = {
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    "https://raw.githubusercontent.com/fgnt/mnist/master",
};

constexpr PublishedFile cifar10_files[] = {
    {"data_batch_1.bin", 30730000, ""}, {"data_batch_2.bin", 30730000, ""}, {"data_batch_3.bin", 30730000, ""},
    {"data_batch_4.bin", 30730000, ""}, {"data_batch_5.bin", 30730000, ""}, {"test_batch.bin", 30730000, ""},
};

// The publishers give its MD5, c32a1d4ab5d03f1284b67883e8d87530; this is the SHA-256 of the same file.
constexpr PublishedArchive cifar10_archive = {"cifar-10-binary.tar.gz", 170052171,
                                              "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"};

constexpr const char* cifar10_mirrors[] = {
    "https://www.cs.toronto.edu/~kriz",
    "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10",
};

// Their sizes are those of what is made here.
constexpr PublishedFile imdb_files[] = {{"imdb-words.safetensors", 24051918, ""}, {"imdb-words.txt", 961461, ""}};

// The publishers give no digest; this is the SHA-256 of their file as TensorFlow Datasets lists it.
constexpr PublishedArchive imdb_archive = {"aclImdb_v1.tar.gz", 84125825,
                                           "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"};

constexpr const char* imdb_mirrors[] = {"https://ai.stanford.edu/~amaas/data/sentiment"};

constexpr PublishedSet sets[] = {
    {"mnist", "mnist", mnist_files, sizeof mnist_files / sizeof *mnist_files, mnist_mirrors,
     sizeof mnist_mirrors / sizeof *mnist_mirrors},
    {"cifar10", "cifar-10-batches-bin", cifar10_files, sizeof cifar10_files / sizeof *cifar10_files, cifar10_mirrors,
     sizeof cifar10_mirrors / sizeof *cifar10_mirrors, &cifar10_archive},
    {"imdb", "aclImdb", imdb_files, sizeof imdb_files / sizeof *imdb_files, imdb_mirrors,
     sizeof imdb_mirrors / sizeof *imdb_mirrors, &imdb_archive, true},
};

}  // namespace

uint64_t PublishedSet::bytes() const {
  uint64_t sum = 0;
  for (size_t i = 0; i < file_count; ++i) sum += files[i].bytes;
  return sum;
}

uint64_t PublishedSet::packed_bytes() const {
  uint64_t sum = archive ? archive->bytes : 0;
  for (size_t i = 0; i < file_count; ++i) sum += files[i].packed_bytes;
  return sum;
}

const PublishedSet* published_set(const std::string& name) {
  for (const PublishedSet& set : sets) {
    if (name == set.name) return &set;
  }
  return nullptr;
}

std::string published_names() {
  std::string names;
  for (const PublishedSet& set : sets) names += (names.empty() ? "" : ", ") + std::string(set.name);
  return names;
}

}  // namespace lt::tool
