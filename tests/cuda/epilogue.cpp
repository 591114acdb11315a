// Bias, max-pool, ReLU and dropout, there and back, against the reference device's functions; and the sums of columns.
#include <cmath>

#include "backends/cuda/own/own.h"
#include "backends/reference/ops.h"
#include "tests/cuda/own_kernels.h"

namespace lt::cuda {
namespace {

struct Case {
  Extent z;
  uint32_t z_channels;  // in memory
  Window pool{0, 1, 0};
  bool bias = true, relu = true;
  float dropout = 0;
  bool training = true, drops = true;
  DType z_type = DType::f32, y_type = DType::f32;
  bool nan = false;
  enum class Residual : uint8_t { none, apart, in_y } residual = Residual::none;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.z.height << "x" << c.z.width << "x" << c.z.channels << " of " << c.z_channels << " pool " << c.pool.kernel
             << "/" << c.pool.stride << "/" << c.pool.padding << " bias " << c.bias << " relu " << c.relu << " dropout "
             << c.dropout << " training " << c.training << " drops " << c.drops << " types " << static_cast<int>(c.z_type)
             << " " << static_cast<int>(c.y_type) << " nan " << c.nan << " residual " << static_cast<int>(c.residual);
}

constexpr uint32_t samples = 5, sample_offset = 3;

// A conv2d's part behind its product; y_extent follows from the pool.
void build(OwnKernel& k, const Case& c) {
  k.op.kind = OpKind::conv2d;
  k.op.layer_index = 6;
  k.op.conv_extent = k.op.y_extent = c.z;
  k.op.has_bias = c.bias;
  k.op.has_relu = c.relu;
  k.op.dropout = c.dropout;
  if (c.pool.kernel != 0) {
    k.op.has_pool = true;
    k.op.pool = c.pool;
    k.op.y_extent.height = (c.z.height + 2 * c.pool.padding - c.pool.kernel) / c.pool.stride + 1;
    k.op.y_extent.width = (c.z.width + 2 * c.pool.padding - c.pool.kernel) / c.pool.stride + 1;
    k.op.argmax = k.add_bytes(samples * k.op.y_extent.elements());
  }
  if (c.dropout != 0) k.op.mask = k.add_bytes(samples * mask_row_bytes(k.op.y_extent.elements()));
  k.op.y = k.add(c.y_type, samples * k.op.y_extent.elements());
  if (c.residual == Case::Residual::in_y) k.op.residual = k.op.y;
  if (c.residual == Case::Residual::apart) k.op.residual = k.add(c.z_type, samples * k.op.y_extent.elements());
  k.op.dy = k.add(c.y_type, samples * k.op.y_extent.elements());
  k.state.seed = 77;
  k.state.step = 5;
}

Site site_of(OwnKernel& k, const Case& c) {
  Site site = k.site();
  site.samples = samples;
  site.sample_offset = sample_offset;
  site.training = c.training;
  site.dropout = c.drops;
  return site;
}

RunArguments arguments_of(const Case& c) {
  RunArguments arguments;
  arguments.samples = samples;
  arguments.sample_offset = sample_offset;
  arguments.training = c.training;
  arguments.dropout = c.drops;
  arguments.seed = 77;
  arguments.step = 5;
  return arguments;
}

void check_forward(const Case& c) {
  SCOPED_TRACE(testing::Message() << c << ", " << emulation::describe_options());
  OwnKernel k;
  build(k, c);
  const uint64_t pixels = uint64_t{c.z.height} * c.z.width, z_elements = c.z.elements(),
                 y_elements = k.op.y_extent.elements();
  const TensorId z = k.add(c.z_type, samples * pixels * c.z_channels), bias = k.add(DType::f32, c.z.channels);
  std::vector<float> z_values = random_values(samples * pixels * c.z_channels, 9);
  // Few different values: many are equal, and the first one counts.
  for (size_t i = 0; i < z_values.size(); i += 2) z_values[i] = std::round(z_values[i] * 2) / 2;
  if (c.nan) z_values[z_values.size() / 2] = z_values[z_values.size() / 2 + 1] = NAN;
  z_values = k.set(z, z_values);
  std::vector<float> bias_values = random_values(c.z.channels, 10);
  for (float& b : bias_values) b = std::round(b * 4) / 4;
  k.set(bias, bias_values);
  std::vector<float> residual;
  if (k.op.residual != no_tensor) residual = k.set(k.op.residual, random_values(samples * y_elements, 15));
  const Site site = site_of(k, c);
  ASSERT_EQ(check_epilogue(k.op), Status::ok);
  ASSERT_EQ(enqueue_epilogue(site, k.op, k.at<void>(z), c.z_type, c.z_channels, c.bias ? k.at<float>(bias) : nullptr),
            Status::ok);

  const RunArguments arguments = arguments_of(c);
  std::vector<float> y(samples * y_elements), sums(z_elements);
  std::vector<uint8_t> argmax(samples * y_elements), mask(samples * mask_row_bytes(y_elements), 0xcc);
  for (uint32_t s = 0; s < samples; ++s) {
    for (uint64_t i = 0; i < z_elements; ++i) {
      const uint64_t pixel = i / c.z.channels, channel = i % c.z.channels;
      sums[i] = z_values[(s * pixels + pixel) * c.z_channels + channel] + (c.bias ? bias_values[channel] : 0);
    }
    float* row = y.data() + s * y_elements;
    if (c.pool.kernel != 0)
      reference::max_pool(sums.data(), c.z, c.pool, k.op.y_extent, row, argmax.data() + s * y_elements);
    else
      std::copy(sums.begin(), sums.end(), row);
    for (uint64_t i = 0; i < y_elements && !residual.empty(); ++i) row[i] += residual[s * y_elements + i];
    reference::relu_dropout(k.op, arguments, s, row, mask.data() + s * mask_row_bytes(y_elements));
  }
  expect_near(k.values(k.op.y), y, rounding_of(c.y_type), "y");
  if (k.op.has_pool && c.training) {
    EXPECT_EQ(k.bytes(k.op.argmax), argmax);
  }
  if (c.dropout != 0 && c.training) {
    EXPECT_EQ(k.bytes(k.op.mask), mask);
  }
}

void check_backward(const Case& c) {
  SCOPED_TRACE(testing::Message() << c << ", " << emulation::describe_options());
  OwnKernel k;
  build(k, c);
  k.op.kind = OpKind::conv2d_backward;
  const uint64_t pixels = uint64_t{c.z.height} * c.z.width, z_elements = c.z.elements(),
                 y_elements = k.op.y_extent.elements();
  const TensorId dz = k.add(c.z_type, samples * pixels * c.z_channels);
  const std::vector<float> dy = k.set(k.op.dy, random_values(samples * y_elements, 11));
  const std::vector<float> y = k.set(k.op.y, random_values(samples * y_elements, 12));
  std::minstd_rand generator(13);
  if (c.dropout != 0)
    for (uint64_t i = 0; i < samples * mask_row_bytes(y_elements); ++i)
      k.at<uint8_t>(k.op.mask)[i] = static_cast<uint8_t>(generator() % 256);
  if (k.op.has_pool) {  // of places that are there
    std::vector<float> any = random_values(z_elements, 14), pooled(y_elements);
    for (uint32_t s = 0; s < samples; ++s)
      reference::max_pool(any.data(), c.z, c.pool, k.op.y_extent, pooled.data(),
                          k.at<uint8_t>(k.op.argmax) + s * y_elements);
  }
  ASSERT_EQ(enqueue_epilogue_backward(site_of(k, c), k.op, k.at<void>(dz), c.z_type, c.z_channels), Status::ok);

  const RunArguments arguments = arguments_of(c);
  std::vector<float> expected(samples * pixels * c.z_channels, 0), passed(y_elements), unpooled(z_elements);
  for (uint32_t s = 0; s < samples; ++s) {
    reference::relu_dropout_backward(
        k.op, arguments, dy.data() + s * y_elements, y.data() + s * y_elements,
        k.op.mask == no_tensor ? nullptr : k.at<uint8_t>(k.op.mask) + s * mask_row_bytes(y_elements), passed.data());
    if (k.op.has_pool)
      reference::max_unpool(passed.data(), k.at<uint8_t>(k.op.argmax) + s * y_elements, c.z, c.pool, k.op.y_extent,
                            unpooled.data());
    else
      unpooled = passed;
    for (uint64_t i = 0; i < z_elements; ++i)
      expected[(s * pixels + i / c.z.channels) * c.z_channels + i % c.z.channels] = unpooled[i];
  }
  expect_near(k.values(dz), expected, rounding_of(c.z_type), "dz");
}

std::vector<Case> cases() {
  std::vector<Case> all;
  const DType f32 = DType::f32, bf16 = DType::bf16;
  const Window none{0, 1, 0}, halves{2, 2, 0}, overlapping{3, 2, 1}, dense{3, 1, 1}, gaps{2, 3, 0}, wide{5, 3, 2};
  for (const auto& [z_type, y_type] : {std::pair{f32, f32}, {bf16, bf16}, {f32, bf16}, {bf16, f32}})
    for (const uint32_t channels : {1, 3, 8, 10, 24})
      for (const uint32_t padded : {channels, (channels + 7) / 8 * 8})
        for (const Window& pool : {none, halves, overlapping}) {
          Case c{{5, 6, channels}, padded, pool, true, true, 0, true, true, z_type, y_type, false};
          all.push_back(c);
          c.dropout = 0.4f;
          all.push_back(c);
          if (padded == channels && channels != 24) continue;
          c.drops = false;
          c.relu = false;
          all.push_back(c);
        }
  for (const uint32_t channels : {7, 16})
    for (const Window& pool : {none, halves, overlapping, dense, gaps, wide}) {
      Case c{{8, 9, channels}, channels, pool, false, true, 0, true, true, f32, f32, true};
      all.push_back(c);
      c.training = false;
      c.dropout = 0.5f;
      c.nan = false;
      c.bias = true;
      all.push_back(c);
    }
  all.push_back({{4, 5, 8}, 16, halves});
  all.push_back({{4, 5, 24}, 40, none, true, true, 0.3f});
  all.push_back({{1, 1, 100}, 100, none, true, true, 0.25f});
  all.push_back({{1, 1, 128}, 128, none, true, true, 0.25f});
  all.push_back({{1, 1, 333}, 336, none, true, false, 0.25f});
  all.push_back({{12, 24, 8}, 8, none, true, false, 0.1f});  // more than a block a row
  all.push_back({{12, 25, 3}, 3, none, true, false, 0.1f});
  return all;
}

// Behind convolutions of inference programs.
std::vector<Case> residual_cases() {
  std::vector<Case> all;
  for (const Case::Residual residual : {Case::Residual::apart, Case::Residual::in_y})
    for (const DType type : {DType::f32, DType::bf16})
      for (const uint32_t channels : {3, 8, 24})
        for (const bool bias : {false, true}) {
          Case c{{5, 6, channels}, (channels + 7) / 8 * 8};
          c.z_type = c.y_type = type;
          c.residual = residual;
          c.bias = c.relu = bias;
          c.training = false;
          all.push_back(c);
        }
  return all;
}

TEST(CudaEpilogue, ResidualsAreAdded) {
  emulation::for_each_order(
      [] {
        for (const Case& c : residual_cases()) check_forward(c);
      },
      1);
}

TEST(CudaEpilogue, ResidualsBesidePoolsAreRefused) {
  OwnKernel k;
  Case c{{4, 4, 8}, 8, {2, 2, 0}};
  c.residual = Case::Residual::apart;
  build(k, c);
  k.op.layer = "sum";
  EXPECT_EQ(check_epilogue(k.op), Status::unsupported);
  EXPECT_STREQ(last_error(), "sum: a sum with a residual has neither pool nor dropout");
}

TEST(CudaEpilogue, ForwardEqualsTheReference) {
  emulation::for_each_order(
      [] {
        for (const Case& c : cases()) check_forward(c);
      },
      1);
}

TEST(CudaEpilogue, BackwardEqualsTheReference) {
  emulation::for_each_order(
      [] {
        for (const Case& c : cases())
          if (c.training) check_backward(c);
      },
      1);
}

TEST(CudaEpilogue, FewerBlocksThanRows) {
  const GridLimit limit(1);
  emulation::for_each_order([] {
    for (const uint32_t channels : {3, 16}) {
      const Case c{{12, 25, channels}, channels, {2, 2, 0}, true, true, 0.3f};
      check_forward(c);
      check_backward(c);
    }
  });
}

// y and z one and the same, and dy and dz.
TEST(CudaEpilogue, WorksInPlace) {
  emulation::for_each_order([] {
    for (const uint32_t channels : {5, 8}) {
      OwnKernel k;
      const Case c{{2, 3, channels}, channels};
      build(k, c);
      const std::vector<float> z = k.set(k.op.y, random_values(samples * c.z.elements(), 15));
      const Site site = site_of(k, c);
      ASSERT_EQ(enqueue_epilogue(site, k.op, k.at<void>(k.op.y), DType::f32, channels, nullptr), Status::ok);
      const std::vector<float> y = k.values(k.op.y), dy = k.set(k.op.dy, random_values(y.size(), 16));
      ASSERT_EQ(enqueue_epilogue_backward(site, k.op, k.at<void>(k.op.dy), DType::f32, channels), Status::ok);
      const std::vector<float> dz = k.values(k.op.dy);
      for (size_t i = 0; i < z.size(); ++i) {
        EXPECT_EQ(y[i], std::max(z[i], 0.0f));
        EXPECT_EQ(dz[i], z[i] > 0 ? dy[i] : 0);
      }
    }
  });
}

TEST(CudaEpilogue, AnActivationOfItsOwn) {
  emulation::for_each_order([] {
    OwnKernel k;
    k.op.kind = OpKind::activation;
    k.op.x_extent = {6, 6, 8};
    k.op.y_extent = {3, 3, 8};
    k.op.has_pool = k.op.has_relu = true;
    k.op.pool = {2, 2, 0};
    k.op.x = k.add(DType::f32, samples * 288);
    k.op.y = k.add(DType::bf16, samples * 72);
    k.op.argmax = k.add_bytes(samples * 72);
    k.op.dy = k.add(DType::bf16, samples * 72);
    const std::vector<float> x = k.set(k.op.x, random_values(samples * 288, 17));
    const std::vector<float> dy = k.set(k.op.dy, random_values(samples * 72, 18));
    Site site = k.site();
    site.samples = samples;
    ASSERT_EQ(make_own_activation(k.request(samples))->enqueue(site), Status::ok);
    k.op.kind = OpKind::activation_backward;
    k.op.dx = k.add(DType::f32, samples * 288);
    ASSERT_EQ(make_own_activation_backward(k.request(samples))->enqueue(site), Status::ok);
    const std::vector<float> y = k.values(k.op.y), dx = k.values(k.op.dx);
    for (uint32_t e = 0; e < samples * 72; ++e) {
      const uint32_t s = e / 72, row = e % 72 / 24, column = e % 24 / 8, channel = e % 8;
      float best = -2, gradient = 0;
      for (uint32_t tap = 0; tap < 4; ++tap) {
        const uint32_t at = s * 288 + ((2 * row + tap / 2) * 6 + 2 * column + tap % 2) * 8 + channel;
        best = std::max(best, x[at]);
        gradient += dx[at];
      }
      EXPECT_EQ(y[e], to_float(to_bf16(std::max(best, 0.0f))));
      EXPECT_EQ(gradient, best > 0 ? dy[e] : 0);
    }
    k.op.dx = no_tensor;
    EXPECT_EQ(make_own_activation_backward(k.request(samples))->enqueue(site), Status::ok);
  });
}

TEST(CudaEpilogue, PoolsWhoseTapsAreNoBytesAreUnsupported) {
  OwnKernel k;
  k.op.kind = OpKind::activation;
  k.op.layer = "pool1";
  k.op.x_extent = k.op.y_extent = {40, 40, 1};
  k.op.has_pool = true;
  k.op.pool = {17, 17, 0};
  EXPECT_EQ(make_own_activation(k.request(1)), nullptr);
  EXPECT_NE(std::string(last_error()).find("pool1: a pool of 17 x 17"), std::string::npos) << last_error();
}

struct Columns {
  uint64_t rows;
  uint32_t columns, channels;
};

std::vector<float> check_column_sums(const Columns& c, DType type, bool accumulate) {
  SCOPED_TRACE(testing::Message() << c.rows << " x " << c.columns << " of " << c.channels << ", "
                                  << emulation::describe_options());
  OwnKernel k;
  const TensorId dz = k.add(type, c.rows * c.channels), dbias = k.add(DType::f32, c.columns);
  const std::vector<float> values = k.set(dz, random_values(c.rows * c.channels, 19));
  k.set(dbias, std::vector<float>(c.columns, 0.5f));
  k.reserve_scratch(column_sums_scratch_bytes(c.rows, c.columns));
  Site site = k.site();
  site.accumulate = accumulate;
  EXPECT_EQ(enqueue_column_sums(site, k.at<void>(dz), type, c.rows, c.columns, c.channels, k.at<float>(dbias),
                                site.scratch<void>()),
            Status::ok);
  std::vector<float> expected;
  for (uint32_t column = 0; column < c.columns; ++column) {
    double sum = accumulate ? 0.5 : 0;
    for (uint64_t row = 0; row < c.rows; ++row) sum += static_cast<double>(values[row * c.channels + column]);
    expected.push_back(static_cast<float>(sum));
  }
  expect_near(k.values(dbias), expected, 1e-5, "dbias");
  return k.values(dbias);
}

TEST(CudaColumnSums, EqualSumsInDouble) {
  for (const DType type : {DType::f32, DType::bf16})
    for (const Columns& c :
         {Columns{1, 1, 1}, {5, 10, 10}, {64, 10, 16}, {1000, 33, 40}, {40000, 3, 8}, {20001, 1, 1}, {7, 300, 300}}) {
      const std::vector<float> first = check_column_sums(c, type, false);
      check_column_sums(c, type, true);
      emulation::for_each_order(
          [&] { EXPECT_EQ(check_column_sums(c, type, false), first) << "the same bits in every order"; }, 1);
    }
}

TEST(CudaColumnSums, LargeOnesAreCut) {
  EXPECT_EQ(column_sums_scratch_bytes(511, 32), 0u);
  EXPECT_GT(column_sums_scratch_bytes(100000, 32), 0u);
  for (uint64_t rows = 1; rows < 200000; rows += 997)
    EXPECT_LE(column_sums_scratch_bytes(rows, 10), column_sums_scratch_bytes(rows + 1, 10));
}

}  // namespace
}  // namespace lt::cuda
