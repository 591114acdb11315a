// What the cases find wrong fails the test that runs them.
#include <gtest/gtest.h>

#include "tools/selftest/op_fixture.h"

namespace lt::ops {

void report_failure(const std::string& sentence) { FAIL() << sentence; }

}  // namespace lt::ops
