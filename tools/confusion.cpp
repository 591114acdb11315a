#include "tools/confusion.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

namespace lt::tool {
namespace {

double share(uint64_t part, uint64_t whole) { return static_cast<double>(part) / static_cast<double>(whole); }  // 0/0: NaN

std::string percent(double value) {
  if (std::isnan(value)) return "-";
  char text[16];
  std::snprintf(text, sizeof text, "%.2f%%", 100 * value);
  return text;
}

nlohmann::ordered_json number(double value) { return std::isnan(value) ? nlohmann::ordered_json() : nlohmann::ordered_json(value); }

}  // namespace

double Confusion::precision(uint32_t c) const {
  uint64_t taken = 0;
  for (uint32_t label = 0; label < classes_; ++label) taken += count(label, c);
  return share(count(c, c), taken);
}

double Confusion::recall(uint32_t c) const {
  uint64_t there = 0;
  for (uint32_t predicted = 0; predicted < classes_; ++predicted) there += count(c, predicted);
  return share(count(c, c), there);
}

double Confusion::accuracy() const {
  uint64_t right = 0, all = 0;
  for (uint32_t c = 0; c < classes_; ++c) right += count(c, c);
  for (const uint64_t n : counts_) all += n;
  return share(right, all);
}

void Confusion::print(StandardOutput* out) const {
  uint64_t largest = classes_;
  for (const uint64_t n : counts_) largest = std::max(largest, n);
  const int width = static_cast<int>(std::to_string(largest).size()) + 2;
  out->print("true \\ predicted\n     ");
  for (uint32_t c = 0; c < classes_; ++c) out->print("%*u", width, c);
  out->write("\n");
  for (uint32_t label = 0; label < classes_; ++label) {
    out->print("%5u", label);
    for (uint32_t c = 0; c < classes_; ++c) out->print("%*" PRIu64, width, count(label, c));
    out->write("\n");
  }
  out->write("\nclass  precision     recall\n");
  for (uint32_t c = 0; c < classes_; ++c)
    out->print("%5u %10s %10s\n", c, percent(precision(c)).c_str(), percent(recall(c)).c_str());
  out->print("accuracy %s\n", percent(accuracy()).c_str());
}

void Confusion::print_json(StandardOutput* out) const {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array(), precisions = rows, recalls = rows;
  for (uint32_t label = 0; label < classes_; ++label) {
    rows.push_back(nlohmann::ordered_json::array());
    for (uint32_t c = 0; c < classes_; ++c) rows.back().push_back(count(label, c));
    precisions.push_back(number(precision(label)));
    recalls.push_back(number(recall(label)));
  }
  const nlohmann::ordered_json all = {
      {"type", "confusion"}, {"accuracy", number(accuracy())}, {"counts", rows}, {"precision", precisions}, {"recall", recalls}};
  out->write(all.dump() + "\n");
}

}  // namespace lt::tool
