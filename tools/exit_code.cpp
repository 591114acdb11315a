// The table of exit codes. Pure functions: any thread.
#include "tools/exit_code.h"

namespace lt::tool {

ExitCode exit_code(lt_status status, Stage stage) {
  switch (status) {
    case LT_OK: return ExitCode::ok;
    case LT_ERR_NOMEM: return ExitCode::memory;
    case LT_ERR_DEVICE:
    case LT_ERR_UNSUPPORTED: return ExitCode::device;
    case LT_ERR_NUMERIC: return ExitCode::numeric;
    case LT_ERR_INTERNAL: return ExitCode::internal;
    default: break;
  }
  switch (stage) {
    case Stage::plan: return status == LT_ERR_IO ? ExitCode::io : ExitCode::usage;  // a bad recipe or option
    case Stage::data: return status == LT_ERR_STATE ? ExitCode::internal : ExitCode::data;
    case Stage::weights: return status == LT_ERR_STATE ? ExitCode::internal : ExitCode::weights;
    case Stage::session:
    case Stage::training:
      if (status == LT_ERR_FORMAT || status == LT_ERR_MISMATCH) return ExitCode::data;
      return status == LT_ERR_IO ? ExitCode::io : ExitCode::internal;
    case Stage::save: return status == LT_ERR_IO ? ExitCode::io : ExitCode::internal;
  }
  return ExitCode::internal;
}

const char* exit_name(ExitCode code) {
  switch (code) {
    case ExitCode::ok: return "ok";
    case ExitCode::internal: return "internal";
    case ExitCode::usage: return "usage";
    case ExitCode::data: return "data";
    case ExitCode::device: return "device";
    case ExitCode::memory: return "memory";
    case ExitCode::numeric: return "numeric";
    case ExitCode::weights: return "weights";
    case ExitCode::io: return "io";
  }
  return "internal";
}

}  // namespace lt::tool
