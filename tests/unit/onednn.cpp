// oneDNN's kernels against plain loops in double: every number of samples up to the micro-batch, on one thread and on
// three, and no thread but our own in the process. Skipped where the library is not installed. One thread.
#include "backends/cpu/onednn/onednn.h"

#include <dirent.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "src/base/checked.h"

namespace lt::cpu {
namespace {

uint32_t threads_of_process() {
  uint32_t count = 0;
  DIR* folder = opendir("/proc/self/task");
  if (folder == nullptr) return 0;
  while (const dirent* entry = readdir(folder)) count += entry->d_name[0] != '.';
  closedir(folder);
  return count;
}

// A program of one forward and one backward op, its memory, and the kernels; scratch and outputs start as NaN.
class Net {
 public:
  Net(Op op, uint32_t micro_batch, uint32_t threads, const OneDnn& library) : micro_batch_(micro_batch) {
    program_.micro_batch = micro_batch;
    const uint64_t x = op.x_extent.elements(), y = op.y_extent.elements();
    const bool is_conv = op.kind == OpKind::conv2d;
    const uint64_t weights = is_conv
                                 ? uint64_t{op.conv.kernel} * op.conv.kernel * op.x_extent.channels * op.y_extent.channels
                                 : x * op.y_extent.channels;
    op.x = add(x, true), op.y = add(y, true), op.weight = add(weights, false);
    op.bias = add(op.y_extent.channels, false);
    if (op.has_pool) op.argmax = add(divide_up(y, 4), true);  // counted in floats: room enough
    forward_op = op;
    backward_op = op;
    backward_op.kind = is_conv ? OpKind::conv2d_backward : OpKind::linear_backward;
    backward_op.dy = add(y, true), backward_op.dx = add(x, true);
    backward_op.dweight = add(weights, false), backward_op.dbias = add(op.y_extent.channels, false);
    forward = library.make_kernel(program_, {&forward_op, micro_batch, threads});
    backward = library.make_kernel(program_, {&backward_op, micro_batch, threads});
    if (forward == nullptr || backward == nullptr) return;
    program_.scratch_offset = bytes_;
    program_.scratch_bytes = std::max(forward->scratch_bytes(), backward->scratch_bytes());
    bytes_ += program_.scratch_bytes;
    region_.resize(bytes_ / sizeof(float) + tensor_alignment, NAN);
    const auto address = reinterpret_cast<uintptr_t>(region_.data());
    base_ = reinterpret_cast<std::byte*>(align_up(address, tensor_alignment));
    EXPECT_TRUE(ok(ThreadPool::create(threads, &pool_)));
    std::mt19937 random(7);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (const TensorId id : {op.x, op.weight, op.bias, backward_op.dy})
      for (uint64_t i = 0; i < elements_[id]; ++i) at(id)[i] = uniform(random);
  }

  float* at(TensorId id) { return reinterpret_cast<float*>(base_ + program_.tensors[id].offset); }
  void run(Kernel* kernel, uint32_t samples, bool accumulate) {
    RunArguments arguments;
    arguments.samples = arguments.batch_samples = samples;
    arguments.training = true;
    arguments.accumulate = accumulate;
    const KernelContext context{&program_, &arguments, pool_.get(), base_};
    kernel->run(context);
    EXPECT_TRUE(ok(kernel->outcome())) << last_error();
  }

  Op forward_op, backward_op;
  std::unique_ptr<Kernel> forward, backward;

 private:
  TensorId add(uint64_t elements, bool per_sample) {
    Tensor tensor;
    tensor.offset = bytes_;
    const uint64_t count = elements * (per_sample ? micro_batch_ : 1);
    elements_.push_back(count);
    bytes_ += align_up(count * sizeof(float), tensor_alignment);
    program_.tensors.push_back(tensor);
    return static_cast<TensorId>(program_.tensors.size() - 1);
  }

