// The checkpoints of a run: --save, --save-every and --keep. What fails is said at once; the training goes on, and the exit
// code tells unless a later save went well. Main thread; nothing here allocates between open and finish.
#pragma once

#include <cstdint>

#include "tools/exit_code.h"
#include "tools/options.h"

namespace lt::tool {

class Checkpoints {
 public:
  explicit Checkpoints(const TrainOptions& options) : options_(options) {}

  // Takes the path's lock; nothing without --save.
  lt_status open(lt_session* session);
  // Steps from `step` to the next save; UINT64_MAX where there is none.
  uint64_t steps_to_next(uint64_t step) const;
  // Saves where the step is one of every N.
  void step(uint64_t step);
  // Saves the state after `step`, unless that was done, and waits until the file is in its place.
  lt_status finish(uint64_t step);
  // The last step whose checkpoint was written, 0 for none: it may still be on its way to its place.
  uint64_t saved_step() const { return saved_step_; }

 private:
  const TrainOptions& options_;
  lt_session* session_ = nullptr;
  uint64_t saved_step_ = 0;
};

}  // namespace lt::tool
