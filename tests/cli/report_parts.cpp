// Parts of the report that a page shows only roughly: ticks, spreads, texts cut to fit, curves with gaps.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tools/json_record.h"
#include "tools/report/flat_record.h"
#include "tools/report/line_chart.h"
#include "tools/report/row_chart.h"

using namespace lt::tool;

TEST(Report, TicksAreRound) {
  EXPECT_EQ(round_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(round_ticks(0.5, 3.2, 6), (std::vector<double>{0.5, 1, 1.5, 2, 2.5, 3}));
  EXPECT_EQ(round_ticks(-1, 1, 4), (std::vector<double>{-1, -0.5, 0, 0.5, 1}));
  EXPECT_FALSE(std::signbit(round_ticks(-1e-12, 1, 4)[0]));
}

TEST(Report, SpreadIsOfFiniteValues) {
  const Spread spread = spread_of({4, std::nan(""), 1, 3, 2, 5});
  EXPECT_EQ(spread.count, 5u);
  EXPECT_DOUBLE_EQ(spread.median, 3);
  EXPECT_DOUBLE_EQ(spread.p25, 2);
  EXPECT_DOUBLE_EQ(spread.p95, 4.8);  // numpy.percentile([1, 2, 3, 4, 5], 95)
  EXPECT_EQ(spread_of({}).count, 0u);
}

TEST(Report, TextsAreCutBetweenLetters) {
  EXPECT_EQ(fit_text("short", 200), "short");
  const std::string cut =
      fit_text("\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9", text_width("12345") + letter_height);
  EXPECT_EQ(cut, "\u00e9\u00e9\u00e9\u00e9\u00e9\u2026");
  EXPECT_EQ(escape_markup("a<b>&\"'\x01\xff"), "a&lt;b&gt;&amp;&quot;&#39;\uFFFD\uFFFD");
  EXPECT_EQ(id_text("My Run (2)/x"), "my-run-2-x");
  EXPECT_EQ(id_text("\u00e9"), "run");
}

TEST(Report, LongCurvesAreDrawnFromFewPoints) {
  LineChart chart;
  chart.id = "c", chart.title = "c", chart.has_bands = true;
  Curve curve{"a", 0, false, {}, {}};
  for (int i = 0; i < 100000; ++i) curve.x.push_back(i), curve.y.push_back(i % 2);
  chart.curves = {curve};
  EXPECT_LT(draw(chart).svg.size(), 30000u);
}

TEST(Report, ACurveBreaksWhereNumbersAreMissing) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  LineChart chart;
  chart.id = "c", chart.title = "c";
  chart.curves = {{"a", 0, false, {1, 2, 3, 4, 5}, {1, 2, nan, 2, 1}}};
  const std::string svg = draw(chart).svg, path = svg.substr(svg.find("<path d=\"") + 9);
  const std::string data = path.substr(0, path.find('"'));
  EXPECT_EQ(std::count(data.begin(), data.end(), 'M'), 2);
  EXPECT_EQ(std::count(data.begin(), data.end(), 'L'), 2);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  chart.curves = {{"a", 0, false, {1, 2}, {nan, nan}}};
  EXPECT_NE(draw(chart).svg.find("no such numbers"), std::string::npos);
}

TEST(Report, RecordsAreFlat) {
  FlatRecord record;
  ASSERT_TRUE(record.parse(R"({"a":1,"b":{"a":[2,{"c":3}]},"d":"x","e":null,"f":-1.5,"g":true})"));
  ASSERT_EQ(record.size(), 6u);
  EXPECT_EQ(record.find("a")->whole, 1u);
  EXPECT_EQ(record.find("b")->kind, FlatRecord::Kind::skipped);
  EXPECT_EQ(record.find("c"), nullptr);
  EXPECT_EQ(record.find("d")->text, "x");
  EXPECT_FALSE(record.find("f")->is_whole);
  for (const char* line : {"", "[]", "1", "\"a\"", "null", "{", "{\"a\":1} x", "{\"a\":}", "{\"a\":\"\xff\"}"})
    EXPECT_FALSE(record.parse(line)) << line;
}

TEST(JsonRecord, Base64) {
  const std::pair<const char*, const char*> known[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : known) {  // RFC 4648, section 10
    JsonRecord record("x");
    record.base64("b", reinterpret_cast<const uint8_t*>(plain), std::string_view(plain).size());
    EXPECT_EQ(record.line(), "{\"type\":\"x\",\"b\":\"" + std::string(coded) + "\"}\n");
  }
  const std::vector<uint8_t> large(7000);
  JsonRecord record("x");
  EXPECT_EQ(record.base64("b", large.data(), large.size()).line(), "{\"type\":\"x\"}\n");
}
