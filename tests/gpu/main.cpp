// The main function of the programs that need a GPU: exit status 77, which Meson counts as skipped, and the reason where
// the machine has none. Where it has one but not the vendor's libraries, the tests that need them are left out, and that is
// said.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "backends/cuda/context.h"
#include "tests/gpu/counted_libraries.h"

namespace {

constexpr int skipped = 77;

// By the word in the names of their tests.
void leave_out(const char* word, const char* why) {
  std::string filter = testing::GTEST_FLAG(filter);
  filter += filter.find('-') == std::string::npos ? "-" : ":";
  testing::GTEST_FLAG(filter) = filter + "*" + word + "*";
  std::printf("left out: tests of %s kernels: %s\n", word, why);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace lt;
  testing::InitGoogleTest(&argc, argv);
  if (testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
  const cuda::DriverTable* driver = nullptr;
  int version = 0, devices = 0;
  if (!ok(cuda::start_driver(cuda::gpu_libraries(), &driver, &version, &devices))) {
    std::printf("skipped: %s\n", last_error());
    return skipped;
  }
  const cuda::CudnnTable* cudnn = nullptr;
  const cuda::CublasLtTable* cublaslt = nullptr;
  if (!ok(cuda::gpu_libraries().cudnn(&cudnn)) || !ok(cuda::gpu_libraries().cublaslt(&cublaslt))) {
    const std::string why = last_error();
    leave_out("cudnn", why.c_str());
    leave_out("auto", why.c_str());
  }
  return RUN_ALL_TESTS();
}
