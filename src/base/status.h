// What a call came to, and one sentence about the last failure. Nothing here allocates: the sentence lies in a
// fixed buffer of the calling thread, so that even "out of memory" can be told. Any thread may call anything.
#pragma once

#include <cstdint>

namespace lt {

// The values are those of LT_* in lean_train.h; they are stable, new ones are only appended.
enum class [[nodiscard]] Status : int32_t{
    ok = 0,
    argument = 1,     // a null pointer, a bad value, a structure of unknown size
    state = 2,        // a call out of order
    memory = 3,       // the arena is too small, or the system refused memory
    io = 4,           // open, read, write, sync, disk full
    format = 5,       // a file is not what it claims to be
    mismatch = 6,     // a valid file of another model, type or data set
    device = 7,       // a device is absent or unusable
    unsupported = 8,  // an operation or shape that this device has no code for
    numeric = 9,      // a loss, gradient or weight became NaN or infinite
    stopped = 10,     // a stop was asked for and granted; the state is good
    internal = 99,    // a bug in lean-train
};

constexpr bool ok(Status status) { return status == Status::ok; }

// Name as in lean_train.h without the prefix, such as "FORMAT".
const char* status_name(Status status);

// Keeps the formatted sentence as this thread's last error (cut at error_text_bytes - 1) and returns `status`.
Status fail(Status status, const char* format, ...) __attribute__((format(printf, 2, 3)));

// This thread's last sentence; empty before the first failure. Valid until the thread's next failure.
const char* last_error();

inline constexpr unsigned error_text_bytes = 1024;

}  // namespace lt

// Hands a failure up to the caller.
#define LT_TRY(expression)                                                                      \
  do {                                                                                          \
    if (const ::lt::Status lt_status_ = (expression); !::lt::ok(lt_status_)) return lt_status_; \
  } while (false)
