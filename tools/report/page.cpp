// The sections of the page. See page.h.
#include "tools/report/page.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "src/lean_train.h"
#include "tools/report/mistakes_picture.h"
#include "tools/report/published.h"
#include "tools/report/row_chart.h"
#include "tools/report/table.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

constexpr std::string_view style =
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--paper);color:var(--ink);"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
    "header,main,footer{max-width:78rem;margin:0 auto;padding:0 1rem}"
    "h1{font-size:1.5rem;margin:1.2rem 0 .2rem}h2{font-size:1.2rem;margin:2.2rem 0 .8rem;padding-bottom:.3rem;"
    "border-bottom:1px solid var(--grid)}"
    "p{margin:.4rem 0;max-width:44rem}.soft{color:var(--soft)}"
    ".pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,22rem),1fr));gap:1.6rem 2rem;"
    "align-items:start}"
    ".pictures.large{grid-template-columns:repeat(auto-fill,minmax(min(100%,32rem),1fr))}"
    ".picture{display:block;width:100%;height:auto;max-width:40rem;overflow:visible}"
    ".scroll{overflow-x:auto;margin:.8rem 0}.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--c0)}"
    "table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}"
    "caption{text-align:left;font-weight:600;padding:.2rem 0}"
    "th,td{text-align:left;padding:.25rem .65rem .25rem 0;border-bottom:1px solid var(--grid);white-space:nowrap;"
    "vertical-align:top}thead th{color:var(--soft);font-weight:600;white-space:normal;vertical-align:bottom}tbody "
    "th{font-weight:500}.n{text-align:right}"
    "summary{cursor:pointer;padding:.35rem 0;font-size:.9rem;color:var(--c0)}"
    "ul{padding-left:1.2rem;margin:.4rem 0}li,summary{overflow-wrap:anywhere}"
    ".swatch{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}"
    "footer{margin-top:2.5rem;padding-bottom:2rem;color:var(--soft);font-size:.875rem}"
    "@media print{body{font-size:11pt}header,main,footer{max-width:none;padding:0}"
    ".pictures,.pictures.large{grid-template-columns:1fr 1fr}.pictures>*,tr{break-inside:avoid}h2{break-after:avoid}"
    ".scroll{overflow:visible}table{font-size:7pt}th,td{white-space:normal;overflow-wrap:anywhere;padding-right:.3rem}"
    "td.n{white-space:nowrap}tbody th{min-width:6em}thead "
    "th{overflow-wrap:normal}details::details-content{content-visibility:visible;height:auto}"
    "summary{display:none}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}";

std::string milliseconds(double seconds) { return short_number(1e3 * seconds); }

std::string percent(double fraction) {
  if (!std::isfinite(fraction)) return "\u2013";
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.2f %%", 100 * fraction);
  return digits;
}

std::string bytes_or_dash(double bytes) {
  return std::isfinite(bytes) ? format_bytes(static_cast<uint64_t>(bytes)) : "\u2013";
}

std::string duration_or_dash(double seconds) {
  return std::isfinite(seconds) && seconds >= 0 ? format_duration(seconds) : "\u2013";
}

std::string heading(const std::string& text) { return "<h2>" + escape_markup(text) + "</h2>\n"; }

std::string grid(const std::vector<Picture>& pictures, const char* classes) {
  std::string html = std::string("<div class=\"") + classes + "\">\n";
  for (const Picture& picture : pictures) html += picture.svg + "\n";
  return html + "</div>\n";
}

