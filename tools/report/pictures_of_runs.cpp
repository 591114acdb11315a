// From records to charts. See pictures_of_runs.h.
#include "tools/report/pictures_of_runs.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tools/report/line_chart.h"
#include "tools/report/memory_map.h"
#include "tools/report/mistakes_picture.h"
#include "tools/report/published.h"
#include "tools/report/row_chart.h"

namespace lt::tool {
namespace {

constexpr size_t bands_limit = 3;  // runs in one chart; more would hide each other

// Two curves for each run: training dashed, test solid.
Picture epoch_curves(const std::vector<Run>& runs, const char* id, const char* title, double EpochRecord::*train,
                     double EpochRecord::*test, bool is_fraction) {
  LineChart chart;
  chart.id = id, chart.title = title;
  chart.description =
      "One curve for each run: dashed on the training set, solid on the test set. The table of epochs has the numbers.";
  chart.x_label = "epoch", chart.y_label = is_fraction ? "samples classified rightly" : "mean loss of a sample";
  chart.is_fraction = is_fraction;
  chart.line_styles = "solid: test set \u00b7 dashed: training set";
  for (unsigned i = 0; i < runs.size(); ++i) {
    Curve tested{runs[i].name, i, false, {}, {}}, trained{"", i, true, {}, {}};
    for (const EpochRecord& epoch : runs[i].epochs) {
      tested.x.push_back(static_cast<double>(epoch.epoch)), tested.y.push_back(epoch.*test);
      trained.x.push_back(static_cast<double>(epoch.epoch)), trained.y.push_back(epoch.*train);
    }
    chart.curves.push_back(std::move(trained));
    chart.curves.push_back(std::move(tested));
  }
  return draw(chart);
}

Picture step_curves(const std::vector<Run>& runs, const char* id, const char* title, const char* y_label,
                    double StepRecord::*value, double factor) {
  LineChart chart;
  chart.id = id, chart.title = title;
  chart.x_label = "step", chart.y_label = y_label;
  chart.has_bands = runs.size() <= bands_limit;
  chart.description = chart.has_bands ? "Means of neighbouring steps; the band goes from the least to the largest of them."
                                      : "Means of neighbouring steps.";
  for (unsigned i = 0; i < runs.size(); ++i) {
    if (runs[i].steps.empty()) continue;
    Curve curve{runs[i].name, i, false, {}, {}};
    for (const StepRecord& step : runs[i].steps) {
      curve.x.push_back(static_cast<double>(step.step));
      curve.y.push_back(factor * (step.*value));
    }
    chart.curves.push_back(std::move(curve));
  }
  return draw(chart);
}

// A curve for each side of a comparison but its base: how far it is from the base after each step where that was looked at.
Picture parting_curves(const std::vector<Run>& runs, const char* id, const char* title, const char* y_label,
                       double StepRecord::*distance) {
  LineChart chart;
  chart.id = id, chart.title = title;
  chart.x_label = "step", chart.y_label = y_label;
  chart.description = "One curve for each side of a comparison, from the side that it is compared with.";
  for (unsigned i = 0; i < runs.size(); ++i) {
    if (runs[i].compared_with.empty()) continue;
    Curve curve{runs[i].name + " from " + runs[i].compared_with, i, false, {}, {}};
    for (const StepRecord& step : runs[i].steps) {
      if (!std::isfinite(step.*distance)) continue;
      curve.x.push_back(static_cast<double>(step.step));
      curve.y.push_back(step.*distance);
    }
    if (!curve.x.empty()) chart.curves.push_back(std::move(curve));
  }
  return draw(chart);
}

Picture time_boxes(const std::vector<Run>& runs) {
  std::vector<Box> boxes;
  for (unsigned i = 0; i < runs.size(); ++i) {
    const Spread spread = spread_of(step_seconds(runs[i]));
    if (spread.count == 0) continue;
    boxes.push_back({runs[i].name, short_number(1e3 * spread.median) + " ms", spread, i});
  }
  return draw_boxes("step-spread", "Time of a step",
                    "Box: the middle half of the steps, with the median; line: from the 5th to the 95th of a hundred.",
                    "milliseconds", 1e3, boxes);
}

Picture throughput(const std::vector<Run>& runs, const std::string& recipe, const std::string& id) {
  std::vector<Bar> bars;
  for (unsigned i = 0; i < runs.size(); ++i) {
    const double rate = runs[i].samples_per_second();
    if (runs[i].recipe() == recipe && std::isfinite(rate))
      bars.push_back({runs[i].name + " (" + runs[i].device + ", " + runs[i].precision + ")", short_number(rate), rate,
                      static_cast<int>(i % run_colors)});
  }
  for (const PublishedFigure& figure : published_figures())
    if (figure.recipe == recipe)
      bars.push_back({std::string(figure.program) + ", " + std::string(figure.hardware) + ", published",
                      short_number(figure.samples_per_second), figure.samples_per_second, -1});
  std::stable_sort(bars.begin(), bars.end(), [](const Bar& a, const Bar& b) { return a.value > b.value; });
  return draw_bars(id, "Samples a second: " + recipe,
                   "Training throughput of the runs in colour; in grey what others published, on the hardware named.",
                   bars);
}

// Ids of pictures, which are file names too: the second of a name gets a number.
class Ids {
 public:
  std::string unique(const std::string& wanted) {
    std::string id = wanted;
    for (unsigned i = 2; !taken_.insert(id).second; ++i) id = wanted + "-" + std::to_string(i);
    return id;
  }

