// Step times of a benchmark model in dlib, in C++ as its users write it. Prints one JSON line, as common.py's peers do.
//
// usage: dlib_bench MODEL --data DIR [--steps N] [--seconds S] [--warm-steps N]
// MODEL: cnn-same, cnn-valid, linear, nn, cifar10. Inputs lie in dlib's tensors before the first step: of the first 8
// batches, or all. dlib computes on its BLAS library's threads, and in fp32 alone; recurrent layers it has none.
#include <dlib/dnn.h>
#include <dlib/revision.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

using namespace dlib;

// Its rate is one half whatever the model has: as much work.
template <int percent, typename Below>
using drop = dropout<Below>;
template <long channels, long kernel, int padding, typename Below>
using convolution = add_layer<con_<channels, kernel, kernel, 1, 1, padding, padding>, Below>;
template <typename Below>
using pool = max_pool<2, 2, 2, 2, Below>;
using Digits = input<matrix<float>>;
using Pictures = input<std::array<matrix<float>, 3>>;

using CnnSame = loss_multiclass_log<
    fc_no_bias<10, drop<40, relu<fc<1024, relu<pool<convolution<64, 5, 2, relu<pool<convolution<32, 5, 2, Digits>>>>>>>>>>>;
using CnnValid =
    loss_multiclass_log<fc<10, drop<50, relu<fc<1024, pool<convolution<64, 5, 0, pool<convolution<32, 5, 0, Digits>>>>>>>>>;
using Linear = loss_multiclass_log<fc<10, Digits>>;
using Nn = loss_multiclass_log<fc<10, relu<fc<128, Digits>>>>;
template <long channels, typename Below>
using pictures = drop<25, relu<pool<convolution<channels, 3, 1, relu<convolution<channels, 3, 1, Below>>>>>>;
using Cifar10 = loss_multiclass_log<fc<10, drop<50, relu<fc<512, pictures<100, pictures<50, Pictures>>>>>>>;

struct Options {
  std::string model, data;
  long steps = 30, warm_steps = 3;
  double seconds = 60;
};

struct Batch {
  resizable_tensor x;
  std::vector<unsigned long> labels;
};

// Sizes that a network's input layer takes for granted afterwards.
void blank(matrix<float>* picture) { *picture = zeros_matrix<float>(28, 28); }
void blank(std::array<matrix<float>, 3>* picture) {
  for (matrix<float>& plane : *picture) plane = zeros_matrix<float>(32, 32);
}

double now_seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double anonymous_bytes() {
  std::ifstream file("/proc/self/smaps_rollup");
  for (std::string word; file >> word;)
    if (double kib = 0; word == "Anonymous:" && file >> kib) return 1024 * kib;
  return 0;
}

std::vector<unsigned char> read_bytes(const std::string& path, std::size_t from, std::size_t count) {
  std::vector<unsigned char> bytes(count);
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(from));
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(count))) {
    std::fprintf(stderr, "%s cannot be read\n", path.c_str());
    std::exit(3);
  }
  return bytes;
}

// Planar floats: (value / 255 - mean) / deviation, as dlib's tensors lie.
std::vector<Batch> read_batches(const Options& options, std::size_t batch, std::size_t count, float mean, float deviation) {
  const bool colour = options.model == "cifar10";
  const std::size_t sample = colour ? 3 * 32 * 32 : 28 * 28, record = colour ? sample + 1 : sample, all = batch * count;
  const std::string mnist = options.data + "/mnist/train-";
  const auto x = colour ? read_bytes(options.data + "/cifar-10-batches-bin/data_batch_1.bin", 0, all * record)
                        : read_bytes(mnist + "images-idx3-ubyte", 16, all * record);
  const auto labels = colour ? std::vector<unsigned char>() : read_bytes(mnist + "labels-idx1-ubyte", 8, all);
  std::vector<Batch> batches(count);
  for (std::size_t b = 0; b < count; ++b) {
    batches[b].x.set_size(static_cast<long>(batch), colour ? 3 : 1, colour ? 32 : 28, colour ? 32 : 28);
    float* to = batches[b].x.host_write_only();
    for (std::size_t i = b * batch; i < (b + 1) * batch; ++i) {
      batches[b].labels.push_back(colour ? x[i * record] : labels[i]);
      const unsigned char* const from = &x[i * record + (colour ? 1 : 0)];
      for (std::size_t k = 0; k < sample; ++k) *to++ = (static_cast<float>(from[k]) / 255 - mean) / deviation;
    }
  }
  return batches;
}

