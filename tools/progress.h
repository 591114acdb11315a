// How the training goes, on stderr: on a terminal one live line, with the course of the loss drawn small where the locale
// is UTF-8, otherwise (and above it) one line an epoch. Nothing here allocates. Main thread.
#pragma once

#include <cstdint>

#include "src/lean_train.h"
#include "tools/sparkline.h"

namespace lt::tool {

class Progress {
 public:
  // `epochs` and `steps` (0: no bound) say when the training ends.
  Progress(bool quiet, uint64_t epochs, uint64_t steps);

  void step(const lt_report& report);
  void testing(const lt_report& report);
  void epoch(const lt_report& train, const lt_report& test);

 private:
  // Seconds until the end at the pace so far; negative where nothing can be said yet.
  double seconds_left(const lt_report& report) const;
  void draw(const lt_report& report, const char* doing);

  bool quiet_, live_, draws_curve_;
  Sparkline losses_;  // of the training so far
  uint64_t epochs_, steps_;
  double last_drawn_seconds_ = -1;
  double trained_seconds_ = 0;  // of finished epochs
  uint64_t trained_steps_ = 0;  // likewise
  double test_seconds_ = 0;     // of the last evaluation
};

}  // namespace lt::tool
