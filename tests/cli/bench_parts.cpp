// Parts of `lean-train bench`: statistics, lists, when a machine counts as noisy, and every form of a result.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "tools/bench/child.h"
#include "tools/bench/formats.h"
#include "tools/bench/grid.h"
#include "tools/bench/load.h"
#include "tools/bench/result.h"
#include "tools/bench/statistics.h"
#include "tools/text.h"
#include "tools/what.h"

using namespace lt::tool;

namespace {

std::vector<double> one_to(int most) {
  std::vector<double> values(static_cast<size_t>(most));
  std::iota(values.rbegin(), values.rend(), 1.0);  // from the greatest to the least: order does not matter
  return values;
}

using Texts = std::vector<std::string>;
using Numbers = std::vector<uint32_t>;

// Two repetitions of 10 ms steps, as on a quiet machine of 1 TFLOP/s.
BenchResult a_result() {
  BenchResult result;
  result.date = "2026-01-02T03:04:05Z";
  result.repetitions = 2;
  result.warm_up_steps = 3;
  result.machine.cpu = "A \"Fast\" CPU";
  result.machine.cpus = result.machine.cpus_usable = 2;
  result.machine.memory_bytes = uint64_t{1} << 34;
  result.machine.caches = {{1, "data", 32768, 1}, {1, "instruction", 32768, 1}};
  const MachinePeak peak = {"AVX2", 1e12, "", 0, 2e10};
  result.peaks = {{2, peak, peak}};
  Row& row = result.rows.emplace_back();
  row.asked.model = "mnist/cnn-same";
  Measurement one;
  one.device = "cpu";
  one.kernels = "highway AVX2, a|b";
  one.precision = "fp32";
  one.threads = 2;
  one.batch = 64;
  one.arena_bytes = 1 << 20;
  one.step_seconds = {0.009, 0.010, 0.011};
  one.timed_steps = 3;
  one.timed_seconds = 0.03;
  one.data_wait_seconds = 0.003;
  one.nominal_operations = 5e9;
  one.real_operations = 4e9;
  one.first_step_seconds = 0.05;
  one.peak_anonymous_bytes = 3 << 20;
  row.repetitions = {one, one};
  row.repetitions[1].peak_anonymous_bytes = 4 << 20;
  Row& missing = result.rows.emplace_back();
  missing.asked.model = "cifar10";
  missing.asked.kernels = "onednn";
  missing.state = RowState::unavailable;
  missing.reason = "oneDNN, version 2 or 3, was not found";
  return result;
}

}  // namespace

TEST(Statistics, OfNothingAndOfOne) {
  EXPECT_EQ(statistics_of({}).count, 0u);
  EXPECT_EQ(statistics_of({}).median, 0);
  const SampleStatistics one = statistics_of({3});
  EXPECT_EQ(one.median, 3);
  EXPECT_EQ(one.p95, 3);
  EXPECT_EQ(one.mean, 3);
  EXPECT_EQ(one.deviation, 0);
}

TEST(Statistics, MedianOfOddAndEvenCounts) {
  EXPECT_EQ(median_of({5, 1, 3}), 3);
  EXPECT_EQ(median_of({4, 1, 3, 2}), 2.5);
}

TEST(Statistics, NearestRank) {
  EXPECT_EQ(statistics_of(one_to(100)).p95, 95);
  EXPECT_EQ(statistics_of(one_to(20)).p95, 19);
  EXPECT_EQ(statistics_of(one_to(19)).p95, 19);
  EXPECT_EQ(statistics_of(one_to(21)).p95, 20);
  EXPECT_EQ(statistics_of(one_to(101)).p95, 96);
}

