// The closing lines. Closing only, main thread.
#include "tools/summary.h"

#include <cinttypes>

#include "tools/text.h"

namespace lt::tool {

void print_summary(const RunFacts& facts, const RunEnd& end, const std::string& saved, StandardOutput* out) {
  out->print("model     %s on %s, device %s, %s, %s\n", facts.model.c_str(), facts.data.c_str(), facts.plan.device,
             format_count_of(end.epochs, "epoch").c_str(), format_count_of(end.steps, "step").c_str());
  if (end.best_epoch != 0) {
    out->print("accuracy  test %.2f%%, best %.2f%% (epoch %" PRIu64 "), training %.2f%%\n", 100 * end.test_accuracy,
               100 * end.best_test_accuracy, end.best_epoch, 100 * end.train_accuracy);
  } else {
    out->print("accuracy  not measured: no epoch was finished\n");
  }
  if (facts.skipped_train_samples + facts.skipped_test_samples != 0)
    out->print("left out  %s of training, %s of testing: no path gives their labels\n",
               format_count_of(facts.skipped_train_samples, "sample").c_str(),
               format_count_of(facts.skipped_test_samples, "sample").c_str());
  out->print("time      %s", format_duration(end.seconds).c_str());
  if (end.first_step_seconds >= 0)
    out->print(", first step done after %s", format_duration(end.first_step_seconds).c_str());
  if (end.median_step_seconds >= 0) out->print(", median step %s ms", format_figure(1e3 * end.median_step_seconds).c_str());
  out->print("\nmemory    arena %s", format_bytes(end.arena_bytes).c_str());
  if (end.peak_anonymous_bytes != 0) out->print(", private %s at most", format_bytes(end.peak_anonymous_bytes).c_str());
  if (end.peak_rss_bytes != 0)
    out->print(", resident with mapped files %s at most", format_bytes(end.peak_rss_bytes).c_str());
  out->print("\n");
  if (!saved.empty()) out->print("weights   %s\n", saved.c_str());
}

}  // namespace lt::tool
