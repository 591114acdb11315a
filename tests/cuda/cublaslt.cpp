// Linear layers by cuBLASLt, against a fake of the library that computes them: right results, the library's rules kept, and
// any call of it may fail.
#include "backends/cuda/cublaslt/linear.h"

#include <gtest/gtest.h>

#include <cmath>

#include "backends/cuda/cublaslt/matmul.h"
#include "tests/cuda/emulation/launch.h"
#include "tests/cuda/fake.h"
#include "tests/cuda/fake_cublaslt.h"
#include "tests/cuda/library_case.h"
#include "tests/cuda/plain_device.h"

namespace lt::cuda {
namespace {

class CublasLt : public testing::Test {
 protected:
  void SetUp() override {
    fake::lt_options() = {};
    fake::fail_call(0);
    (void)fake::take_complaints();
    objects_ = fake::live_objects();
  }
  void TearDown() override { EXPECT_EQ(fake::live_objects(), objects_); }
  int64_t objects_ = 0;
};

LibraryCase linear(const char* name, Extent x, uint32_t out) {
  LibraryCase c;
  c.name = name;
  c.x = x;
  c.out = out;
  return c;
}

void expect_equal(const LibraryCase& c) {
  SCOPED_TRACE(c.name);
  LibraryRun run(c);
  ASSERT_TRUE(run.make(make_cublaslt_linear, make_cublaslt_linear_backward)) << last_error();
  run.expect_equals_reference();
}

// The case in all precisions, with and without what may be fused, accumulating or not.
void expect_equal_everywhere(LibraryCase c) {
  const std::string name = c.name;
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16})
    for (const bool fuses : {true, false})
      for (const bool accumulate : {false, true})
        for (const bool deterministic : {false, true}) {
          fake::lt_options().bias = fake::lt_options().bias_gradient = fuses;
          c.precision = precision;
          c.accumulate = accumulate;
          c.deterministic = deterministic;
          c.name = name + " precision " + std::to_string(static_cast<int>(precision)) + (fuses ? " fused" : "") +
                   (accumulate ? " accumulate" : "") + (deterministic ? " deterministic" : "");
          expect_equal(c);
        }
}

TEST_F(CublasLt, LayersOfTheModels) {
  LibraryCase c = linear("fc1 of mnist/cnn-valid", {4, 4, 64}, 1024);
  c.has_relu = true;
  c.dropout = 0.5f;
  c.micro_batch = c.samples = 2;
  expect_equal(c);
  c.precision = Precision::bf16;
  expect_equal(c);
  c = linear("fc2 of mnist", {1, 1, 1024}, 10);
  c.logits = true;
  expect_equal_everywhere(c);
  c = linear("mnist/linear", {28, 28, 1}, 10);
  c.logits = true;
  c.needs_dx = false;
  expect_equal_everywhere(c);
}

TEST_F(CublasLt, AwkwardShapes) {
  for (const auto& [in, out] : {std::pair<uint32_t, uint32_t>{1, 1}, {1, 7}, {17, 1}, {17, 65}, {127, 3}}) {
    LibraryCase c = linear("awkward", {1, 1, in}, out);
    c.name += " " + std::to_string(in) + " to " + std::to_string(out);
    c.micro_batch = c.samples = 5;
    expect_equal_everywhere(c);
    c.has_relu = true;
    c.has_bias = false;
    expect_equal_everywhere(c);
    c.has_bias = true;
    c.dropout = 0.5f;  // doubles the gradient, which stays exact
    expect_equal_everywhere(c);
    c.training = false;
    expect_equal_everywhere(c);
  }
}

// One kernel serves any number of samples up to the planned one, in the workspace of the planned one.
TEST_F(CublasLt, FewerSamples) {
  LibraryCase c = linear("fewer samples", {1, 1, 100}, 33);
  c.micro_batch = c.samples = 12;
  c.has_relu = true;
  LibraryRun run(c);
  ASSERT_TRUE(run.make(make_cublaslt_linear, make_cublaslt_linear_backward)) << last_error();
  const uint64_t objects = static_cast<uint64_t>(fake::live_objects());
  for (int round = 0; round < 2; ++round)
    for (uint32_t samples = 12; samples >= 1; --samples) {
      SCOPED_TRACE(samples);
      run.set_samples(samples);
      run.expect_equals_reference();
    }
  EXPECT_EQ(static_cast<uint64_t>(fake::live_objects()), objects);
}