 private:
  std::set<std::string> taken_;
};

bool is_same_plan(const Run& a, const Run& b) {
  if (a.tensors.size() != b.tensors.size() || a.ops.size() != b.ops.size()) return false;
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    const TensorRecord &s = a.tensors[i], &t = b.tensors[i];
    if (s.name != t.name || s.offset != t.offset || s.bytes != t.bytes || s.first_op != t.first_op ||
        s.last_op != t.last_op)
      return false;
  }
  return true;
}

}  // namespace

std::vector<double> step_seconds(const Run& run) {
  std::vector<double> seconds;
  const bool skips_start = run.steps.size() > 3;
  for (const StepRecord& step : run.steps)
    if (!skips_start || step.step > 2) seconds.push_back(step.seconds);
  if (seconds.empty())
    for (const EpochRecord& epoch : run.epochs)
      if (epoch.steps != 0) seconds.push_back(epoch.seconds / static_cast<double>(epoch.steps));
  return seconds;
}

ReportPictures draw_pictures_of(const std::vector<Run>& runs) {
  ReportPictures pictures;
  Ids ids;
  const auto any = [&](auto member) {
    return std::any_of(runs.begin(), runs.end(), [&](const Run& run) { return !(run.*member).empty(); });
  };
  if (any(&Run::epochs)) {
    pictures.curves.push_back(epoch_curves(runs, "loss", "Loss", &EpochRecord::train_loss, &EpochRecord::test_loss, false));
    pictures.curves.push_back(
        epoch_curves(runs, "accuracy", "Accuracy", &EpochRecord::train_accuracy, &EpochRecord::test_accuracy, true));
  }
  // Features are computed without a loss, and sequences with CTC have no accuracy.
  const auto any_finite = [&](auto records, auto number) {
    return std::any_of(runs.begin(), runs.end(), [&](const Run& run) {
      return std::any_of((run.*records).begin(), (run.*records).end(),
                         [&](const auto& record) { return std::isfinite(record.*number); });
    });
  };
  if (any_finite(&Run::steps, &StepRecord::loss))
    pictures.curves.push_back(step_curves(runs, "step-loss", "Loss of each step", "loss", &StepRecord::loss, 1));
  if (any(&Run::compared_with)) {
    pictures.curves.push_back(parting_curves(runs, "loss-difference", "How far losses part",
                                             "relative difference of a step's loss", &StepRecord::loss_difference));
    pictures.curves.push_back(parting_curves(runs, "weights-distance", "How far weights part",
                                             "relative distance of all weights", &StepRecord::weights_distance));
  }
  if (any(&Run::steps) || any(&Run::epochs)) pictures.speed.push_back(time_boxes(runs));
  if (any(&Run::steps))
    pictures.speed.push_back(
        step_curves(runs, "step-time", "Time of each step", "milliseconds", &StepRecord::seconds, 1e3));
  std::set<std::string> recipes;
  for (const Run& run : runs)
    if (std::isfinite(run.samples_per_second()) && recipes.insert(run.recipe()).second)
      pictures.speed.push_back(throughput(runs, run.recipe(), ids.unique("throughput-" + id_text(run.recipe()))));
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto is_drawn = [&](size_t drawn) { return is_same_plan(runs[drawn], runs[i]); };
    const auto& drawn = pictures.memory_runs;
    if (runs[i].tensors.empty() || std::any_of(drawn.begin(), drawn.end(), is_drawn)) continue;
    pictures.memory.push_back(draw_memory_map(ids.unique("memory-" + id_text(runs[i].name)), runs[i]));
    pictures.memory_runs.push_back(i);
  }
  for (const Run& run : runs) {
    const auto has_pixels = [](const MistakeRecord& mistake) { return !mistake.pixels.empty(); };
    if (std::any_of(run.mistakes.begin(), run.mistakes.end(), has_pixels))
      pictures.mistakes.push_back(draw_mistakes(ids.unique("mistakes-" + id_text(run.name)), run));
  }
  return pictures;
}

}  // namespace lt::tool
