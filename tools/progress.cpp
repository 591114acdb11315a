// The live line and the lines of the epochs. Main thread.
#include "tools/progress.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "tools/process_clock.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

constexpr double redraw_seconds = 0.1;

// What the live line holds, the widest first: the first one that fits is drawn.
struct Layout {
  int bar_columns;
  size_t curve_columns;
  const char *gap, *accuracy, *rate, *left;
};
constexpr Layout layouts[] = {
    {20, 24, "  ", "accuracy", " samples/s", "ETA "},
    {20, 12, "  ", "accuracy", " samples/s", "ETA "},
    {10, 12, "  ", "accuracy", " samples/s", "ETA "},
    {0, 12, "  ", "accuracy", " samples/s", "ETA "},
    {0, 8, "  ", "accuracy", "/s", "ETA "},
    {0, 8, " ", "acc", "/s", ""},
    {0, 0, " ", "acc", "/s", ""},
};

// "0:42", "1:02:03".
void print_clock(char* text, size_t size, double seconds) {
  const auto whole = static_cast<uint64_t>(seconds + 0.5);
  if (whole >= 3600) {
    std::snprintf(text, size, "%" PRIu64 ":%02d:%02d", whole / 3600, static_cast<int>(whole / 60 % 60),
                  static_cast<int>(whole % 60));
  } else {
    std::snprintf(text, size, "%d:%02d", static_cast<int>(whole / 60), static_cast<int>(whole % 60));
  }
}

double rate(uint64_t samples, double seconds) { return seconds > 0 ? static_cast<double>(samples) / seconds : 0; }

}  // namespace

Progress::Progress(bool quiet, uint64_t epochs, uint64_t steps)
    : quiet_(quiet), live_(!quiet && is_live_terminal(2)), draws_curve_(locale_is_utf8()), epochs_(epochs), steps_(steps) {}

double Progress::seconds_left(const lt_report& report) const {
  const uint64_t done = trained_steps_ + report.batch;
  const double seconds = trained_seconds_ + report.epoch_seconds;
  if (done < 2 || report.batches == 0) return -1;
  uint64_t last = epochs_ * report.batches;
  if (steps_ != 0) last = std::min(last, steps_);
  const uint64_t steps_left = last > report.step ? last - report.step : 0;
  const uint64_t tests_left = last / report.batches - std::min(last / report.batches, report.epoch - 1);
  return static_cast<double>(steps_left) * seconds / static_cast<double>(done) +
         static_cast<double>(tests_left) * test_seconds_;
}

void Progress::draw(const lt_report& report, const char* doing) {
  char bar[64], curve[Sparkline::bytes_most + 2], line[512], left[32] = "-:--";
  if (const double seconds = seconds_left(report); seconds >= 0) print_clock(left, sizeof left, seconds);
  const size_t room = terminal_columns(2) - 1;
  for (const Layout& layout : layouts) {
    bar[0] = curve[0] = '\0';
    if (layout.bar_columns != 0) {
      const auto columns = static_cast<uint64_t>(layout.bar_columns);
      const int filled = report.batches == 0 ? 0 : static_cast<int>(report.batch * columns / report.batches);
      std::snprintf(bar, sizeof bar, "[%.*s%.*s] ", filled, "####################", layout.bar_columns - filled,
                    "--------------------");
    }
    if (draws_curve_ && layout.curve_columns != 0) {
      curve[0] = ' ';
      losses_.draw(layout.curve_columns, curve + 1);
    }
    std::snprintf(line, sizeof line,
                  "epoch %" PRIu64 "/%" PRIu64 " %s%" PRIu64 "/%" PRIu64 "%s%sloss %.4f%s%s%s %.2f%%%s%s%s%s%s%s",
                  report.epoch, epochs_, bar, report.batch, report.batches, doing, layout.gap, report.epoch_loss, curve,
                  layout.gap, layout.accuracy, 100 * report.epoch_accuracy, layout.gap,
                  format_figure(rate(report.epoch_samples, report.epoch_seconds)).c_str(), layout.rate, layout.gap,
                  layout.left, left);
    if (display_columns(line) <= room) break;
  }
  draw_live_line(line);
}

void Progress::step(const lt_report& report) {
  if (!live_) return;
  losses_.add(report.loss);
  const double now = monotonic_seconds();
  if (now - last_drawn_seconds_ < redraw_seconds) return;
  last_drawn_seconds_ = now;
  draw(report, "");
}

void Progress::testing(const lt_report& report) {
  if (live_) losses_.add(report.loss);
  if (live_ && monotonic_seconds() - last_drawn_seconds_ >= redraw_seconds) draw(report, " testing");
}

void Progress::epoch(const lt_report& train, const lt_report& test) {
  trained_seconds_ += train.epoch_seconds;
  trained_steps_ += train.batches;
  test_seconds_ = test.seconds;
  if (quiet_) return;
  say("epoch %" PRIu64 "/%" PRIu64
      "  train loss %.4f accuracy %.2f%%  test loss %.4f accuracy %.2f%%  %.2f s, %s samples/s",
      train.epoch, epochs_, train.epoch_loss, 100 * train.epoch_accuracy, test.loss, 100 * test.accuracy,
      train.epoch_seconds, format_figure(rate(train.epoch_samples, train.epoch_seconds)).c_str());
}

}  // namespace lt::tool
