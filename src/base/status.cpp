#include "src/base/status.h"

#include <cstdarg>
#include <cstdio>

namespace lt {
namespace {

thread_local char error_text[error_text_bytes] = "";

}  // namespace

const char* status_name(Status status) {
  switch (status) {
    case Status::ok: return "OK";
    case Status::argument: return "ARG";
    case Status::state: return "STATE";
    case Status::memory: return "NOMEM";
    case Status::io: return "IO";
    case Status::format: return "FORMAT";
    case Status::mismatch: return "MISMATCH";
    case Status::device: return "DEVICE";
    case Status::unsupported: return "UNSUPPORTED";
    case Status::numeric: return "NUMERIC";
    case Status::stopped: return "STOPPED";
    case Status::internal: return "INTERNAL";
  }
  return "UNKNOWN";
}

Status fail(Status status, const char* format, ...) {
  // Formatted aside first: an argument may be the last error itself.
  char text[error_text_bytes];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  __builtin_memcpy(error_text, text, sizeof text);
  return status;
}

const char* last_error() { return error_text; }

}  // namespace lt