// Columns in which no run has a number are left out: a comparison has no epochs, and what it took in memory is all sides'.
std::string overview(const std::vector<Run>& runs) {
  const std::vector<std::string> columns = {"run",
                                            "model",
                                            "data",
                                            "device",
                                            "kernels",
                                            "precision",
                                            ">epochs",
                                            ">best test accuracy",
                                            ">samples/s",
                                            ">median step, ms",
                                            ">first step after",
                                            ">arena",
                                            ">private memory",
                                            ">total time",
                                            "status"};
  std::vector<std::vector<std::string>> rows;
  for (const Run& run : runs)
    rows.push_back({run.name, run.recipe(), run.data, run.device, run.kernels, run.precision,
                    run.epochs.empty() ? "\u2013" : std::to_string(run.epochs.size()), percent(run.best_test_accuracy),
                    short_number(run.samples_per_second()), milliseconds(run.median_step_seconds),
                    duration_or_dash(run.first_step_seconds), bytes_or_dash(run.arena_bytes),
                    bytes_or_dash(run.peak_anonymous_bytes), duration_or_dash(run.seconds), run.status});
  const auto shown = [&](const std::vector<std::string>& cells) {
    std::vector<std::string> kept;
    for (size_t i = 0; i < cells.size(); ++i)
      if (std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row[i] != "\u2013"; }))
        kept.push_back(cells[i]);
    return kept;
  };
  Table table("Runs", shown(columns));
  for (const auto& row : rows) table.row(shown(row));
  std::string html = table.html(), notes;
  for (const Run& run : runs)
    for (const std::string& note : run.notes) notes += "<li>" + escape_markup(run.name + ": " + note) + "</li>\n";
  return notes.empty() ? html : html + "<ul>\n" + notes + "</ul>\n";
}

std::string epoch_table(const std::vector<Run>& runs) {
  Table table("Epochs", {"run", ">epoch", ">training loss", ">training accuracy", ">test loss", ">test accuracy",
                         ">seconds", ">samples/s"});
  for (const Run& run : runs)
    for (const EpochRecord& epoch : run.epochs)
      table.row({run.name, std::to_string(epoch.epoch), short_number(epoch.train_loss), percent(epoch.train_accuracy),
                 short_number(epoch.test_loss), percent(epoch.test_accuracy), short_number(epoch.seconds),
                 short_number(epoch.samples_per_second)});
  return table.is_empty() ? "" : folded("The epochs as a table", table.html());
}

// After the steps where weights were looked at.
std::string parting_table(const std::vector<Run>& runs) {
  Table table("How far the sides of a comparison part",
              {"side", "from", ">step", ">loss", ">relative difference of the loss", ">relative distance of the weights"});
  for (const Run& run : runs)
    for (const StepRecord& step : run.steps)
      if (!run.compared_with.empty() && std::isfinite(step.weights_distance))
        table.row({run.name, run.compared_with, std::to_string(step.step), short_number(step.loss),
                   short_number(step.loss_difference), short_number(step.weights_distance)});
  return table.is_empty() ? "" : folded("How the sides part as a table", table.html());
}

std::string time_table(const std::vector<Run>& runs) {
  Table table("Time of a step, milliseconds", {"run", "measured", ">count", ">5 %", ">25 %", ">median", ">75 %", ">95 %"});
  for (const Run& run : runs) {
    const Spread spread = spread_of(step_seconds(run));
    if (spread.count == 0) continue;
    table.row({run.name, run.steps.empty() ? "means of epochs" : "single steps", std::to_string(spread.count),
               milliseconds(spread.p5), milliseconds(spread.p25), milliseconds(spread.median), milliseconds(spread.p75),
               milliseconds(spread.p95)});
  }
  return table.is_empty() ? "" : folded("The step times as a table", table.html());
}

std::string published_table(const std::vector<Run>& runs) {
  std::set<std::string> recipes;
  for (const Run& run : runs) recipes.insert(run.recipe());
  Table table("Published figures",
              {"model", "program", "hardware", "as published", ">samples/s", ">test accuracy", "source"});
  for (const PublishedFigure& figure : published_figures())
    if (recipes.contains(std::string(figure.recipe)))
      table.row({std::string(figure.recipe), std::string(figure.program), std::string(figure.hardware),
                 std::string(figure.figure), short_number(figure.samples_per_second),
                 figure.test_accuracy < 0 ? "\u2013" : percent(figure.test_accuracy), std::string(figure.source)});
  if (table.is_empty()) return "";
  return "<p class=\"soft\">Grey bars are figures that others published, on the hardware of their day: they say how the "
         "field stood, and nothing about that hardware with today's programs.</p>" +
         folded("The published figures and their sources", table.html());
}

