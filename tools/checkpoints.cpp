#include "tools/checkpoints.h"

#include "tools/terminal.h"

namespace lt::tool {

lt_status Checkpoints::open(lt_session* session) {
  if (options_.save.empty()) return LT_OK;
  session_ = session;
  return lt_session_save_to(session, options_.save.c_str(), options_.keep);
}

uint64_t Checkpoints::steps_to_next(uint64_t step) const {
  return options_.save_every == 0 ? UINT64_MAX : options_.save_every - step % options_.save_every;
}

void Checkpoints::step(uint64_t step) {
  if (session_ == nullptr || options_.save_every == 0 || step % options_.save_every != 0) return;
  if (lt_session_checkpoint(session_) == LT_OK)
    saved_step_ = step;
  else
    complain("%s; the training goes on", lt_last_error());
}

lt_status Checkpoints::finish(uint64_t step) {
  if (saved_step_ == step) {
    if (lt_session_checkpoint_finish(session_) == LT_OK) return LT_OK;
    complain("%s; once more", lt_last_error());
  }
  lt_status status = lt_session_checkpoint(session_);
  if (status == LT_OK) status = lt_session_checkpoint_finish(session_);
  if (status == LT_OK) saved_step_ = step;
  return status;
}

}  // namespace lt::tool