TEST(Statistics, DeviationOfASample) {
  const SampleStatistics found = statistics_of({2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_DOUBLE_EQ(found.mean, 5);
  EXPECT_DOUBLE_EQ(found.deviation, std::sqrt(32.0 / 7));
  EXPECT_EQ(found.least, 2);
  EXPECT_EQ(found.most, 9);
}

TEST(Statistics, Spread) {
  EXPECT_DOUBLE_EQ(spread_of({100, 90, 110}), 0.2);
  EXPECT_EQ(spread_of({7}), 0);
  EXPECT_EQ(spread_of({}), 0);
}

TEST(Lists, Words) {
  EXPECT_EQ(split_list("cpu"), Texts({"cpu"}));
  EXPECT_EQ(split_list("cpu,cuda:1,reference"), Texts({"cpu", "cuda:1", "reference"}));
  for (const char* text : {"", ",", "cpu,", ",cpu", "cpu,,cuda", "cpu,cuda,cpu"}) EXPECT_FALSE(split_list(text)) << text;
}

TEST(Lists, WholeNumbers) {
  EXPECT_EQ(split_numbers("64", 100), Numbers({64}));
  EXPECT_EQ(split_numbers("1,100", 100), Numbers({1, 100}));
  for (const char* text : {"", "0", "101", "64,", "6x", "-1", "1,1", "01,1", "4294967297"})
    EXPECT_FALSE(split_numbers(text, 100)) << text;
}

TEST(Lists, EveryCombinationOnce) {
  Lists lists;
  lists.models = {"a", "b"};
  lists.precisions = {"fp32", "bf16"};
  lists.threads = {1, 2};
  const std::vector<Configuration> all = combinations(lists);
  ASSERT_EQ(all.size(), 8u);
  EXPECT_EQ(all[0].device, "");
  EXPECT_EQ(all[0].batch, 0u);
  std::string order;
  for (const Configuration& one : all) order += one.model + one.precision + std::to_string(one.threads) + " ";
  EXPECT_EQ(order, "afp321 afp322 abf161 abf162 bfp321 bfp322 bbf161 bbf162 ");
}

TEST(Lists, WordsForModels) {
  EXPECT_EQ(model_of_word("mnist"), "mnist/cnn-same");
  EXPECT_EQ(model_of_word("rnn"), "rnn/lstm-1x320");
  EXPECT_EQ(model_of_word("cifar10"), "cifar10");
  EXPECT_EQ(model_of_word("mnist/"), "");
  EXPECT_EQ(model_of_word("ops"), "");
}

TEST(Figures, OfTwoRepetitions) {
  const BenchResult result = a_result();
  const RowFigures figures = figures_of(result, result.rows[0]);
  EXPECT_EQ(figures.step.count, 6u);
  EXPECT_DOUBLE_EQ(figures.step.median, 0.010);
  EXPECT_EQ(figures.repetition_medians, std::vector<double>({0.010, 0.010}));
  EXPECT_DOUBLE_EQ(figures.samples_per_second, 6400);
  EXPECT_DOUBLE_EQ(figures.nominal_share, 0.5);
  EXPECT_DOUBLE_EQ(figures.real_share, 0.4);
  EXPECT_DOUBLE_EQ(figures.data_wait_share, 0.1);
  EXPECT_EQ(figures.peak_anonymous_bytes, 4u << 20);
}

TEST(Figures, SharesNeedThePeakOfTheirDeviceAndPrecision) {
  BenchResult result = a_result();
  result.peaks[0].after.bf16_flops_per_second = 4e12;
  result.rows[0].repetitions[0].precision = "bf16";
  EXPECT_DOUBLE_EQ(figures_of(result, result.rows[0]).nominal_share, 0.125);
  result.rows[0].repetitions[0].device = "cuda:0";
  EXPECT_EQ(figures_of(result, result.rows[0]).nominal_share, -1);
  result.rows[0].repetitions[0].device = "cpu";
  result.rows[0].repetitions[0].threads = 3;
  EXPECT_EQ(figures_of(result, result.rows[0]).nominal_share, -1);
}

TEST(Noise, IsToldByEachOfItsSigns) {
  const BenchResult quiet = a_result();
  EXPECT_EQ(noise_in(quiet, quiet.rows[0]), "");
  BenchResult noisy = a_result();
  noisy.rows[0].repetitions[1].step_seconds = {0.012};
  EXPECT_EQ(noise_in(noisy, noisy.rows[0]), "repetitions' medians are 18 % apart");
  noisy = a_result();
  noisy.rows[0].load = {0.25, 0.1};
  EXPECT_EQ(noise_in(noisy, noisy.rows[0]),
            "other processes took 25 % of the processors; the hypervisor took 10 % of the processors");
  noisy = a_result();
  noisy.rows[0].waited = 0.5;
  EXPECT_EQ(noise_in(noisy, noisy.rows[0]), "threads waited for a processor 50 % of the time");
  noisy = a_result();
  noisy.peaks[0].after.flops_per_second = 0.8e12;
  EXPECT_EQ(noise_in(noisy, noisy.rows[0]), "the machine's peak changed by 20 %");
}

TEST(Noise, LoadIsWhatOthersTook) {
  const MachineTime begin = {10, 1, 100}, end = {16, 2, 120};
  const Load load = load_between(begin, end, 4);
  EXPECT_DOUBLE_EQ(load.others, 0.1);
  EXPECT_DOUBLE_EQ(load.stolen, 0.05);
  EXPECT_EQ(load_between(begin, end, 6.5).others, 0);  // clocks of 10 ms
  EXPECT_EQ(load_between(begin, begin, 0).others, 0);
}

TEST(Formats, Words) {
  BenchFormat format = BenchFormat::table;
  EXPECT_TRUE(format_of_word("jsonl", &format));
  EXPECT_EQ(format, BenchFormat::json_lines);
  EXPECT_TRUE(format_of_word("md", &format));
  EXPECT_EQ(format, BenchFormat::markdown);
  for (const char* word : {"", "JSON", "markdown", "xml"}) EXPECT_FALSE(format_of_word(word, &format)) << word;
}

TEST(Formats, CsvFields) {
  EXPECT_EQ(csv_field("plain"), "plain");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"x\""), "\"say \"\"x\"\"\"");
  const std::string text = format_result(a_result(), BenchFormat::csv);
  EXPECT_NE(text.find("\r\nmeasured,mnist/cnn-same,cpu,lean-train,\"highway AVX2, a|b\",fp32,2,64,0.01,"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\"oneDNN, version 2 or 3, was not found\"\r\n"), std::string::npos) << text;
}