std::string memory_tables(const std::vector<Run>& runs, const ReportPictures& pictures) {
  std::string html;
  for (const size_t i : pictures.memory_runs) {
    const Run& run = runs[i];
    Table ops("Operations: " + run.name, {">op", "layer", "operation", "kernel", ">scratch, bytes"});
    for (size_t op = 0; op < run.ops.size(); ++op)
      ops.row({std::to_string(op), run.ops[op].layer, run.ops[op].operation, run.ops[op].kernel,
               format_count(run.ops[op].scratch_bytes)});
    Table tensors("Tensors: " + run.name, {"tensor", ">offset", ">bytes", ">first op", ">last op", "segment"});
    for (const TensorRecord& tensor : run.tensors)
      tensors.row({tensor.name, format_count(tensor.offset), format_count(tensor.bytes), std::to_string(tensor.first_op),
                   std::to_string(tensor.last_op), tensor.segment});
    html += folded("Operations and tensors of " + run.name + " as tables", ops.html() + tensors.html());
  }
  return html;
}

std::string mistakes_table(const std::vector<Run>& runs) {
  Table table("Test samples of the largest loss", {"run", ">index", "label", "taken for", ">with probability", ">loss"});
  for (const Run& run : runs)
    for (const MistakeRecord& mistake : run.mistakes)
      table.row({run.name, std::to_string(mistake.index), class_name(run.data, mistake.label),
                 class_name(run.data, mistake.predicted), percent(mistake.probability), short_number(mistake.loss)});
  return table.is_empty() ? "" : folded("The mistakes as a table", table.html());
}

// What all runs agree on in one list, the rest as a table: differences are what a reader of several runs looks for.
std::string settings(const std::vector<Run>& runs) {
  std::vector<std::string> names;
  std::vector<std::map<std::string, std::string>> values(runs.size());
  for (size_t i = 0; i < runs.size(); ++i)
    for (const auto& [name, value] : runs[i].settings) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
      values[i].emplace(name, value);
    }
  Table same(runs.size() == 1 ? "Settings" : "Settings that all runs share", {"setting", "value"});
  std::vector<std::string> columns = {"setting"};
  for (const Run& run : runs) columns.push_back(run.name);
  Table different("Settings that differ", columns);
  for (const std::string& name : names) {
    std::vector<std::string> cells = {name};
    for (const auto& of_run : values) {
      const auto found = of_run.find(name);
      cells.push_back(found == of_run.end() ? "\u2013" : found->second);
    }
    const bool is_same = std::equal(cells.begin() + 2, cells.end(), cells.begin() + 1);
    is_same ? same.row({name, cells[1]}) : different.row(cells);
  }
  return (different.is_empty() ? "" : different.html()) + (same.is_empty() ? "" : same.html());
}

}  // namespace

std::string report_page(const std::vector<Run>& runs, const ReportPictures& pictures) {
  std::string title = runs.size() == 1 ? runs[0].name : format_count_of(runs.size(), "run");
  title = "lean-train report: " + title;
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>" +
      escape_markup(title) + "</title>\n<style>" + std::string(picture_style()) + std::string(style) +
      "</style>\n</head>\n<body>\n<header><h1>" + escape_markup(title) + "</h1></header>\n<main>\n";
  html += overview(runs);
  if (!pictures.curves.empty())
    html += heading("Learning") + grid(pictures.curves, "pictures") + epoch_table(runs) + parting_table(runs);
  if (!pictures.speed.empty())
    html += heading("Speed") + grid(pictures.speed, "pictures") + time_table(runs) + published_table(runs);
  if (!pictures.memory.empty())
    html += heading("Memory") +
            "<p class=\"soft\">The memory block of a run, known before its first step: what lives where in it, and from "
            "which operation of a step to which.</p>\n" +
            grid(pictures.memory, "pictures large") + memory_tables(runs, pictures);
  if (const std::string table = mistakes_table(runs); !table.empty())
    html += heading("What was taken for something else") +
            (pictures.mistakes.empty() ? "" : grid(pictures.mistakes, "pictures large")) + table;
  html += heading("Settings") + settings(runs);
  html += "</main>\n<footer><p>Written by lean-train " + escape_markup(lt_build_info()) +
          ". Accuracies are of the test set unless said otherwise; private memory is what the process alone holds, mapped "
          "files not counted.</p></footer>\n</body>\n</html>\n";
  return html;
}

}  // namespace lt::tool