  uint32_t micro_batch_;
  Program program_;
  uint64_t bytes_ = 0;
  std::vector<uint64_t> elements_;
  std::vector<float> region_;
  std::byte* base_ = nullptr;
  std::unique_ptr<ThreadPool> pool_;
};

struct Expected {
  std::vector<double> y, dx, dweight, dbias;
};

// Both passes in double. `taken` says which element of its window each pooled output stands for.
Expected expect(Net& net, uint32_t samples) {
  const Op& op = net.backward_op;
  const bool is_conv = op.kind == OpKind::conv2d_backward;
  const Window conv = is_conv ? op.conv : Window{};
  const Extent in = is_conv ? op.x_extent : Extent{1, 1, static_cast<uint32_t>(op.x_extent.elements())};
  const Extent mid = is_conv ? op.conv_extent : op.y_extent;
  const uint32_t oc = mid.channels;
  const float *x = net.at(op.x), *weight = net.at(op.weight), *bias = net.at(op.bias), *dy = net.at(op.dy);
  Expected e;
  e.y.resize(samples * op.y_extent.elements());
  e.dx.resize(samples * in.elements());
  e.dweight.resize(uint64_t{conv.kernel} * conv.kernel * in.channels * oc);
  e.dbias.resize(oc);
  std::vector<double> z(mid.elements()), dz(mid.elements());
  // Visits each product of the convolution: (place in z, place in x, place in weight).
  const auto products = [&](const auto& visit) {
    for (uint32_t row = 0; row < mid.height; ++row)
      for (uint32_t column = 0; column < mid.width; ++column)
        for (uint32_t kr = 0; kr < conv.kernel; ++kr)
          for (uint32_t kc = 0; kc < conv.kernel; ++kc) {
            const int64_t r = int64_t{row} * conv.stride + kr - conv.padding,
                          c = int64_t{column} * conv.stride + kc - conv.padding;
            if (r < 0 || c < 0 || r >= in.height || c >= in.width) continue;
            for (uint32_t i = 0; i < in.channels; ++i)
              for (uint32_t o = 0; o < oc; ++o)
                visit((row * mid.width + column) * oc + o, (r * in.width + c) * in.channels + i,
                      ((kr * conv.kernel + kc) * in.channels + i) * oc + o);
          }
  };
  for (uint32_t n = 0; n < samples; ++n) {
    const float* xs = x + n * in.elements();
    for (uint64_t i = 0; i < z.size(); ++i) z[i] = bias[i % oc];
    products([&](uint64_t zi, uint64_t xi, uint64_t wi) { z[zi] += double{xs[xi]} * weight[wi]; });
    std::fill(dz.begin(), dz.end(), 0);
    for (uint64_t i = 0; i < op.y_extent.elements(); ++i) {
      uint64_t best = i;
      if (op.has_pool) {
        const uint64_t o = i % oc, column = i / oc % op.y_extent.width, row = i / oc / op.y_extent.width;
        best = UINT64_MAX;
        for (uint32_t k = 0; k < op.pool.kernel * op.pool.kernel; ++k) {
          const uint64_t r = row * op.pool.stride + k / op.pool.kernel, c = column * op.pool.stride + k % op.pool.kernel;
          const uint64_t place = (r * mid.width + c) * oc + o;
          if (best == UINT64_MAX || z[place] > z[best]) best = place;
        }
      }
      const uint64_t at = n * op.y_extent.elements() + i;
      e.y[at] = op.has_relu ? std::max(z[best], 0.0) : z[best];
      if (!op.has_relu || z[best] > 0) dz[best] += dy[at];
    }
    for (uint64_t i = 0; i < dz.size(); ++i) e.dbias[i % oc] += dz[i];
    products([&](uint64_t zi, uint64_t xi, uint64_t wi) {
      e.dx[n * in.elements() + xi] += dz[zi] * weight[wi];
      e.dweight[wi] += dz[zi] * xs[xi];
    });
  }
  return e;
}

// Sums of at most some thousand products of numbers below 1: 1e-4 is some hundred times their rounding.
void near(const float* actual, const std::vector<double>& expected, double times, const std::string& what) {
  for (size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(actual[i], times * expected[i], 1e-4 * (1 + std::abs(times * expected[i]))) << what << " " << i;
}

void check(const Op& op, uint32_t micro_batch, const std::vector<uint32_t>& counts) {
  const OneDnn* library = nullptr;
  if (!ok(OneDnn::open(&library))) GTEST_SKIP() << last_error();
  std::thread([] {}).join();  // with the first thread a sanitizer starts one of its own
  const uint32_t before = threads_of_process();
  std::vector<Expected> all_expected;
  for (const uint32_t threads : {1u, 3u}) {
    Net net(op, micro_batch, threads, *library);
    ASSERT_NE(net.forward, nullptr) << last_error();
    ASSERT_NE(net.backward, nullptr) << last_error();
    for (size_t i = 0; i < counts.size(); ++i) {
      const uint32_t samples = counts[i];
      const std::string what = std::to_string(samples) + " samples, " + std::to_string(threads) + " threads: ";
      if (all_expected.size() == i) all_expected.push_back(expect(net, samples));
      const Expected& expected = all_expected[i];
      for (const bool accumulate : {false, true}) {
        net.run(net.forward.get(), samples, accumulate);
        net.run(net.backward.get(), samples, accumulate);
        near(net.at(net.forward_op.y), expected.y, 1, what + "y");
        near(net.at(net.backward_op.dx), expected.dx, 1, what + "dx");
        near(net.at(net.backward_op.dweight), expected.dweight, accumulate ? 2 : 1, what + "dweight");
        near(net.at(net.backward_op.dbias), expected.dbias, accumulate ? 2 : 1, what + "dbias");
        if (testing::Test::HasFatalFailure()) return;
      }
    }
    EXPECT_LE(threads_of_process(), before + threads - 1) << "oneDNN has started threads";
  }
}

std::vector<uint32_t> up_to(uint32_t most) {
  std::vector<uint32_t> counts;
  for (uint32_t n = most; n >= 1; --n) counts.push_back(n);  // falling, so that memory of fuller runs lies behind
  return counts;
}

Op conv2d(Extent x, uint32_t channels, Window conv, Window pool) {
  Op op;
  op.kind = OpKind::conv2d;
  op.layer = "conv";
  op.x_extent = x;
  op.conv = conv;
  op.pool = pool;
  op.has_pool = pool.kernel != 0;
  op.has_relu = op.has_bias = true;
  const auto slide = [](uint32_t size, const Window& w) { return (size + 2 * w.padding - w.kernel) / w.stride + 1; };
  op.conv_extent = {slide(x.height, conv), slide(x.width, conv), channels};
  op.y_extent = op.conv_extent;
  if (op.has_pool) op.y_extent = {slide(op.conv_extent.height, pool), slide(op.conv_extent.width, pool), channels};
  return op;
}

Op linear(uint32_t in, uint32_t out) {
  Op op;
  op.kind = OpKind::linear;
  op.layer = "fc";
  op.x_extent = {1, 1, in};
  op.y_extent = {1, 1, out};
  op.has_relu = op.has_bias = true;
  return op;
}

TEST(OneDnn, ConvolutionOfAnyNumberOfSamples) { check(conv2d({5, 6, 3}, 20, {3, 1, 1}, {0, 0, 0}), 23, up_to(23)); }
TEST(OneDnn, ConvolutionWithPoolOfAnyNumberOfSamples) { check(conv2d({6, 7, 8}, 16, {5, 1, 2}, {2, 2, 0}), 13, up_to(13)); }
TEST(OneDnn, ConvolutionWithStrideAndOverlappingPool) { check(conv2d({13, 13, 2}, 5, {3, 2, 1}, {3, 2, 0}), 4, up_to(4)); }
TEST(OneDnn, LinearOfAnyNumberOfSamples) { check(linear(70, 37), 35, up_to(35)); }
TEST(OneDnn, LinearOfManySamplesAndFewOutputs) { check(linear(20, 10), 1300, {1300, 1299, 513, 512, 7}); }
TEST(OneDnn, LinearOfManyInputs) { check(linear(1700, 24), 6, up_to(6)); }

TEST(OneDnn, AnswersTheSameEachTime) {
  const OneDnn *first = nullptr, *second = nullptr;
  const Status status = OneDnn::open(&first);
  const std::string sentence = ok(status) ? "" : last_error();
  EXPECT_EQ(OneDnn::open(&second), status);
  EXPECT_EQ(first, second);
  EXPECT_EQ(ok(status), first != nullptr);
  if (!ok(status)) {
    EXPECT_EQ(status, Status::device);
    EXPECT_EQ(sentence, last_error());
    EXPECT_NE(sentence.find("oneDNN"), std::string::npos);
  }
}

TEST(OneDnn, SaysWhyItHasNoKernel) {
  const OneDnn* library = nullptr;
  if (!ok(OneDnn::open(&library))) GTEST_SKIP() << last_error();
  Program program;
  program.micro_batch = 1;
  Op op;
  op.kind = OpKind::update_sgd;
  op.layer = "all";
  EXPECT_EQ(library->make_kernel(program, {&op, 1, 1}), nullptr);
  EXPECT_NE(std::string(last_error()).find("all"), std::string::npos);
  op = linear(3, 4);
  program.weight_layout = WeightLayout::out_in;
  EXPECT_EQ(library->make_kernel(program, {&op, 1, 1}), nullptr);
}

}  // namespace
}  // namespace lt::cpu