TEST(Formats, TableColumnsStandBelowEachOther) {
  const std::string text = format_result(a_result(), BenchFormat::table);
  const size_t table = text.find("\n\n") + 2;
  const auto line = [&](int number) {
    size_t at = table;
    for (; number > 0; --number) at = text.find('\n', at) + 1;
    return text.substr(at, text.find('\n', at) - at);
  };
  EXPECT_EQ(line(0).find("kernels"), line(1).find("highway"));
  EXPECT_EQ(line(0).find("kernels"), line(2).find("onednn"));
  EXPECT_NE(line(1).find("10.000"), std::string::npos);
  EXPECT_NE(line(1).find("50.0 %"), std::string::npos);
  EXPECT_NE(line(2).find("unavailable: oneDNN"), std::string::npos);
}

TEST(Formats, MarkdownKeepsItsColumns) {
  const std::string text = format_result(a_result(), BenchFormat::markdown);
  EXPECT_NE(text.find("| mnist/cnn-same | cpu | highway AVX2, a\\|b | fp32 | 2 | 64 | 10.000 | 11.000 |"),
            std::string::npos)
      << text;
}

TEST(Formats, JsonHasTheSamplesAndTheReasons) {
  const auto json = nlohmann::json::parse(format_result(a_result(), BenchFormat::json));
  EXPECT_EQ(json["rows"][0]["repetitions"][1]["step_seconds"], nlohmann::json({0.009, 0.010, 0.011}));
  EXPECT_EQ(json["rows"][0]["median_step_seconds"], 0.010);
  EXPECT_EQ(json["rows"][0]["quiet"], true);
  EXPECT_EQ(json["rows"][1]["status"], "unavailable");
  EXPECT_EQ(json["rows"][1]["reason"], "oneDNN, version 2 or 3, was not found");
  EXPECT_EQ(json["machine"]["cpu"], "A \"Fast\" CPU");
  EXPECT_TRUE(json["published"].empty());
}

TEST(Formats, PublishedFiguresStandBesideTheirModel) {
  BenchResult result = a_result();
  result.published = true;
  const auto json = nlohmann::json::parse(format_result(result, BenchFormat::json));
  size_t of_digits = 0;
  for (const auto& figure : json["published"]) of_digits += figure["model"] == "mnist/cnn-same" ? 1 : 0;
  EXPECT_EQ(of_digits, 3u);
  for (const auto& figure : json["published"]) EXPECT_NE(figure["model"], "imdb");
  EXPECT_NE(format_result(result, BenchFormat::markdown).find("| GTX 1080 Ti | PyTorch |"), std::string::npos);
}

TEST(Measurements, TravelAsJson) {
  Measurement one = a_result().rows[0].repetitions[0], other;
  one.device_name = "bytes that are no text: \xff";
  ASSERT_TRUE(from_json(to_json(one), &other));
  EXPECT_EQ(other.step_seconds, one.step_seconds);
  EXPECT_EQ(other.arena_bytes, one.arena_bytes);
  for (const char* text : {"", "{", "[]", "{}", "{\"device\": 3}"}) EXPECT_FALSE(from_json(text, &other)) << text;
}

TEST(Children, AreThisProgram) {
  const ChildResult child = run_this_program({"--gtest_filter=Statistics.Spread", "--gtest_brief=1"}, 60);
  EXPECT_TRUE(child.started);
  EXPECT_EQ(child.exit_code, 0);
  EXPECT_NE(child.output.find("1 test"), std::string::npos) << child.output;
  EXPECT_GT(child.seconds, 0);
}

TEST(Children, AreEndedWhenTheirTimeIsOver) {
  const ChildResult child =
      run_this_program({"--gtest_filter=Sleeper.DISABLED_ForAMinute", "--gtest_also_run_disabled_tests"}, 0.3);
  EXPECT_TRUE(child.timed_out);
  EXPECT_EQ(child.exit_code, 128 + 9);
}

TEST(Sleeper, DISABLED_ForAMinute) {
  timespec minute = {60, 0};
  nanosleep(&minute, nullptr);
}