// The fake rounds to TF32 wherever it is not kept from it.
TEST_F(CublasLt, PrecisionIsWhatWasAskedFor) {
  LibraryCase c = linear("precision", {1, 1, 1}, 1);
  c.micro_batch = c.samples = 1;
  c.has_bias = false;
  const float x = 1 + std::ldexp(1.0f, -12);
  for (const auto& [precision, expected] : {std::pair{Precision::fp32, x}, {Precision::tf32, 1.0f}}) {
    c.precision = precision;
    LibraryRun run(c);
    ASSERT_TRUE(run.make(make_cublaslt_linear, make_cublaslt_linear_backward)) << last_error();
    run.fill();
    run.set_value(run.forward_op().x, 0, x);
    run.set_value(run.forward_op().weight, 0, 1);
    ASSERT_EQ(run.enqueue_forward(), Status::ok) << last_error();
    EXPECT_EQ(run.value(run.forward_op().y, 0), expected);
  }
  EXPECT_TRUE(fake::take_complaints().empty());
}

// Whose order of sums is not said is not taken where bits are to be the same.
TEST_F(CublasLt, BiasGradientIsFusedUnlessDeterministic) {
  LibraryCase c = linear("bias gradient", {1, 1, 8}, 5);
  for (const bool deterministic : {false, true}) {
    c.deterministic = deterministic;
    LibraryRun run(c);
    ASSERT_TRUE(run.make(make_cublaslt_linear, make_cublaslt_linear_backward)) << last_error();
    run.fill();
    const uint64_t before = emulation::statistics().launches;
    ASSERT_EQ(run.enqueue_backward(), Status::ok) << last_error();
    EXPECT_EQ(emulation::statistics().launches - before, deterministic ? 1u : 0u);
  }
}

TEST_F(CublasLt, NaNGoesThroughReLU) {
  LibraryCase c = linear("nan", {1, 1, 3}, 2);
  c.has_relu = true;
  LibraryRun run(c);
  ASSERT_TRUE(run.make(make_cublaslt_linear, make_cublaslt_linear_backward)) << last_error();
  run.fill();
  run.set_value(run.forward_op().x, 0, std::nanf(""));
  ASSERT_EQ(run.enqueue_forward(), Status::ok) << last_error();
  EXPECT_TRUE(std::isnan(run.value(run.forward_op().y, 0)));
  EXPECT_FALSE(std::isnan(run.value(run.forward_op().y, 2)));
}

TEST_F(CublasLt, UnservedOpsAreRefused) {
  LibraryRun run(linear("unserved", {1, 1, 3}, 2));
  ASSERT_TRUE(run.make(make_cublaslt_linear, make_cublaslt_linear_backward));
  KernelRequest request = run.request(0);
  run.program().weight_layout = WeightLayout::in_out;
  EXPECT_EQ(make_cublaslt_linear(request), nullptr);
  EXPECT_STREQ(last_error(), "cuBLASLt, layer layer: only weights as [out][in] are served");
  run.program().weight_layout = WeightLayout::out_in;
  run.program().tensors[run.forward_op().weight].dtype = DType::bf16;
  EXPECT_EQ(make_cublaslt_linear(request), nullptr);
  EXPECT_STREQ(last_error(), "cuBLASLt, layer layer: x and weight are of different types");
  run.program().tensors[run.forward_op().weight].dtype = DType::f32;
  request.libraries.cublaslt = nullptr;
  EXPECT_EQ(make_cublaslt_linear(request), nullptr);
  EXPECT_STREQ(last_error(), "layer layer: cuBLASLt is not there");
  fake::lt_options().any_product = false;
  EXPECT_EQ(make_cublaslt_linear(run.request(0)), nullptr);
  EXPECT_STREQ(last_error(),
               "cuBLASLt: linear layer: cublasLtMatmulAlgoGetHeuristic: CUBLAS_STATUS_NOT_SUPPORTED, so says the fake");
}

// Whatever call fails, a sentence names it, nothing is left behind and no other path is taken in silence.
TEST_F(CublasLt, EveryCallMayFail) {
  LibraryCase c = linear("failing", {1, 1, 100}, 5);
  c.micro_batch = c.samples = 3;
  uint64_t calls = 0;
  for (uint64_t n = 1; n <= calls + 1; ++n) {
    fake::fail_call(n);
    {
      LibraryRun run(c);
      if (run.make(make_cublaslt_linear, make_cublaslt_linear_backward)) {
        run.fill();
        Status status = run.enqueue_forward();
        if (ok(status)) status = run.enqueue_backward();
        run.set_samples(2);
        if (ok(status)) status = run.enqueue_backward();
        if (fake::failed_function() == nullptr) {
          EXPECT_EQ(status, Status::ok) << last_error();
          calls = n - 1;
        } else {
          EXPECT_EQ(status, Status::device) << fake::failed_function();
          // A kernel that failed once can be used again.
          run.set_samples(1);
          EXPECT_EQ(run.enqueue_backward(), Status::ok) << last_error();
          calls = n;
        }
      } else {
        ASSERT_NE(fake::failed_function(), nullptr) << last_error();
        calls = n;
      }
      const char* failed = fake::failed_function();
      EXPECT_TRUE(failed == nullptr || std::string(last_error()).find(failed) != std::string::npos) << last_error();
    }
    EXPECT_EQ(fake::live_objects(), objects_) << n;
  }
  EXPECT_GT(calls, 30u);
  EXPECT_TRUE(fake::take_complaints().empty());
}

