// That the comparison sees what it is there to see: a device that is the reference device but for one fault has to fail,
// and without a fault to pass.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/faulty_device.h"
#include "tools/selftest/op_cases.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

int failures(const Fault& fault, const OpCase& c) {
  ::testing::TestPartResultArray results;
  {
    ::testing::ScopedFakeTestPartResultReporter reporter(
        ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
    expect_equals_reference(FaultyDevice(reference_device(), fault), c);
  }
  int failed = 0;
  for (int i = 0; i < results.size(); ++i) failed += results.GetTestPartResult(i).failed();
  return failed;
}

OpCase everything(Fill fill) {
  OpCase c = conv2d_case({8, 8, 3}, 10, {3, 1, 1}, {2, 2, 0});
  c.op.has_bias = c.op.has_relu = true;
  c.op.dropout = 0.5f;
  c.fill = fill;
  return backward_case(c);
}

template <class T>
T* at(std::byte* region, const Program& program, TensorId id) {
  return reinterpret_cast<T*>(region + program.tensors[id].offset);
}

TEST(Harness, PassesWhatHasNoFault) {
  const Fault none = [](const Program&, const Op&, std::byte*) {};
  for (Fill fill : {Fill::uniform, Fill::integers}) EXPECT_EQ(failures(none, everything(fill)), 0);
}

TEST(Harness, SeesOneWrongElement) {
  for (Fill fill : {Fill::uniform, Fill::integers})
    for (TensorId Op::*tensor : {&Op::y, &Op::dx, &Op::dweight, &Op::dbias}) {
      const bool forward = tensor == &Op::y;
      const Fault wrong = [&](const Program& program, const Op& op, std::byte* region) {
        if ((op.kind == OpKind::conv2d) != forward) return;
        float* values = at<float>(region, program, op.*tensor);
        values[program.tensors[op.*tensor].bytes / sizeof(float) / 2] += 0.01f;
      };
      EXPECT_GT(failures(wrong, everything(fill)), 0) << "fill " << static_cast<int>(fill);
    }
}

TEST(Harness, SeesOneWrongByte) {
  OpCase c = conv2d_case({6, 5, 35}, 20, {3, 1, 1});
  c.inference = c.op.has_bias = true;
  c.training = false;
  c.precision = Precision::int8;
  EXPECT_EQ(failures([](const Program&, const Op&, std::byte*) {}, c), 0);
  const Fault wrong = [](const Program& program, const Op& op, std::byte* region) {
    at<uint8_t>(region, program, op.y)[77] ^= 1;
  };
  EXPECT_GT(failures(wrong, c), 0);
}

// Where all bytes lay at the ends of their range, no wrong sum would be seen.
TEST(Harness, BytesLieInsideTheirRange) {
  size_t convolutions = 0;
  for (OpCase c : all_cases()) {
    if (c.op.kind != OpKind::conv2d || !fits(c, Precision::int8) || c.samples != 1) continue;
    c.precision = Precision::int8;
    OpRun run(*reference_device(), c);
    ASSERT_EQ(run.status(), Status::ok) << last_error();
    run.fill();
    run.run_forward();
    const std::vector<uint8_t> y = run.byte_values("y");
    const auto inside = std::count_if(y.begin(), y.end(), [](uint8_t byte) { return byte != 0 && byte != 255; });
    EXPECT_GT(static_cast<size_t>(inside), y.size() / 8) << c.name;
    ++convolutions;
  }
  EXPECT_GT(convolutions, 20u);
}

TEST(Harness, SeesAnElementThatIsNotWritten) {
  const Fault left_out = [](const Program& program, const Op& op, std::byte* region) {
    if (op.kind == OpKind::conv2d_backward) std::memset(at<float>(region, program, op.dx) + 7, 0xFF, sizeof(float));
  };
  EXPECT_GT(failures(left_out, everything(Fill::uniform)), 0);
}

TEST(Harness, SeesAWrongWinnerAndAWrongMaskBit) {
  for (Fill fill : {Fill::uniform, Fill::integers}) {
    const Fault winner = [](const Program& program, const Op& op, std::byte* region) {
      uint8_t* argmax = at<uint8_t>(region, program, op.argmax);
      if (op.kind == OpKind::conv2d) argmax[21] = static_cast<uint8_t>((argmax[21] + 1) % 4);
    };
    EXPECT_GT(failures(winner, everything(fill)), 0);
    const Fault bit = [](const Program& program, const Op& op, std::byte* region) {
      if (op.kind == OpKind::conv2d) at<uint8_t>(region, program, op.mask)[3] ^= 0xFF;
    };
    EXPECT_GT(failures(bit, everything(fill)), 0);
    const Fault past_the_end = [](const Program& program, const Op& op, std::byte* region) {
      const uint64_t row_bytes = mask_row_bytes(op.y_extent.elements());
      if (op.kind == OpKind::conv2d) at<uint8_t>(region, program, op.mask)[row_bytes - 1] |= 0x80;
    };
    EXPECT_GT(failures(past_the_end, everything(fill)), 0);
  }
}

TEST(Harness, SeesAByteWrittenPastATensorOrTheScratch) {
  for (size_t i = 0; i < 10; ++i) {
    const Fault behind = [i](const Program& program, const Op&, std::byte* region) {
      region[program.tensors[i].offset + program.tensors[i].bytes] = std::byte{0};
    };
    EXPECT_GT(failures(behind, everything(Fill::uniform)), 0) << "tensor " << i;
    const Fault in_front = [i](const Program& program, const Op&, std::byte* region) {
      region[program.tensors[i].offset - 1] = std::byte{0};
    };
    EXPECT_GT(failures(in_front, everything(Fill::uniform)), 0) << "tensor " << i;
  }
  const Fault scratch = [](const Program& program, const Op&, std::byte* region) {
    region[program.scratch_offset + program.scratch_bytes] = std::byte{0};
  };
  EXPECT_GT(failures(scratch, everything(Fill::uniform)), 0);
}

TEST(Harness, SeesAnInputThatIsChanged) {
  for (TensorId Op::*tensor : {&Op::x, &Op::weight, &Op::bias, &Op::dy}) {
    const Fault changed = [&](const Program& program, const Op& op, std::byte* region) {
      if (op.*tensor != no_tensor) at<uint8_t>(region, program, op.*tensor)[5] ^= 1;
    };
    EXPECT_GT(failures(changed, everything(Fill::uniform)), 0);
  }
}

TEST(Harness, SeesWrongStatistics) {
  const OpCase c = loss_case(10);
  for (double loss : {1e-4, 0.0}) {
    const Fault wrong = [&](const Program& program, const Op& op, std::byte* region) {
      auto* statistics = at<Statistics>(region, program, op.statistics);
      statistics->loss_sum += loss;
      if (loss == 0) ++statistics->correct;
    };
    EXPECT_GT(failures(wrong, c), 0);
  }
}

TEST(Harness, SeesAWeightUpdatedAfterALossThatIsNotFinite) {
  OpCase c = update_case(OpKind::update_sgd, 33);
  c.loss_is_finite = false;
  const Fault updated = [](const Program& program, const Op& op, std::byte* region) {
    at<float>(region, program, op.parameters)[32] *= 0.99f;
  };
  EXPECT_GT(failures(updated, c), 0);
}

TEST(Harness, MeasuresErrorsRelativeToAllElements) {
  EXPECT_EQ(normalised_square_error({1, 2}, {1, 2}), 0);
  EXPECT_NEAR(normalised_square_error({3, 4.05f}, {3, 4}), 0.0025 / 25, 1e-8);
  EXPECT_GT(normalised_square_error({1, std::nanf("")}, {1, 2}), 1e30);
  EXPECT_GT(normalised_square_error({1, 1e-3f}, {1, 0}), 0.9e-6);
}

}  // namespace
}  // namespace lt::ops
