// What tests of the whole backend on the fake GPU begin and end with: a fresh one, and that nothing is left behind, nor any
// complaint.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/cuda/fake.h"
#include "tests/cuda/fake_driver.h"

namespace lt::cuda {

template <class Test>
class OnFakeGpu : public Test {
 protected:
  void SetUp() override { fake::reset(); }
  void TearDown() override {
    fake::reset();
    EXPECT_EQ(fake::live_objects(), 0);
    for (const std::string& complaint : fake::take_complaints()) ADD_FAILURE() << complaint;
  }
};
template <class Parameters>
using FakeGpuTest = OnFakeGpu<::testing::TestWithParam<Parameters>>;

}  // namespace lt::cuda