TEST_F(CublasLt, OpeningSaysWhy) {
  const CublasLtTable table = fake::cublaslt_table();
  void* handle = nullptr;
  fake::lt_options().version = (CUBLAS_VER_MAJOR - 1) * 10000 + 800;
  EXPECT_EQ(open_cublaslt(table, &handle), Status::device);
  EXPECT_EQ(std::string(last_error()), "cuBLASLt: the library is version " + std::to_string(CUBLAS_VER_MAJOR - 1) +
                                           ".8, but this program was built for version " +
                                           std::to_string(CUBLAS_VER_MAJOR));
  fake::lt_options().version = CUBLAS_VERSION;
  fake::fail_call(1);
  EXPECT_EQ(open_cublaslt(table, &handle), Status::device);
  EXPECT_STREQ(last_error(), "cuBLASLt: cublasLtCreate: CUBLAS_STATUS_NOT_INITIALIZED, so says the fake");
  EXPECT_EQ(handle, nullptr);

  CublasLtTable filled;
  const char* missing = nullptr;
  EXPECT_TRUE(fill(
      &filled, [](void*, const char* name) { return fake::cublaslt_function(name); }, nullptr, &missing));
  EXPECT_EQ(filled.cublasLtMatmul, table.cublasLtMatmul);
  EXPECT_FALSE(fill(
      &filled,
      [](void*, const char* name) {
        return std::string_view(name) == "cublasLtMatmul" ? nullptr : fake::cublaslt_function(name);
      },
      nullptr, &missing));
  EXPECT_STREQ(missing, "cublasLtMatmul");
}

