// The Highway convolutions on every instruction set of this processor against the reference device, between guard zones,
// and their results' independence from the number of threads.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "backends/cpu/highway/conv2d.h"
#include "backends/cpu/thread_pool.h"
#include "tools/selftest/op_fixture.h"

namespace lt::cpu::highway {
namespace {

std::unique_ptr<Kernel> make(const Program& program, const Op& op, uint32_t threads, Target target) {
  const KernelRequest request{&op, program.micro_batch, threads};
  return op.kind == OpKind::conv2d ? make_conv2d(program, request, target) : make_conv2d_backward(program, request, target);
}

class ConvExecutor final : public Executor {
 public:
  ConvExecutor(const Program& program, std::byte* region, uint32_t threads, Target target)
      : program_(program), region_(region) {
    for (const Op& op : program_.ops) kernels_.push_back(make(program_, op, threads, target));
    EXPECT_EQ(ThreadPool::create(threads, &pool_), Status::ok);
  }
  Status run(uint32_t first, uint32_t last, const RunArguments& arguments) override {
    for (uint32_t i = first; i < last; ++i) kernels_[i]->run({&program_, &arguments, pool_.get(), region_});
    return Status::ok;
  }
  Status upload(TensorId, uint64_t, const void*, uint64_t) override { return Status::unsupported; }
  Status download(TensorId, uint64_t, void*, uint64_t) override { return Status::unsupported; }
  Status synchronize() override { return Status::ok; }
  std::byte* staging(TensorId) override { return nullptr; }

 private:
  const Program& program_;
  std::byte* region_;
  std::vector<std::unique_ptr<Kernel>> kernels_;
  std::unique_ptr<ThreadPool> pool_;
};

// A device that has convolutions alone, of one target.
class ConvDevice final : public Device {
 public:
  ConvDevice(Target target, uint32_t threads) : target_(target), threads_(threads) {}
  WeightLayout weight_layout() const override { return WeightLayout::in_out; }
  uint32_t threads() const override { return threads_; }
  const char* kernels() const override { return target_name(target_); }
  Status prepare(const Program& program, const Op& op, OpNeeds* needs) const override {
    const auto kernel = make(program, op, threads_, target_);
    if (kernel == nullptr) return Status::unsupported;
    needs->scratch_bytes = kernel->scratch_bytes();
    needs->saved_bytes = kernel->saved_bytes();
    std::snprintf(needs->kernel, sizeof needs->kernel, "%s", kernel->name());
    return Status::ok;
  }
  Status attach(const Program& program, std::byte* region, std::unique_ptr<Executor>* executor) const override {
    *executor = std::make_unique<ConvExecutor>(program, region, threads_, target_);
    return Status::ok;
  }

