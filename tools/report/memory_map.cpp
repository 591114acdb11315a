// The memory map of a plan. See memory_map.h.
#include "tools/report/memory_map.h"

#include <algorithm>
#include <array>
#include <set>

#include "tools/report/line_chart.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

constexpr double plot_top = 40, plot_height = 300, plot_right = 418;
constexpr size_t kinds = 7;

struct KindStyle {
  const char* name;
  int color;  // a run's; negative: grey
};
constexpr std::array<KindStyle, kinds> kind_styles = {{{"parameters", 0},
                                                       {"optimizer state", 7},
                                                       {"activations", 2},
                                                       {"gradients", 1},
                                                       {"masks, maxima, counts", 6},
                                                       {"scratch", -1},
                                                       {"input and staging", 3}}};

std::string style_of(TensorKind kind) {
  const int index = kind_styles[static_cast<size_t>(kind)].color;
  const std::string color = index < 0 ? "var(--soft)" : run_color(static_cast<unsigned>(index));
  return "fill-opacity:.35;stroke-width:.7;stroke:" + color + ";fill:" + color;
}

// "conv1.gradient, 1.5 MiB at 14,704,128, operations 8 to 9".
std::string tooltip_of(const TensorRecord& tensor) {
  return tensor.name + ", " + format_bytes(tensor.bytes) + " at " + format_count(tensor.offset) + ", operations " +
         std::to_string(tensor.first_op) + " to " + std::to_string(tensor.last_op);
}

double draw_legend(Svg* svg, const std::set<TensorKind>& used, double y) {
  double x = 0;
  for (const TensorKind kind : used) {
    const char* const name = tensor_kind_name(kind);
    const double width = 18 + text_width(name) + 14;
    if (x > 0 && x + width > picture_width) x = 0, y += 18;
    svg->rect(x, y - 10, 12, 11, style_of(kind));
    svg->text(x + 18, y, name);
    x += width;
  }
  return y;
}

}  // namespace

TensorKind tensor_kind(const TensorRecord& tensor) {
  const auto ends = [&](std::string_view end) { return std::string_view(tensor.name).ends_with(end); };
  if (tensor.segment == "parameters") return TensorKind::parameters;
  if (tensor.segment == "state") return TensorKind::state;
  if (tensor.segment == "scratch") return TensorKind::scratch;
  if (tensor.segment == "staging" || tensor.name == "input") return TensorKind::staging;
  if (ends("gradient") || ends("gradients")) return TensorKind::gradient;
  if (ends(".mask") || ends(".argmax") || tensor.name == "statistics") return TensorKind::bookkeeping;
  return TensorKind::activation;
}

const char* tensor_kind_name(TensorKind kind) { return kind_styles[static_cast<size_t>(kind)].name; }

Picture draw_memory_map(const std::string& id, const Run& run) {
  uint64_t arena_bytes = 1;
  std::set<std::string> wholes;  // tensors that are drawn as their parts
  for (const TensorRecord& tensor : run.tensors) {
    arena_bytes = std::max(arena_bytes, tensor.offset + tensor.bytes);
    if (!tensor.part_of.empty()) wholes.insert(tensor.part_of);
  }
  Svg svg(id, "Memory of " + run.recipe() + ", " + format_bytes(arena_bytes),
          "Offsets in the memory block upwards, operations of a step from left to right; one rectangle a tensor. The table "
          "of tensors has the numbers.");
  svg.heading();
  const double bytes_per_unit = arena_bytes >= 4 << 20 ? 1 << 20 : 1 << 10;
  const std::vector<double> ticks = round_ticks(0, static_cast<double>(arena_bytes) / bytes_per_unit, 8);
  double left = 0;
  for (const double tick : ticks) left = std::max(left, text_width(short_number(tick)));
  left += 8;
  const double ops = static_cast<double>(run.ops.size()), bottom = plot_top + plot_height;
  const auto across = [&](double op) { return left + op / ops * (plot_right - left); };
  const auto up = [&](double bytes) { return bottom - bytes / static_cast<double>(arena_bytes) * plot_height; };
  svg.text(0, plot_top - 11, std::string("offset in ") + (bytes_per_unit > 1 << 10 ? "MiB" : "KiB"), Anchor::start,
           "fill:var(--soft)");
  for (const double tick : ticks) {
    svg.line(left, up(tick * bytes_per_unit), plot_right, up(tick * bytes_per_unit), "stroke:var(--grid)");
    svg.text(left - 6, up(tick * bytes_per_unit) + 4, short_number(tick), Anchor::end);
  }
  std::set<TensorKind> used;
  const auto box = [&](const TensorRecord& tensor, uint64_t first_op, uint64_t last_op, uint64_t bytes,
                       const std::string& tooltip) {
    const double x = across(static_cast<double>(first_op)), width = across(static_cast<double>(last_op + 1)) - x;
    const double y = up(static_cast<double>(tensor.offset + bytes)), height = up(static_cast<double>(tensor.offset)) - y;
    const TensorKind kind = tensor_kind(tensor);
    used.insert(kind);
    svg.rect(x, y, width, std::max(height, 0.5), style_of(kind), tooltip);
    constexpr double small = 10;
    if (height >= small + 2 && width > text_width(tensor.name, small) + 4)
      svg.text(x + width / 2, y + height / 2 + 3.5, tensor.name, Anchor::middle, "font-size:10px");
  };
  for (const TensorRecord& tensor : run.tensors) {
    if (wholes.contains(tensor.name) || tensor.bytes == 0) continue;
    if (tensor.segment != "scratch") {
      // What the next step needs again lives on whichever operations use it.
      const bool stays = tensor.segment == "parameters" || tensor.segment == "state";
      box(tensor, stays ? 0 : tensor.first_op, stays ? run.ops.size() - 1 : tensor.last_op, tensor.bytes,
          tooltip_of(tensor));
      continue;
    }
    for (uint64_t op = 0; op < run.ops.size(); ++op)  // shared: each operation takes what it needs of it
      if (const uint64_t bytes = std::min(run.ops[op].scratch_bytes, tensor.bytes); bytes != 0)
        box(tensor, op, op, bytes, "scratch of operation " + std::to_string(op) + ", " + format_bytes(bytes));
  }
  svg.line(left, bottom, plot_right, bottom, "stroke:var(--soft)");
  for (const double tick : round_ticks(0, ops - 1, 12))
    if (tick == static_cast<double>(static_cast<uint64_t>(tick)))
      svg.text(across(tick + 0.5), bottom + 16, short_number(tick), Anchor::middle);
  svg.text((left + plot_right) / 2, bottom + 32, "operation of the step", Anchor::middle, "fill:var(--soft)");
  return svg.finish(draw_legend(&svg, used, bottom + 54) + 8);
}

}  // namespace lt::tool
