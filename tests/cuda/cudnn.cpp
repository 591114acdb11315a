// Convolutions by cuDNN, against a fake of the library that computes them: right results, engines by the rules, the
// library's rules kept, and any call of it may fail.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backends/cuda/cudnn/conv2d.h"
#include "backends/cuda/cudnn/graph.h"
#include "backends/cuda/cudnn/padding.h"
#include "tests/cuda/fake.h"
#include "tests/cuda/fake_cudnn.h"
#include "tests/cuda/library_case.h"
#include "tests/cuda/own_kernels.h"
#include "tests/cuda/plain_device.h"

namespace lt::cuda {
namespace {

class Cudnn : public testing::Test {
 protected:
  void SetUp() override {
    fake::cudnn_options() = {};
    fake::fail_call(0);
    (void)fake::take_complaints();
    (void)fake::take_executed_engines();
    objects_ = fake::live_objects();
  }
  void TearDown() override { EXPECT_EQ(fake::live_objects(), objects_); }
  int64_t objects_ = 0;
};

LibraryCase convolution(const char* name, Extent x, uint32_t out, Window conv, Window pool = {0, 0, 0}) {
  LibraryCase c;
  c.name = name;
  c.is_conv = true;
  c.x = x;
  c.out = out;
  c.conv = conv;
  c.pool = pool;
  c.has_relu = true;
  c.micro_batch = c.samples = 2;
  return c;
}

// The engines that ran, one after the other, each once where it ran several times on end.
std::vector<std::string> expect_equal(const LibraryCase& c) {
  SCOPED_TRACE(c.name);
  (void)fake::take_executed_engines();
  LibraryRun run(c);
  if (run.make(make_cudnn_conv2d, make_cudnn_conv2d_backward))
    run.expect_equals_reference();
  else
    ADD_FAILURE() << last_error();
  std::vector<std::string> engines = fake::take_executed_engines();
  engines.erase(std::unique(engines.begin(), engines.end()), engines.end());
  return engines;
}

void expect_equal_everywhere(LibraryCase c) {
  const std::string name = c.name;
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16})
    for (const bool plain : {false, true})
      for (const bool accumulate : {false, true}) {
        fake::cudnn_options().fusion = fake::cudnn_options().float_weight_gradient = !plain;
        c.precision = precision;
        c.accumulate = accumulate;
        c.rounds_gradients = precision == Precision::bf16 && (plain || c.pool.stride < c.pool.kernel);
        c.name = name + " precision " + std::to_string(static_cast<int>(precision)) + (plain ? " plain" : "") +
                 (accumulate ? " accumulate" : "");
        (void)expect_equal(c);
      }
}

TEST_F(Cudnn, LayersOfTheModels) {
  LibraryCase c = convolution("conv1 of mnist", {28, 28, 1}, 32, {5, 1, 2}, {2, 2, 0});
  c.needs_dx = false;
  expect_equal_everywhere(c);
  c = convolution("conv2 of cifar10, smaller", {8, 8, 50}, 50, {3, 1, 1}, {2, 2, 0});
  c.dropout = 0.5f;
  expect_equal_everywhere(c);
  expect_equal_everywhere(convolution("conv3 of cifar10, smaller", {6, 6, 50}, 100, {3, 1, 1}));
  c = convolution("conv2 of mnist", {14, 14, 32}, 64, {5, 1, 2}, {2, 2, 0});
  c.micro_batch = c.samples = 1;
  (void)expect_equal(c);
}

// A convolution that ends a block of a ResNet, and one whose channels have to be padded.
TEST_F(Cudnn, Residuals) {
  for (const uint32_t channels : {16u, 10u}) {
    LibraryCase c = convolution("residual", {6, 5, 8}, channels, {1, 1, 0});
    c.has_residual = true;
    c.training = false;
    expect_equal_everywhere(c);
    c.has_relu = false;
    expect_equal_everywhere(c);
    c.has_bias = false;
    expect_equal_everywhere(c);
  }
}

