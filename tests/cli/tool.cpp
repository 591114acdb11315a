// Parts of the program that stand alone: numbers read and written, JSON records, the median of step times, exit codes.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/exit_code.h"
#include "tools/json_record.h"
#include "tools/process_clock.h"
#include "tools/process_memory.h"
#include "tools/step_times.h"
#include "tools/text.h"

using namespace lt::tool;

TEST(Text, SizesAreReadWholeOrNotAtAll) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("32MiB"), 32u << 20);
  EXPECT_EQ(parse_size("500MB"), 500000000u);
  EXPECT_EQ(parse_size("3GiB"), uint64_t{3} << 30);
  EXPECT_EQ(parse_size("7B"), 7u);
  EXPECT_EQ(parse_size("18446744073709551615"), std::numeric_limits<uint64_t>::max());
  for (const char* text : {"", "MiB", "-1", "+1", " 1", "1 ", "1 MiB", "32M", "32mib", "1.5GiB", "1e6", "0x10", "1MiBB",
                           "18446744073709551616", "17179869184GiB"})
    EXPECT_FALSE(parse_size(text).has_value()) << text;
}

TEST(Text, NumbersAreFinite) {
  EXPECT_EQ(parse_number("0.01"), 0.01);
  EXPECT_EQ(parse_number("1e-3"), 1e-3);
  for (const char* text : {"", "nan", "inf", "-inf", "1e999", "1,5", "0.1x", " 1", "0x1p3"})
    EXPECT_FALSE(parse_number(text)) << text;
}

TEST(Text, NumbersForPeople) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(3274624), "3,274,624");
  EXPECT_EQ(format_count_of(1, "step"), "1 step");
  EXPECT_EQ(format_bytes(1023), "1023 bytes");
  EXPECT_EQ(format_bytes(24536789), "23.4 MiB");
  EXPECT_EQ(format_figure(1.397), "1.4");
  EXPECT_EQ(format_figure(99.96), "100");
  EXPECT_EQ(format_figure(1230.4), "1230");
  EXPECT_EQ(format_duration(0.0412), "0.041 s");
  EXPECT_EQ(format_duration(247), "4 min 07 s");
  EXPECT_EQ(format_duration(7500), "2 h 05 min");
}

TEST(Text, ClosestWord) {
  const std::vector<std::string> words = {"--epochs", "--log", "--log-every", "--seed"};
  EXPECT_EQ(closest_word("--epoch", words), "--epochs");
  EXPECT_EQ(closest_word("--sede", words), "--seed");  // one swap
  EXPECT_EQ(closest_word("--sale", words), "");
  EXPECT_EQ(closest_word("--foo", words), "");
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("mnits", "mnist"), 1u);
}

TEST(JsonRecord, EveryStringIsValidJson) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const std::string texts[] = {all, "\"\\\n\t\x01", "\xF0\x9F\x98\x80 \xC3\xA9", "\xED\xA0\x80", "\xC3", "\xF4\x90\x80\x80",
                               ""};
  for (const std::string& text : texts) {
    JsonRecord record("test");
    record.text("text", text);
    const auto parsed = nlohmann::json::parse(record.line());  // refuses what is not UTF-8
    EXPECT_EQ(parsed["type"], "test");
    ASSERT_TRUE(parsed["text"].is_string());
  }
  JsonRecord record("test");
  EXPECT_EQ(nlohmann::json::parse(record.text("t", texts[1]).line())["t"], texts[1]);
}

TEST(JsonRecord, NumbersReadBackTheSame) {
  JsonRecord record("test");
  record.number("third", 1.0 / 3).number("tiny", 5e-324).number("nan", std::nan("")).number("inf", INFINITY);
  record.whole("most", std::numeric_limits<uint64_t>::max()).boolean("yes", true).null("none");
  const auto parsed = nlohmann::json::parse(record.line());
  EXPECT_EQ(parsed["third"].get<double>(), 1.0 / 3);
  EXPECT_EQ(parsed["tiny"].get<double>(), 5e-324);
  EXPECT_TRUE(parsed["nan"].is_null() && parsed["inf"].is_null() && parsed["none"].is_null());
  EXPECT_EQ(parsed["most"].get<uint64_t>(), std::numeric_limits<uint64_t>::max());
  EXPECT_TRUE(parsed["yes"].get<bool>());
}

