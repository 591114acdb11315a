// int8 on the own kernels: the reference's bytes, bit for bit, on awkward shapes in every tile and order of threads, and on
// every kind of convolution that ResNet-50 has; then both ends of a network.
#include <set>

#include "backends/cuda/own/own.h"
#include "tests/cuda/own_kernels.h"
#include "tests/unit/int8_case.h"

namespace lt::cuda {
namespace {

using namespace int8_test;

// Runs the program's operation; `program` has the region's places already. Null, and a failed test, without a kernel.
std::unique_ptr<Kernel> make(const OneOp& one, uint32_t multiprocessors) {
  KernelRequest request{};
  request.program = &one.program;
  request.op = &one.program.ops[0];
  request.micro_batch = samples;
  request.multiprocessors = multiprocessors;
  request.compute_capability = 90;
  auto kernel = make_own_int8(request);
  EXPECT_NE(kernel, nullptr) << last_error();
  return kernel;
}

Site site_of(OneOp* one) {
  Site site;
  site.launcher = emulated_launcher();
  site.program = &one->program;
  site.region = one->region();
  site.samples = site.batch_samples = samples;
  return site;
}

struct Found {
  std::vector<uint8_t> bytes;
  std::string kernel;
};

Found by_kernel(const Case& c, uint32_t multiprocessors) {
  OneOp one;
  set_up(c, WeightLayout::out_in, &one);
  const auto asked = make(one, multiprocessors);
  if (asked == nullptr) return {};
  one.program.scratch_offset = one.add_bytes(asked->scratch_bytes());
  one.program.ops[0].saved = one.add(DType::u8, 0, asked->saved_bytes());
  // The op that the kernel runs knows where its saved bytes are.
  const auto placed = make(one, multiprocessors);
  fill(&one);
  const Site site = site_of(&one);
  EXPECT_EQ(placed->take_weights(site), Status::ok) << last_error();
  EXPECT_EQ(placed->enqueue(site), Status::ok) << last_error();
  return {result_of(&one), placed->name()};
}

TEST(CudaInt8, AwkwardShapesInEveryTile) {
  std::set<std::string> kernels;
  for (size_t i = 0; i < std::size(awkward_cases); ++i) {
    const std::vector<uint8_t> expected = by_reference(awkward_cases[i], WeightLayout::out_in);
    ASSERT_TRUE(varies(expected)) << "case " << i;
    for (const uint32_t multiprocessors : {1u, 4u, 132u}) {
      const Found found = by_kernel(awkward_cases[i], multiprocessors);
      EXPECT_EQ(found.bytes, expected) << "case " << i << ", " << found.kernel;
      kernels.insert(found.kernel);
    }
  }
  EXPECT_EQ(kernels, (std::set<std::string>{"own conv2d int8 128x64", "own conv2d int8 64x64", "own conv2d int8 64x32"}));
}

TEST(CudaInt8, EveryOrderOfThreads) {
  const Case cases[] = {
      {{5, 6, 20}, 37, {3, 2, 1}, {0, 1, 0}, true, true, 128},
      {{9, 7, 3}, 16, {7, 2, 3}, {3, 2, 1}, true, false, 128},
      {{4, 4, 64}, 40, {1, 1, 0}},
  };
  for (const Case& c : cases) {
    const std::vector<uint8_t> expected = by_reference(c, WeightLayout::out_in);
    emulation::for_each_order([&] { EXPECT_EQ(by_kernel(c, 132).bytes, expected) << emulation::describe_options(); }, 1);
  }
}

// Of few channels with strides and kernels that leave gaps; and more samples a grid than blocks.
TEST(CudaInt8, NarrowPixels) {
  const GridLimit limit(1);
  const Case cases[] = {
      {{8, 9, 1}, 19, {5, 1, 2}, {0, 1, 0}, true, false, 128}, {{8, 9, 4}, 24, {3, 2, 1}, {2, 2, 0}, true, false, 128},
      {{7, 7, 3}, 32, {1, 2, 0}, {0, 1, 0}, false, false, 0},  {{9, 5, 6}, 17, {4, 3, 3}, {3, 1, 1}},
      {{6, 6, 3}, 16, {1, 1, 0}, {0, 1, 0}, true, false, 128},
  };
  for (size_t i = 0; i < std::size(cases); ++i)
    EXPECT_EQ(by_kernel(cases[i], 4).bytes, by_reference(cases[i], WeightLayout::out_in)) << "case " << i;
}

TEST(CudaInt8, EveryConvolutionOfResnet50) {
  for (const Case& c : resnet50_cases()) {
    const std::vector<uint8_t> expected = by_reference(c, WeightLayout::out_in);
    EXPECT_TRUE(varies(expected)) << c.x.channels << " to " << c.outputs << ", kernel " << c.conv.kernel;
    EXPECT_EQ(by_kernel(c, 132).bytes, expected) << c.x.channels << " to " << c.outputs << ", kernel " << c.conv.kernel;
  }
}

// A program of one operation from bytes to bytes or floats, run by the reference and by the kernel.
struct End {
  OneOp one;
  std::vector<uint8_t> x;