// The fake sees what it is there to see: each breach is one that the real library would refuse, or would not notice.
class Breach : public CublasLt {
 protected:
  static constexpr uint64_t m = 4, n = 3, k = 80;  // enough for the fake to want a workspace
  void SetUp() override {
    CublasLt::SetUp();
    memory_.assign(1 << 16, 0);
    base_ = memory_.data();
    while (reinterpret_cast<uintptr_t>(base_) % 256 != 0) ++base_;
    plain::add_device_range(base_, 1 << 15);
    ASSERT_EQ(open_cublaslt(table_, reinterpret_cast<void**>(&handle_)), Status::ok);
    ASSERT_EQ(table_.cublasLtMatmulDescCreate(&desc_, CUBLAS_COMPUTE_32F, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
    const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    const uint64_t workspace = 4096;
    ASSERT_EQ(table_.cublasLtMatmulPreferenceCreate(&preference_), CUBLAS_STATUS_SUCCESS);
    table_.cublasLtMatmulPreferenceSetAttribute(preference_, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions,
                                                sizeof reductions);
    table_.cublasLtMatmulPreferenceSetAttribute(preference_, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                                sizeof workspace);
    table_.cublasLtMatrixLayoutCreate(&a_, CUDA_R_32F, m, k, m);
    table_.cublasLtMatrixLayoutCreate(&b_, CUDA_R_32F, k, n, k);
    table_.cublasLtMatrixLayoutCreate(&d_, CUDA_R_32F, m, n, m);
    int count = 0;
    ASSERT_EQ(ask(&count), CUBLAS_STATUS_SUCCESS);
    ASSERT_TRUE(fake::take_complaints().empty());
  }
  void TearDown() override {
    table_.cublasLtMatmulPreferenceDestroy(preference_);
    for (cublasLtMatrixLayout_t layout : {a_, b_, d_}) table_.cublasLtMatrixLayoutDestroy(layout);
    table_.cublasLtMatmulDescDestroy(desc_);
    close_cublaslt(table_, handle_);
    plain::remove_device_range(base_);
    CublasLt::TearDown();
  }
  cublasStatus_t ask(int* count) {
    return table_.cublasLtMatmulAlgoGetHeuristic(handle_, desc_, a_, b_, d_, d_, preference_, 1, &result_, count);
  }
  cublasStatus_t multiply() {
    const float alpha = 1, beta = 0;
    return table_.cublasLtMatmul(handle_, desc_, &alpha, base_ + a_at_, a_, base_ + 4096, b_, &beta, base_ + d_at_, d_,
                                 base_ + d_at_, d_, &result_.algo, base_ + workspace_at_, workspace_bytes_, stream_);
  }
  void expect_refused(const char* what) {
    EXPECT_EQ(multiply(), CUBLAS_STATUS_INVALID_VALUE) << what;
    const std::vector<std::string> complaints = fake::take_complaints();
    ASSERT_EQ(complaints.size(), 1u) << what;
    EXPECT_NE(complaints[0].find(what), std::string::npos) << complaints[0];
  }
  void set_layout(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, int64_t value) {
    EXPECT_EQ(table_.cublasLtMatrixLayoutSetAttribute(layout, attribute, &value, sizeof value), CUBLAS_STATUS_SUCCESS);
  }

  const CublasLtTable table_ = fake::cublaslt_table();
  std::vector<char> memory_;
  char* base_ = nullptr;
  uint64_t a_at_ = 0, d_at_ = 8192, workspace_at_ = 16384, workspace_bytes_ = 4096;
  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDesc_t desc_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr, b_ = nullptr, d_ = nullptr;
  cublasLtMatmulPreference_t preference_ = nullptr;
  cublasLtMatmulHeuristicResult_t result_ = {};
  CUstream stream_ = plain::stream();
};

TEST_F(Breach, NoneIsFine) {
  EXPECT_EQ(multiply(), CUBLAS_STATUS_SUCCESS);
  EXPECT_TRUE(fake::take_complaints().empty());
}
TEST_F(Breach, Memory) {
  a_at_ = (1 << 15) - 64;
  expect_refused("A does not lie in the device's memory");
  a_at_ = 64;
  expect_refused("A is less aligned");
  a_at_ = 0;
  d_at_ = 128;
  expect_refused("D is less aligned");
}
TEST_F(Breach, Workspace) {
  workspace_bytes_ = 64;
  expect_refused("smaller than the algorithm needs");
  workspace_bytes_ = 4096;
  workspace_at_ = 4;
  expect_refused("not aligned to 256 bytes");
  workspace_at_ = (1 << 15) - 256;
  expect_refused("the workspace is not the device's memory");
  workspace_at_ = 4096;
  expect_refused("the workspace lies in a matrix");
}
TEST_F(Breach, Stream) {
  stream_ = nullptr;
  expect_refused("no stream");
}
TEST_F(Breach, Shapes) {
  set_layout(d_, CUBLASLT_MATRIX_LAYOUT_COLS, n + 1);
  expect_refused("D has another shape");
  set_layout(b_, CUBLASLT_MATRIX_LAYOUT_COLS, n + 1);
  expect_refused("an algorithm for another product");
  set_layout(b_, CUBLASLT_MATRIX_LAYOUT_ROWS, k + 1);
  expect_refused("a leading dimension below the rows");
  set_layout(b_, CUBLASLT_MATRIX_LAYOUT_LD, k + 1);
  expect_refused("different inner dimensions");
}
TEST_F(Breach, Attributes) {
  const uint64_t wide = CUBLAS_OP_T;
  EXPECT_EQ(table_.cublasLtMatmulDescSetAttribute(desc_, CUBLASLT_MATMUL_DESC_TRANSA, &wide, sizeof wide),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(table_.cublasLtMatmulDescSetAttribute(desc_, CUBLASLT_MATMUL_DESC_FILL_MODE, &wide, sizeof(int32_t)),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(fake::take_complaints().size(), 2u);
  const uint32_t epilogue = CUBLASLT_EPILOGUE_BIAS;
  table_.cublasLtMatmulDescSetAttribute(desc_, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
  expect_refused("an epilogue without its vector");
}
TEST_F(Breach, DestroyedDescriptors) {
  table_.cublasLtMatrixLayoutDestroy(b_);
  expect_refused("layout B is not alive");
  table_.cublasLtMatrixLayoutCreate(&b_, CUDA_R_32F, k, n, k);
  EXPECT_EQ(table_.cublasLtMatmulDescDestroy(reinterpret_cast<cublasLtMatmulDesc_t>(b_)), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(fake::take_complaints().size(), 1u);
}
TEST_F(Breach, Reductions) {
  const uint32_t all = CUBLASLT_REDUCTION_SCHEME_MASK;
  table_.cublasLtMatmulPreferenceSetAttribute(preference_, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &all, sizeof all);
  int count = 0;
  EXPECT_EQ(ask(&count), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(fake::take_complaints().size(), 1u);
}

}  // namespace
}  // namespace lt::cuda