TEST(JsonRecord, AFullRecordStaysWhole) {
  JsonRecord record("test");
  for (int i = 0; i < 50; ++i) record.text("name", std::string(3000, '"'));
  for (int i = 0; i < 1000; ++i) record.whole("number", 1);
  const std::string_view line = record.line();
  EXPECT_TRUE(nlohmann::json::accept(line));
  EXPECT_EQ(line.back(), '\n');
}

TEST(JsonRecord, RoomIsReserved) {
  JsonRecord record("test");
  const size_t offset = record.reserve("hash", 34);
  std::string line(record.line());
  EXPECT_TRUE(nlohmann::json::parse(line)["hash"].is_null());
  line.replace(offset, 34, "\"0123456789abcdef0123456789abcdef\"");
  EXPECT_EQ(nlohmann::json::parse(line)["hash"], "0123456789abcdef0123456789abcdef");
}

TEST(StepTimes, LeavesOutTheFirstTwoOfMoreThanThree) {
  StepTimes times;
  EXPECT_TRUE(std::isnan(times.median()));
  times.add(9, 1);
  EXPECT_EQ(times.median(), 9);
  times.add(7, 1);
  EXPECT_EQ(times.median(), 8);
  times.add(1, 1);
  EXPECT_EQ(times.median(), 7);
  times.add(3, 1);
  EXPECT_EQ(times.median(), 2);
  times.add(5, 1);
  EXPECT_EQ(times.median(), 3);
}

TEST(StepTimes, LongRunsKeepAnEvenSample) {
  StepTimes times;
  const uint64_t steps = 5 * StepTimes::capacity + 17;
  for (uint64_t i = 0; i < steps; ++i) times.add(static_cast<double>(i), 1);
  EXPECT_EQ(times.count(), steps);
  // Every eighth step is kept at that length.
  EXPECT_NEAR(times.median(), static_cast<double>(steps + 1) / 2, 8);
}

TEST(ExitCode, DependsOnWhoseFileItWas) {
  EXPECT_EQ(exit_code(LT_ERR_FORMAT, Stage::plan), ExitCode::usage);
  EXPECT_EQ(exit_code(LT_ERR_FORMAT, Stage::data), ExitCode::data);
  EXPECT_EQ(exit_code(LT_ERR_FORMAT, Stage::weights), ExitCode::weights);
  EXPECT_EQ(exit_code(LT_ERR_IO, Stage::data), ExitCode::data);
  EXPECT_EQ(exit_code(LT_ERR_IO, Stage::save), ExitCode::io);
  EXPECT_EQ(exit_code(LT_ERR_MISMATCH, Stage::training), ExitCode::data);
  EXPECT_EQ(exit_code(LT_ERR_STATE, Stage::training), ExitCode::internal);
  for (const Stage stage : {Stage::plan, Stage::data, Stage::session, Stage::weights, Stage::training, Stage::save}) {
    EXPECT_EQ(exit_code(LT_ERR_NOMEM, stage), ExitCode::memory);
    EXPECT_EQ(exit_code(LT_ERR_NUMERIC, stage), ExitCode::numeric);
    EXPECT_EQ(exit_code(LT_ERR_DEVICE, stage), ExitCode::device);
    EXPECT_EQ(exit_code(LT_ERR_INTERNAL, stage), ExitCode::internal);
  }
}

TEST(Process, FiguresOfThisProcess) {
  const uint64_t before = anonymous_bytes();
  ASSERT_GT(before, 0u);
  std::vector<char> touched(16 << 20, 1);
  EXPECT_GE(anonymous_bytes(), before + touched.size() / 2);
  EXPECT_GE(peak_resident_bytes(), anonymous_bytes());
  const double start = seconds_since_exec();
  EXPECT_GE(seconds_since_exec(), start);
}
