// The ground floor: status, checked arithmetic, Philox, shuffle.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "src/base/checked.h"
#include "src/base/philox.h"
#include "src/base/shuffle.h"
#include "src/base/status.h"

namespace lt {
namespace {

TEST(Status, KeepsTheLastSentenceOfTheThread) {
  EXPECT_EQ(fail(Status::format, "%s: %d bytes, need %d", "a.idx", 0, 16), Status::format);
  EXPECT_STREQ(last_error(), "a.idx: 0 bytes, need 16");
  (void)fail(Status::io, "while opening: %s", last_error());
  EXPECT_STREQ(last_error(), "while opening: a.idx: 0 bytes, need 16");
  (void)fail(Status::io, "%s", std::string(5000, 'x').c_str());
  EXPECT_EQ(std::strlen(last_error()), error_text_bytes - 1);
}

TEST(Checked, SaysWhereAResultDoesNotFit) {
  EXPECT_EQ(checked_add(UINT64_MAX - 1, 1), UINT64_MAX);
  EXPECT_EQ(checked_add(UINT64_MAX, 1), std::nullopt);
  EXPECT_EQ(checked_multiply(1ull << 32, 1ull << 31), 1ull << 63);
  EXPECT_EQ(checked_multiply(1ull << 32, 1ull << 32), std::nullopt);
  EXPECT_EQ(checked_multiply(60000, 28, 28), 47040000u);
  EXPECT_EQ(checked_multiply(1ull << 32, 1ull << 16, 1ull << 16), std::nullopt);
  EXPECT_EQ(checked_align(65, 64), 128u);
  EXPECT_EQ(checked_align(UINT64_MAX, 64), std::nullopt);
}

// Known answers of the authors' Random123 (kat_vectors, philox4x32 10).
TEST(Philox, GivesTheKnownAnswers) {
  const auto equal = [](Philox4 a, Philox4 b) { return std::memcmp(&a, &b, sizeof a) == 0; };
  EXPECT_TRUE(equal(philox4x32({{0, 0, 0, 0}}, 0), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
  EXPECT_TRUE(equal(philox4x32({{~0u, ~0u, ~0u, ~0u}}, ~0ull), {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
  EXPECT_TRUE(equal(philox4x32({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822ull),
                    {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));
}

TEST(Philox, DropsTheAskedShare) {
  uint32_t kept = 0;
  for (uint32_t element = 0; element < 100000; ++element) kept += dropout_keeps(1, 1, 3, 7, element, 0.4f);
  EXPECT_NEAR(kept / 100000.0, 0.6, 0.01);
}

TEST(Shuffle, IsAPermutationOfAnyCount) {
  for (uint32_t count : {1u, 2u, 3u, 4u, 5u, 63u, 64u, 1000u, 60000u}) {
    const Shuffle shuffle(1, 1, count);
    std::vector<bool> seen(count);
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t at = shuffle.at(i);
      ASSERT_LT(at, count);
      ASSERT_FALSE(seen[at]) << "count " << count << " position " << i;
      seen[at] = true;
    }
  }
}

TEST(Shuffle, DiffersByEpochAndSeed) {
  uint32_t same_epoch = 0, same_seed = 0, fixed = 0;
  for (uint32_t i = 0; i < 60000; ++i) {
    const uint32_t at = Shuffle(1, 1, 60000).at(i);
    same_epoch += at == Shuffle(1, 2, 60000).at(i);
    same_seed += at == Shuffle(2, 1, 60000).at(i);
    fixed += at == i;
  }
  EXPECT_LT(same_epoch, 20u);
  EXPECT_LT(same_seed, 20u);
  EXPECT_LT(fixed, 20u);
}

}  // namespace
}  // namespace lt