TEST_F(Cudnn, AwkwardShapes) {
  LibraryCase c = convolution("one by one", {1, 1, 1}, 1, {1, 1, 0});
  c.has_relu = false;
  expect_equal_everywhere(c);
  expect_equal_everywhere(convolution("strides", {9, 7, 3}, 5, {3, 2, 1}));
  expect_equal_everywhere(convolution("overlapping pool", {9, 11, 8}, 16, {3, 1, 0}, {3, 2, 1}));
  c = convolution("no bias", {5, 6, 8}, 8, {3, 1, 2});
  c.has_bias = false;
  expect_equal_everywhere(c);
  c.has_relu = false;
  expect_equal_everywhere(c);
  c.has_bias = true;
  expect_equal_everywhere(c);
  c.dropout = 0.5f;
  expect_equal_everywhere(c);
  c.has_bias = false;
  expect_equal_everywhere(c);
  c.training = false;
  expect_equal_everywhere(c);
}

// Each precision and rule gets the first engine that keeps to it.
TEST_F(Cudnn, EnginesByTheRules) {
  using Engines = std::vector<std::string>;
  LibraryCase c = convolution("engines", {6, 6, 3}, 5, {3, 1, 1});
  EXPECT_EQ(expect_equal(c), Engines{"fma, any order"});
  c.deterministic = true;
  EXPECT_EQ(expect_equal(c), Engines{"fma"});
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    c.precision = precision;
    c.deterministic = false;
    EXPECT_EQ(expect_equal(c), Engines{"tensor cores, any order"});
    c.deterministic = true;
    EXPECT_EQ(expect_equal(c), Engines{"tensor cores"});
  }
  c.precision = Precision::fp32;
  fake::cudnn_options().heuristic_a = false;
  EXPECT_EQ(expect_equal(c), Engines{"fallback"});
}

TEST_F(Cudnn, FusedWhereAnEngineDoesIt) {
  LibraryCase c = convolution("fused", {6, 6, 8}, 16, {3, 1, 1});
  for (const bool residual : {false, true})
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16})
      for (const bool fusion : {false, true}) {
        c.precision = precision;
        c.has_residual = residual;
        fake::cudnn_options().fusion = fusion;
        LibraryRun run(c);
        ASSERT_TRUE(run.make(make_cudnn_conv2d, make_cudnn_conv2d_backward)) << last_error();
        run.fill();
        const uint64_t before = emulation::statistics().launches;
        ASSERT_EQ(run.enqueue_forward(), Status::ok) << last_error();
        // The fake has no fused engine without tensor cores, as the library has few.
        EXPECT_EQ(emulation::statistics().launches - before, fusion && precision != Precision::fp32 ? 0u : 1u);
      }
}

TEST_F(Cudnn, NaNGoesThroughReLU) {
  for (const bool fusion : {false, true}) {
    fake::cudnn_options().fusion = fusion;
    LibraryCase c = convolution("nan", {3, 3, 8}, 8, {3, 1, 1});
    c.precision = Precision::tf32;
    LibraryRun run(c);
    ASSERT_TRUE(run.make(make_cudnn_conv2d, make_cudnn_conv2d_backward)) << last_error();
    run.fill();
    run.set_value(run.forward_op().x, 0, std::nanf(""));
    ASSERT_EQ(run.enqueue_forward(), Status::ok) << last_error();
    EXPECT_TRUE(std::isnan(run.value(run.forward_op().y, 0)));
    EXPECT_FALSE(std::isnan(run.value(run.forward_op().y, 8 * 8)));
  }
}

TEST_F(Cudnn, FewerSamples) {
  LibraryCase c = convolution("fewer samples", {5, 5, 3}, 6, {3, 1, 1}, {2, 2, 0});
  c.precision = Precision::tf32;
  c.micro_batch = c.samples = 4;
  LibraryRun run(c);
  ASSERT_TRUE(run.make(make_cudnn_conv2d, make_cudnn_conv2d_backward)) << last_error();
  int64_t objects = 0;
  for (int round = 0; round < 2; ++round) {
    for (uint32_t samples = 4; samples >= 1; --samples) {
      SCOPED_TRACE(samples);
      run.set_samples(samples);
      run.expect_equals_reference();
    }
    if (round == 0) objects = fake::live_objects();
  }
  EXPECT_EQ(fake::live_objects(), objects);  // plans are made once
}

