// A few test samples drawn in characters, two rows of pixels a character, with what the model takes them for; wrong ones are
// marked. Single-channel images are drawn in blocks on any terminal, red-green-blue ones where it shows colours. Closing only,
// main thread.
#pragma once

#include "src/lean_train.h"
#include "tools/exit_code.h"
#include "tools/terminal.h"

namespace lt::tool {

inline constexpr uint32_t pictures_shown = 10;

// True where such images can be drawn on this terminal.
bool can_draw(const lt_dataset_info& info);

// Draws the first samples of `test`, as many side by side as the terminal's columns hold.
lt_status draw_pictures(lt_session* session, const lt_dataset* test, const lt_dataset_info& info, StandardOutput* out);

}  // namespace lt::tool