  explicit End(Op op, uint64_t y_bytes) {
    std::mt19937 random(3);
    for (uint64_t i = 0; i < samples * op.x_extent.elements(); ++i) x.push_back(static_cast<uint8_t>(random()));
    op.x = op.staging_x = one.add(DType::u8, op.x_extent.elements(), x.size());
    op.y = one.add(DType::u8, y_bytes, samples * y_bytes);
    op.scales = one.add(DType::f32, 0, std::size(scales));
    one.program.ops = {op};
    one.program.forward_end = one.program.backward_end = one.program.step_end = 1;
    one.program.inference = true;
    one.program.micro_batch = samples;
    std::copy(x.begin(), x.end(), one.at<uint8_t>(op.x));
    std::copy(std::begin(scales), std::end(scales), one.at<float>(op.scales));
  }
  std::vector<uint8_t> by_reference() {
    std::unique_ptr<Device> device;
    std::unique_ptr<Executor> executor;
    RunArguments run = arguments();
    run.x = x.data();
    EXPECT_TRUE(ok(reference::backend.open({}, &device)));
    EXPECT_TRUE(ok(device->attach(one.program, one.region(), &executor)));
    EXPECT_TRUE(ok(executor->run(0, 1, run)));
    return taken();
  }
  std::vector<uint8_t> by_kernel() {
    const auto kernel = make(one, 4);
    if (kernel == nullptr) return {};
    EXPECT_EQ(kernel->enqueue(site_of(&one)), Status::ok) << last_error();
    return taken();
  }

 private:
  // The result, which is then gone.
  std::vector<uint8_t> taken() {
    const TensorId y = one.program.ops[0].y;
    const std::vector<uint8_t> bytes = result_of(&one);
    std::memset(one.at<uint8_t>(y), 0xee, bytes.size());
    return bytes;
  }
};

TEST(CudaInt8, InputAndAveragePool) {
  for (const Extent extent : {Extent{4, 6, 3}, {5, 3, 3}, {7, 3, 1}, {3, 5, 16}, {3, 5, 37}, {40, 50, 3}})
    for (const bool factors : {false, true}) {
      Op input;
      input.kind = OpKind::input;
      input.layer = "x";
      input.x_extent = input.y_extent = extent;
      input.scale = 1.0f / 255;
      input.y_scale = {0, 128};
      for (uint32_t c = 0; factors && c < extent.channels; ++c) {
        input.mean.push_back(0.4f + 0.02f * static_cast<float>(c));
        input.deviation.push_back(0.2f + 0.01f * static_cast<float>(c));
      }
      End end(input, extent.elements());
      const std::vector<uint8_t> expected = end.by_reference();
      EXPECT_GT(std::set<uint8_t>(expected.begin(), expected.end()).size(), 20u);
      EXPECT_EQ(end.by_kernel(), expected) << extent.height << "x" << extent.width << "x" << extent.channels;

      Op average;
      average.kind = OpKind::average_pool;
      average.layer = "average";
      average.x_extent = extent;
      average.y_extent = {1, 1, extent.channels};
      average.x_scale = {2, static_cast<uint8_t>(factors ? 128 : 0)};
      End means(average, extent.channels * sizeof(float));
      EXPECT_EQ(means.by_reference(), means.by_kernel()) << extent.height << "x" << extent.width << "x" << extent.channels;
    }
}

TEST(CudaInt8, RefusesWhatItHasNot) {
  Op op;
  op.kind = OpKind::activation;
  op.layer = "relu1";
  End other(op, 1);
  KernelRequest request{};
  request.program = &other.one.program;
  request.op = &other.one.program.ops[0];
  EXPECT_EQ(make_own_int8(request), nullptr);
  EXPECT_STREQ(last_error(), "relu1: there is no activation in int8");
}

}  // namespace
}  // namespace lt::cuda