TEST_F(Cudnn, Padding) {
  EXPECT_EQ(padded_channels(50, Precision::fp32), 50u);
  EXPECT_EQ(padded_channels(50, Precision::tf32), 52u);
  EXPECT_EQ(padded_channels(50, Precision::bf16), 56u);
  EXPECT_EQ(padded_channels(1, Precision::tf32), 4u);
  EXPECT_EQ(padded_channels(64, Precision::bf16), 64u);
  emulation::for_each_order([] {
    SCOPED_TRACE(emulation::describe_options());
    constexpr uint64_t rows = 131, more_rows = 140;  // several blocks, the last one short
    constexpr uint32_t channels = 50;
    for (const DType type : {DType::f32, DType::bf16}) {
      OwnKernel k;
      const uint32_t padded = padded_channels(channels, type == DType::bf16 ? Precision::bf16 : Precision::tf32);
      const TensorId from = k.add(type, rows * channels), to = k.add(type, more_rows * padded),
                     back = k.add(type, rows * channels), sums = k.add(DType::f32, rows * channels);
      const std::vector<float> x = k.set(from, random_values(rows * channels, 1));
      const std::vector<float> before = k.set(sums, random_values(rows * channels, 2));
      const Launcher launcher = k.site().launcher;
      const ChannelRows whole = {k.at<void>(to), more_rows, padded};
      ASSERT_EQ(enqueue_pad_channels(launcher, type, {k.at<void>(from), rows, channels}, whole), Status::ok);
      const std::vector<float> wide = k.values(to);
      for (uint64_t row = 0; row < more_rows; ++row)
        for (uint32_t c = 0; c < padded; ++c)
          ASSERT_EQ(wide[row * padded + c], row < rows && c < channels ? x[row * channels + c] : 0) << row << " " << c;
      ASSERT_EQ(enqueue_unpad_channels(launcher, type, whole, type, {k.at<void>(back), rows, channels}, false), Status::ok);
      EXPECT_EQ(k.values(back), x);
      ASSERT_EQ(enqueue_unpad_channels(launcher, type, whole, DType::f32, {k.at<void>(sums), rows, channels}, true),
                Status::ok);
      const std::vector<float> added = k.values(sums);
      for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(added[i], before[i] + x[i]);
      ASSERT_EQ(enqueue_unpad_channels(launcher, type, whole, DType::f32, {k.at<void>(sums), rows, channels}, false),
                Status::ok);
      EXPECT_EQ(k.values(sums), x);
    }
  });
}

TEST_F(Cudnn, UnservedOpsAreRefused) {
  LibraryRun run(convolution("unserved", {5, 5, 3}, 4, {3, 1, 1}));
  ASSERT_TRUE(run.make(make_cudnn_conv2d, make_cudnn_conv2d_backward)) << last_error();
  KernelRequest request = run.request(0);
  run.program().weight_layout = WeightLayout::in_out;
  EXPECT_EQ(make_cudnn_conv2d(request), nullptr);
  EXPECT_STREQ(last_error(), "cuDNN, layer layer: only weights as [out][in] are served");
  run.program().weight_layout = WeightLayout::out_in;
  request.precision = Precision::bf16;
  EXPECT_EQ(make_cudnn_conv2d(request), nullptr);
  EXPECT_STREQ(last_error(), "cuDNN, layer layer: x and weight are not both of the precision's type");
  request.precision = Precision::fp32;
  request.libraries.cudnn = nullptr;
  EXPECT_EQ(make_cudnn_conv2d(request), nullptr);
  EXPECT_STREQ(last_error(), "layer layer: cuDNN is not there");
  fake::cudnn_options().any_engine = false;
  EXPECT_EQ(make_cudnn_conv2d(run.request(0)), nullptr);
  EXPECT_STREQ(last_error(),
               "cuDNN: conv2d layer: no engine for 2 samples keeps the precision within 67108864 bytes of workspace");
}

