// Rows for people and for spreadsheets: see formats.h.
#include "tools/bench/formats.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "src/lean_train.h"
#include "tools/report/published.h"
#include "tools/text.h"
#include "tools/text_table.h"

namespace lt::tool {
namespace {

using Cells = std::vector<std::string>;

template <class... Values>
std::string text_of(const char* format, Values... values) {
  char text[128];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string share(double value) { return value < 0 ? "-" : text_of("%.1f %%", 100 * value); }
std::string or_word(const std::string& text, const char* word) { return text.empty() ? word : text; }
std::string number_or(uint32_t number, const char* word) { return number == 0 ? word : std::to_string(number); }

const Cells headings = {
    "model",        "device",           "kernels",   "precision",        "threads", "batch",     "ms a step",
    "p95",          "mean ± deviation", "samples/s", "of peak, nominal", "real",    "data wait", "arena, MiB",
    "private, MiB", "first step, s",    "note"};

std::string note_of(const BenchResult& result, const Row& row) {
  if (row.state != RowState::measured) return std::string(row_state_name(row.state)) + ": " + row.reason;
  const std::string noise = noise_in(result, row);
  return noise.empty() ? "" : "noisy: " + noise;
}

Cells cells_of(const BenchResult& result, const Row& row) {
  const Configuration& asked = row.asked;
  if (row.repetitions.empty()) {
    Cells cells = {asked.model,
                   or_word(asked.device, "auto"),
                   or_word(asked.kernels, "auto"),
                   or_word(asked.precision, "fp32"),
                   number_or(asked.threads, "-"),
                   number_or(asked.batch, "-")};
    cells.resize(headings.size() - 1, "-");
    cells.push_back(note_of(result, row));
    return cells;
  }
  const RowFigures figures = figures_of(result, row);
  const Measurement& one = row.repetitions[0];
  const auto ms = [](double seconds) { return text_of("%.3f", 1e3 * seconds); };
  const auto mib = [](uint64_t bytes) { return text_of("%.1f", static_cast<double>(bytes) / (1 << 20)); };
  return {asked.model,
          one.device,
          one.kernels,
          one.precision,
          std::to_string(one.threads),
          std::to_string(one.batch),
          ms(figures.step.median),
          ms(figures.step.p95),
          ms(figures.step.mean) + " ± " + ms(figures.step.deviation),
          format_figure(figures.samples_per_second),
          share(figures.nominal_share),
          share(figures.real_share),
          share(figures.data_wait_share),
          mib(one.arena_bytes),
          mib(figures.peak_anonymous_bytes),
          text_of("%.3f", figures.first_step_seconds),
          note_of(result, row)};
}

Cells cells_of(const PublishedFigure& figure) {
  Cells cells(headings.size(), "-");
  cells[0] = figure.recipe;
  cells[1] = figure.hardware;
  cells[2] = figure.program;
  cells[9] = format_figure(figure.samples_per_second);
  cells.back() = "published: " + std::string(figure.figure) + "; " + std::string(figure.source);
  return cells;
}

// Ours, and behind a model's last row the published ones.
std::vector<Cells> all_rows(const BenchResult& result) {
  std::vector<Cells> rows;
  for (size_t i = 0; i < result.rows.size(); ++i) {
    const std::string& model = result.rows[i].asked.model;
    rows.push_back(cells_of(result, result.rows[i]));
    if (!result.published || (i + 1 < result.rows.size() && result.rows[i + 1].asked.model == model)) continue;
    for (const PublishedFigure& figure : published_figures())
      if (figure.recipe == model) rows.push_back(cells_of(figure));
  }
  return rows;
}

std::vector<std::string> about(const BenchResult& result) {
  const Machine& machine = result.machine;
  std::string caches;
  for (const Cache& cache : machine.caches)
    if (cache.type != "instruction")
      caches += text_of("%sL%u %s", caches.empty() ? "" : ", ", cache.level, format_bytes(cache.bytes).c_str());
  std::vector<std::string> lines;
  lines.push_back(or_word(machine.cpu, "a processor without a name") +
                  text_of(", %u of %u CPUs usable, caches %s, ", machine.cpus_usable, machine.cpus, caches.c_str()) +
                  format_bytes(machine.memory_bytes) + " of memory; " + machine.kernel + ", " + machine.libc +
                  "; lean-train " + lt_build_info() + "; " + result.date);
  for (const PeakPair& peak : result.peaks) {
    const MachinePeak &before = peak.before, &after = peak.after;
    lines.push_back(text_of("Peak of %u thread%s: %.0f GFLOP/s in fp32 (%s) before, %.0f after", peak.threads,
                            peak.threads == 1 ? "" : "s", 1e-9 * before.flops_per_second, before.kernel,
                            1e-9 * after.flops_per_second));
    if (before.bf16_flops_per_second > 0)
      lines.back() += text_of("; in bf16 (%s) %.0f before, %.0f after", before.bf16_kernel,
                              1e-9 * before.bf16_flops_per_second, 1e-9 * after.bf16_flops_per_second);
    lines.back() += text_of("; %.1f GB/s in memory",
                            1e-9 * std::max(before.read_and_write_bytes_per_second, after.read_and_write_bytes_per_second));
  }
  for (const DeviceLine& device : machine.devices)
    if (device.name != "cpu" && device.name != "reference")
      lines.push_back(device.name + (device.usable ? ": " : " is not usable: ") + device.description);
  lines.push_back(text_of("%u repetition%s, each a process of its own, in turns; %u warm-up step%s each.",
                          result.repetitions, result.repetitions == 1 ? "" : "s", result.warm_up_steps,
                          result.warm_up_steps == 1 ? "" : "s"));
  return lines;
}

std::string explanation(const BenchResult& result) {
  const std::string shares =
      "Shares are of that peak: nominal counts a step's products as plain loops do them, padding included, real without "
      "padding; Winograd's form does fewer, and may pass it. ";
  return (result.peaks.empty() ? "" : shares) + "Private: anonymous memory at its peak. First step: since exec.";
}

std::string as_table(const BenchResult& result) {
  std::string text;
  for (const std::string& line : about(result)) text += line + "\n";
  text += explanation(result) + "\n\n";
  Cells columns = headings;
  for (size_t i = 4; i + 1 < columns.size(); ++i) columns[i].insert(0, 1, '>');
  TextTable table(columns);
  for (const Cells& cells : all_rows(result)) table.row(cells);
  return text + table.text();
}

std::string as_markdown(const BenchResult& result) {
  std::string text;
  for (const std::string& line : about(result)) text += line + "\n";
  text += "\n|";
  for (const std::string& heading : headings) text += " " + heading + " |";
  text += "\n|";
  for (size_t i = 0; i < headings.size(); ++i) text += " --- |";
  for (const Cells& cells : all_rows(result)) {
    text += "\n|";
    for (const std::string& cell : cells) {
      std::string safe;
      for (const char byte : cell) safe += byte == '|' ? "\\|" : std::string(1, byte);
      text += safe.empty() ? " |" : " " + safe + " |";
    }
  }
  return text + "\n\n" + explanation(result) + "\n";
}

std::string csv_line(const Cells& cells) {
  std::string line;
  for (const std::string& cell : cells) line += (line.empty() ? "" : ",") + csv_field(cell);
  return line + "\r\n";
}

std::string as_csv(const BenchResult& result) {
  std::string text = csv_line({"status",
                               "model",
                               "device",
                               "program",
                               "kernels",
                               "precision",
                               "threads",
                               "batch",
                               "median_step_seconds",
                               "p95_step_seconds",
                               "mean_step_seconds",
                               "deviation_step_seconds",
                               "timed_steps",
                               "samples_per_second",
                               "nominal_share_of_peak",
                               "real_share_of_peak",
                               "data_wait_share",
                               "arena_bytes",
                               "peak_anonymous_bytes",
                               "first_step_seconds",
                               "note"});
  const auto plain = [](double value) { return text_of("%.9g", value); };
  const auto known = [&](double value) { return value < 0 ? std::string() : plain(value); };
  for (const Row& row : result.rows) {
    const Configuration& asked = row.asked;
    if (row.repetitions.empty()) {
      Cells cells = {row_state_name(row.state),      asked.model,
                     or_word(asked.device, "auto"),  "lean-train",
                     or_word(asked.kernels, "auto"), or_word(asked.precision, "fp32"),
                     number_or(asked.threads, ""),   number_or(asked.batch, "")};
      cells.resize(20);
      cells.push_back(row.reason);
      text += csv_line(cells);
      continue;
    }
    const RowFigures figures = figures_of(result, row);
    const Measurement& one = row.repetitions[0];
    text += csv_line({row_state_name(row.state),
                      asked.model,
                      one.device,
                      "lean-train",
                      one.kernels,
                      one.precision,
                      std::to_string(one.threads),
                      std::to_string(one.batch),
                      plain(figures.step.median),
                      plain(figures.step.p95),
                      plain(figures.step.mean),
                      plain(figures.step.deviation),
                      std::to_string(figures.step.count),
                      plain(figures.samples_per_second),
                      known(figures.nominal_share),
                      known(figures.real_share),
                      plain(figures.data_wait_share),
                      std::to_string(one.arena_bytes),
                      std::to_string(figures.peak_anonymous_bytes),
                      plain(figures.first_step_seconds),
                      noise_in(result, row)});
  }
  if (!result.published) return text;
  for (const PublishedFigure& figure : published_figures()) {
    const auto of_model = [&](const Row& row) { return row.asked.model == figure.recipe; };
    if (std::none_of(result.rows.begin(), result.rows.end(), of_model)) continue;
    Cells cells(21);
    cells[0] = "published";
    cells[1] = figure.recipe;
    cells[2] = figure.hardware;
    cells[3] = figure.program;
    cells[13] = plain(figure.samples_per_second);
    cells[20] = std::string(figure.figure) + "; " + std::string(figure.source);
    text += csv_line(cells);
  }
  return text;
}

}  // namespace

bool format_of_word(const std::string& word, BenchFormat* format) {
  const std::pair<const char*, BenchFormat> words[] = {{"table", BenchFormat::table},
                                                       {"md", BenchFormat::markdown},
                                                       {"csv", BenchFormat::csv},
                                                       {"json", BenchFormat::json},
                                                       {"jsonl", BenchFormat::json_lines}};
  for (const auto& [name, value] : words) {
    if (word != name) continue;
    *format = value;
    return true;
  }
  return false;
}

std::string format_rows(const BenchResult& result, BenchFormat format) {
  return format == BenchFormat::table      ? as_table(result)
         : format == BenchFormat::markdown ? as_markdown(result)
                                           : as_csv(result);
}

std::string format_result(const BenchResult& result, BenchFormat format) {
  const bool lines = format == BenchFormat::json_lines;
  return lines || format == BenchFormat::json ? format_json(result, lines) : format_rows(result, format);
}

}  // namespace lt::tool