template <typename Network, typename Solver>
void measure(const Options& options, const Solver& solver, double rate, std::size_t batch, std::size_t count,
             float mean = 0, float deviation = 1) {
  const char* const begun_text = std::getenv("PEER_BEGUN");
  const double exec_seconds = begun_text != nullptr ? std::atof(begun_text) : now_seconds();
  std::vector<Batch> batches = read_batches(options, batch, count, mean, deviation);
  Network network;
  std::vector<typename Network::input_type> sample(1);  // a network has to have seen one
  resizable_tensor seen;
  blank(&sample[0]);
  network.to_tensor(sample.begin(), sample.end(), seen);
  std::vector<Solver> solvers(Network::num_computational_layers, solver);
  std::vector<double> seconds;
  double first_loss = 0, last_loss = 0, first_step_seconds = 0, anonymous = 0, timed = 0;
  for (long i = 0; i < options.warm_steps + options.steps; ++i) {
    Batch& mine = batches[static_cast<std::size_t>(i) % count];
    const double begun = now_seconds();
    last_loss = network.compute_parameter_gradients(mine.x, mine.labels.begin());
    network.update_parameters(make_sstack(solvers), rate);
    seconds.push_back(now_seconds() - begun);
    if (i == 0) {
      first_step_seconds = now_seconds() - exec_seconds;
      first_loss = last_loss;
    }
    if (i < 4) anonymous = std::max(anonymous, anonymous_bytes());
    if (i >= options.warm_steps) timed += seconds.back();
    if (i > options.warm_steps && timed > options.seconds) break;
  }
  anonymous = std::max(anonymous, anonymous_bytes());
  seconds.erase(seconds.begin(), seconds.begin() + options.warm_steps);
  std::sort(seconds.begin(), seconds.end());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf(
      "{\"peer\": \"dlib\", \"version\": \"%d.%d\", \"model\": \"%s\", \"form\": \"C++\", \"precision\": \"fp32\", "
      "\"batch\": %zu, "
      "\"steps\": %zu, \"first_loss\": %.6g, \"last_loss\": %.6g, \"median_step_seconds\": %.9g, \"min_step_seconds\": "
      "%.9g, "
      "\"first_step_seconds\": %.6g, \"parameters\": %zu, \"peak_anonymous_bytes\": %.0f, \"peak_rss_bytes\": %.0f}\n",
      DLIB_MAJOR_VERSION, DLIB_MINOR_VERSION, options.model.c_str(), batch, seconds.size(), first_loss, last_loss,
      (seconds[(seconds.size() - 1) / 2] + seconds[seconds.size() / 2]) / 2, seconds[0], first_step_seconds,
      count_parameters(network), anonymous, 1024.0 * static_cast<double>(usage.ru_maxrss));
}

int main(int argc, char** argv) {
  Options options;
  options.model = argc > 1 ? argv[1] : "";
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--data") options.data = value;
    if (name == "--steps") options.steps = std::atol(value.c_str());
    if (name == "--warm-steps") options.warm_steps = std::atol(value.c_str());
    if (name == "--seconds") options.seconds = std::atof(value.c_str());
    if (name == "--precision" && value != "fp32") return std::fprintf(stderr, "dlib computes in fp32 alone\n"), 2;
  }
  if (options.model == "cnn-same")
    measure<CnnSame>(options, sgd(0, 0), 0.01, 64, 8, 0.1307f, 0.3081f);
  else if (options.model == "cnn-valid")
    measure<CnnValid>(options, adam(0, 0.9f, 0.999f), 3e-4, 256, 8);
  else if (options.model == "linear")
    measure<Linear>(options, sgd(0, 0), 1, 60000, 1);
  else if (options.model == "nn")
    measure<Nn>(options, adam(0, 0.9f, 0.999f), 1e-3, 60000, 1);
  else if (options.model == "cifar10")
    measure<Cifar10>(options, sgd(0, 0.9f), 0.01, 64, 8);
  else
    return std::fprintf(stderr, "dlib has no recurrent layers\n"), 2;
  return 0;
}