// Whatever call fails, a sentence names it, nothing is left behind and no other path is taken in silence.
TEST_F(Cudnn, EveryCallMayFail) {
  LibraryCase c = convolution("failing", {4, 4, 8}, 8, {3, 1, 1});
  c.precision = Precision::bf16;
  c.has_residual = true;
  uint64_t calls = 0;
  bool all = false;
  for (uint64_t n = 1; !all; ++n) {
    fake::fail_call(n);
    {
      LibraryRun run(c);
      if (run.make(make_cudnn_conv2d, make_cudnn_conv2d_backward)) {
        run.fill();
        Status status = run.enqueue_forward();
        if (ok(status)) status = run.enqueue_backward();
        run.set_samples(1);
        if (ok(status)) status = run.enqueue_backward();
        all = fake::failed_function() == nullptr;
        calls = n - 1;
        if (all) {
          EXPECT_EQ(status, Status::ok) << last_error();
        } else {
          const bool memory = std::string(fake::failed_function()) == "cudnnBackendCreateDescriptor";
          EXPECT_EQ(status, memory ? Status::memory : Status::device) << fake::failed_function();
          // A kernel that failed once can be used again.
          EXPECT_EQ(run.enqueue_backward(), Status::ok) << last_error();
        }
      } else {
        ASSERT_NE(fake::failed_function(), nullptr) << last_error();
      }
      const char* failed = fake::failed_function();
      EXPECT_TRUE(failed == nullptr || std::string(last_error()).find(failed) != std::string::npos) << last_error();
    }
    ASSERT_EQ(fake::live_objects(), objects_) << n;
  }
  EXPECT_GT(calls, 200u);
  EXPECT_TRUE(fake::take_complaints().empty());
}

TEST_F(Cudnn, OpeningSaysWhy) {
  const CudnnTable table = fake::cudnn_table();
  void* handle = nullptr;
  fake::cudnn_options().version = (CUDNN_MAJOR - 1) * 10000 + 907;
  EXPECT_EQ(open_cudnn(table, &handle), Status::device);
  EXPECT_EQ(std::string(last_error()), "cuDNN: the library is version " + std::to_string(CUDNN_MAJOR - 1) +
                                           ".9, but this program was built for version " + std::to_string(CUDNN_MAJOR));
  fake::cudnn_options().version = CUDNN_VERSION;
  fake::fail_call(1);
  EXPECT_EQ(open_cudnn(table, &handle), Status::device);
  EXPECT_STREQ(last_error(), "cuDNN: cudnnCreate: CUDNN_STATUS_NOT_INITIALIZED");
  EXPECT_EQ(handle, nullptr);

  CudnnTable filled;
  const char* missing = nullptr;
  EXPECT_TRUE(fill(
      &filled, [](void*, const char* name) { return fake::cudnn_function(name); }, nullptr, &missing));
  EXPECT_EQ(filled.cudnnBackendExecute, table.cudnnBackendExecute);
  EXPECT_FALSE(fill(
      &filled,
      [](void*, const char* name) {
        return std::string_view(name) == "cudnnSetStream" ? nullptr : fake::cudnn_function(name);
      },
      nullptr, &missing));
  EXPECT_STREQ(missing, "cudnnSetStream");
}

// The fake sees what it is there to see: each breach is one that the real library would refuse, or would not notice.
class CudnnBreach : public Cudnn {
 protected:
  void SetUp() override {
    Cudnn::SetUp();
    memory_.assign(1 << 16, 0);
    base_ = memory_.data();
    while (reinterpret_cast<uintptr_t>(base_) % 256 != 0) ++base_;
    plain::add_device_range(base_, 1 << 15);
    ASSERT_EQ(open_cudnn(table_, reinterpret_cast<void**>(&caller_.handle)), Status::ok);
    convolution_.x = {4, 4, 4};
    convolution_.z = {4, 4, 8};
    convolution_.window = {3, 1, 1};
    memory_of_call_ = {base_, base_ + 4096, base_ + 8192, nullptr, nullptr, base_ + 16384};
    ASSERT_EQ(plan_.make(caller_, convolution_, 2, {Precision::tf32, true, 1 << 20}), Status::ok) << last_error();
    ASSERT_EQ(plan_.workspace_bytes(), 4096u);
  }
  void TearDown() override {
    plan_ = {};
    close_cudnn(table_, caller_.handle);
    plain::remove_device_range(base_);
    Cudnn::TearDown();
  }
  void expect_refused(Status status, const char* what) {
    EXPECT_EQ(status, Status::device) << what;
    const std::vector<std::string> complaints = fake::take_complaints();
    ASSERT_EQ(complaints.size(), 1u) << what;
    EXPECT_NE(complaints[0].find(what), std::string::npos) << complaints[0];
  }
  Status run() { return plan_.enqueue(memory_of_call_, stream_); }