 private:
  Target target_;
  uint32_t threads_;
};

struct Case {
  Extent x;
  uint32_t out_channels;
  Window conv, pool;
};

const Case shapes[] = {
    {{1, 1, 1}, 1, {1, 1, 0}, {}},
    {{28, 28, 1}, 32, {5, 1, 2}, {2, 2, 0}},
    {{14, 14, 32}, 64, {5, 1, 2}, {2, 2, 0}},
    {{28, 28, 1}, 32, {5, 1, 0}, {2, 2, 0}},
    {{12, 12, 32}, 64, {5, 1, 0}, {2, 2, 0}},
    {{9, 8, 3}, 50, {3, 1, 1}, {}},
    {{8, 9, 50}, 50, {3, 1, 1}, {2, 2, 0}},
    {{7, 7, 17}, 3, {3, 2, 1}, {}},
    {{11, 10, 3}, 17, {2, 1, 0}, {3, 2, 0}},
    {{10, 13, 5}, 33, {3, 1, 2}, {2, 1, 0}},
    {{13, 11, 2}, 100, {5, 3, 2}, {}},
    {{16, 15, 4}, 9, {1, 2, 0}, {3, 2, 0}},
    {{12, 31, 1}, 1, {5, 2, 2}, {2, 2, 0}},
    {{6, 40, 8}, 16, {3, 1, 1}, {}},
    {{7, 9, 100}, 20, {3, 1, 1}, {2, 3, 0}},
    {{5, 5, 64}, 65, {1, 1, 1}, {2, 2, 0}},
    {{17, 5, 6}, 31, {2, 3, 1}, {2, 2, 0}},
    {{9, 21, 7}, 48, {7, 1, 3}, {2, 2, 0}},
    {{9, 9, 5}, 18, {3, 1, 1}, {3, 2, 1}},
    {{8, 9, 3}, 5, {2, 2, 1}, {2, 2, 1}},
};

ops::OpCase with_window(const Case& c) {
  return ops::conv2d_case(c.x, c.out_channels, c.conv, c.pool.kernel == 1 ? Window{0, 0, 0} : c.pool);
}

std::vector<Target> targets() {
  std::vector<Target> list;
  for (size_t i = 0; i < target_count; ++i)
    if (target_supported(static_cast<Target>(i))) list.push_back(static_cast<Target>(i));
  return list;
}

// The reference's loops take their time.
bool is_small(const ops::OpCase& c) {
  return c.op.conv_extent.elements() * c.op.conv.kernel * c.op.conv.kernel * c.op.x_extent.channels < 500000;
}

class Conv2d : public ::testing::TestWithParam<Target> {};

TEST_P(Conv2d, EqualsReference) {
  const ConvDevice device(GetParam(), 2);
  for (const Case& shape : shapes)
    for (unsigned parts = 0; parts < 16; ++parts) {
      ops::OpCase c = with_window(shape);
      if (!is_small(c) && parts % 8 != 3 && parts % 8 != 6) continue;
      if (!is_small(c)) c.samples = 2;
      c.fill = parts & 8 ? ops::Fill::integers : ops::Fill::uniform;
      c.op.has_bias = parts & 1;
      c.op.has_relu = parts & 2;
      c.op.dropout = parts & 4 ? 0.5f : 0;
      c.accumulate = parts < 8;
      c.needs_dx = parts != 5;
      c.name += " parts " + std::to_string(parts);
      EXPECT_TRUE(ops::expect_equals_reference(device, ops::backward_case(c))) << last_error();
      if (HasFailure()) return;
    }
}

TEST_P(Conv2d, ShortBatchesAndEvaluation) {
  const ConvDevice device(GetParam(), 1);
  for (const Case& shape : shapes) {
    ops::OpCase c = with_window(shape);
    c.op.has_relu = c.op.has_bias = true;
    c.micro_batch = 11;
    for (uint32_t samples : {1u, 9u, 11u}) {
      if (!is_small(c) && samples > 1) continue;
      c.samples = samples;
      EXPECT_TRUE(ops::expect_equals_reference(device, ops::backward_case(c))) << last_error();
    }
    c.training = false;
    EXPECT_TRUE(ops::expect_equals_reference(device, c)) << last_error();
  }
}

// Blocks of several samples, whose tiles are multiplied together.
TEST_P(Conv2d, LargeBatches) {
  const Case winograd[] = {{{4, 4, 16}, 16, {3, 1, 1}, {2, 2, 0}},
                           {{6, 7, 16}, 17, {5, 1, 2}, {2, 2, 0}},
                           {{5, 6, 18}, 20, {3, 1, 1}, {}},
                           {{7, 5, 17}, 16, {5, 1, 1}, {}}};
  const ConvDevice device(GetParam(), 2);
  for (const Case& shape : winograd) {
    ops::OpCase c = with_window(shape);
    c.op.has_relu = c.op.has_bias = true;
    c.micro_batch = 40;
    c.samples = 39;
    EXPECT_TRUE(ops::expect_equals_reference(device, ops::backward_case(c))) << last_error();
  }
}

TEST_P(Conv2d, NaNAndInfinityComeOut) {
  const ConvDevice device(GetParam(), 1);
  for (const Case& shape : shapes)
    for (ops::Poison poison : {ops::Poison::nan, ops::Poison::infinity}) {
      ops::OpCase c = with_window(shape);
      c.op.has_relu = true;
      c.poison = poison;
      EXPECT_TRUE(ops::expect_equals_reference(device, c)) << last_error();
    }
}

TEST_P(Conv2d, AllZeroGradientsGiveZeros) {
  const ConvDevice device(GetParam(), 2);
  for (const Case& shape : shapes) {
    ops::OpCase c = ops::backward_case(with_window(shape));
    c.op.has_bias = true;
    ops::OpRun run(device, c);
    ASSERT_EQ(run.status(), Status::ok);
    run.fill();
    run.run_forward();
    run.set_values("dy", std::vector<float>(run.values("dy").size()));
    run.run_backward();
    for (const char* name : {"dweight", "dbias", "dx"})
      for (float value : run.values(name)) ASSERT_EQ(value, 0) << c.name << " " << name;
  }
}

TEST_P(Conv2d, SameBitsForAnyNumberOfThreads) {
  for (const Case& shape : shapes) {
    std::vector<std::vector<float>> outputs[3];
    for (uint32_t threads = 1; threads <= 3; ++threads) {
      ops::OpCase c = ops::backward_case(with_window(shape));
      c.op.has_bias = c.op.has_relu = true;
      c.micro_batch = c.samples = 19;
      ops::OpRun run(ConvDevice(GetParam(), threads), c);
      ASSERT_EQ(run.status(), Status::ok);
      run.fill();
      run.run_forward();
      run.run_backward();
      for (const char* name : {"y", "dx", "dweight", "dbias"}) outputs[threads - 1].push_back(run.values(name));
    }
    for (size_t i = 0; i < outputs[0].size(); ++i)
      for (size_t other : {1u, 2u})
        EXPECT_EQ(std::memcmp(outputs[0][i].data(), outputs[other][i].data(), outputs[0][i].size() * sizeof(float)), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Conv2d, ::testing::ValuesIn(targets()),
                         [](const ::testing::TestParamInfo<Target>& parameter) {
                           std::string name = target_name(parameter.param);
                           std::erase(name, '-');
                           return name;
                         });

TEST(Conv2dMaker, RefusesWhatItHasNoCodeFor) {
  Program program;
  program.micro_batch = 4;
  ops::OpCase c = ops::conv2d_case({8, 8, 3}, 4, {3, 1, 1});
  const auto refused = [&](const Op& op) {
    const KernelRequest request{&op, 4, 1};
    return make_conv2d(program, request, target_best()) == nullptr && std::strlen(last_error()) > 0;
  };
  EXPECT_FALSE(refused(c.op));
  Op op = c.op;
  op.conv_extent.height = 9;
  EXPECT_TRUE(refused(op));
  op = c.op;
  op.has_pool = true;
  op.pool = {2, 2, 2};
  EXPECT_TRUE(refused(op));
  op = c.op;
  op.x_extent = {65536, 65536, 3};
  EXPECT_TRUE(refused(op));
  program.weight_layout = WeightLayout::out_in;
  EXPECT_TRUE(refused(c.op));
}

}  // namespace
}  // namespace lt::cpu::highway
