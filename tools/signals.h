// Signals: SIGINT and SIGTERM ask the session to stop after the step in progress, a second one leaves at once; SIGPIPE is
// ignored; SIGBUS (a mapped file got shorter) ends the program with one sentence. Main thread, apart from the handlers.
#pragma once

#include "src/lean_train.h"

namespace lt::tool {

// First thing in main: SIGPIPE is ignored, and descriptors 0 to 2 are open, so that no file of ours becomes stdout.
void prepare_streams();

// From here on SIGINT and SIGTERM are ours. `data_folder` (may be empty) is named where a mapped file fails; it is copied.
void install_signal_handlers(const char* data_folder);

// The session that the first signal stops; with null (set-up, closing) it leaves at once, there being no state to save.
void stop_on_signal(lt_session* session);

// The signal that asked for a stop, or 0.
int received_signal();
const char* signal_label(int signal_number);  // "SIGINT"

}  // namespace lt::tool