  const CudnnTable table_ = fake::cudnn_table();
  CudnnCaller caller_ = {&table_, nullptr, "test"};
  std::vector<char> memory_;
  char* base_ = nullptr;
  CudnnConvolution convolution_;
  CudnnPlan plan_;
  CudnnPlan::Memory memory_of_call_;
  CUstream stream_ = plain::stream();
};

TEST_F(CudnnBreach, NoneIsFine) {
  EXPECT_EQ(run(), Status::ok) << last_error();
  EXPECT_TRUE(fake::take_complaints().empty());
}
TEST_F(CudnnBreach, Memory) {
  memory_of_call_.x = base_ + (1 << 15) - 64;
  expect_refused(run(), "tensor 1 does not lie in the device's memory");
  memory_of_call_.x = base_ + 8;
  expect_refused(run(), "tensor 1 is less aligned than was said");
  memory_of_call_.x = base_ + 8192;
  expect_refused(run(), "the result lies in tensor 1");
}
TEST_F(CudnnBreach, Workspace) {
  memory_of_call_.workspace = base_ + (1 << 15) - 256;
  expect_refused(run(), "the workspace is not the device's memory");
  memory_of_call_.workspace = base_ + 4096;
  expect_refused(run(), "the workspace lies in tensor");
}
TEST_F(CudnnBreach, Stream) {
  stream_ = nullptr;
  expect_refused(run(), "the handle has no stream");
}
TEST_F(CudnnBreach, Shapes) {
  convolution_.z = {4, 5, 8};
  CudnnPlan plan;
  expect_refused(plan.make(caller_, convolution_, 2, {}), "y has another size than the convolution");
}
TEST_F(CudnnBreach, Attributes) {
  CudnnDescriptor tensor;
  ASSERT_EQ(tensor.create(caller_, CUDNN_BACKEND_TENSOR_DESCRIPTOR), Status::ok);
  const int64_t numbers[] = {2, 4, 4, 4};
  expect_refused(tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_FLOAT, 4, numbers), "an attribute's type");
  expect_refused(tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 3, numbers), "an attribute's count");
  expect_refused(tensor.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, numbers), "no attribute that this kind");
  expect_refused(tensor.finalize(), "is not set");
  CudnnDescriptor plan, configuration;
  ASSERT_EQ(plan.create(caller_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR), Status::ok);
  ASSERT_EQ(configuration.create(caller_, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR), Status::ok);
  expect_refused(plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration), "is not finalised");
  int64_t found = 0;
  expect_refused(plan.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &found, &found),
                 "the descriptor is not finalised");
}
TEST_F(CudnnBreach, StridesAndOrder) {
  CudnnDescriptor tensor;
  ASSERT_EQ(tensor.create(caller_, CUDNN_BACKEND_TENSOR_DESCRIPTOR), Status::ok);
  const cudnnDataType_t type = CUDNN_DATA_FLOAT;
  const int64_t dims[] = {2, 4, 3, 3}, planar[] = {36, 9, 3, 1}, strides[] = {36, 1, 12, 4}, id = 1, alignment = 16;
  ASSERT_EQ(tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type), Status::ok);
  ASSERT_EQ(tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims), Status::ok);
  ASSERT_EQ(tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id), Status::ok);
  ASSERT_EQ(tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment), Status::ok);
  ASSERT_EQ(tensor.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, planar), Status::ok);
  expect_refused(tensor.finalize(), "strides of another layout");
  ASSERT_EQ(tensor.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides), Status::ok);
  ASSERT_EQ(tensor.finalize(), Status::ok);
  expect_refused(tensor.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides), "finalised already");
  EXPECT_EQ(table_.cudnnBackendDestroyDescriptor(&tensor), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(fake::take_complaints().size(), 1u);
}

}  // namespace
}  // namespace lt::cuda
