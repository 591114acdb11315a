// Opens oneDNN once and makes its kernels. Exceptions of dnnl.hpp end here.
#include "backends/cpu/onednn/onednn.h"

#include <cstdio>
#include <mutex>
#include <new>

#include "backends/cpu/onednn/primitive.h"
#include "backends/cpu/rows.h"

namespace lt::cpu {
namespace {

using onednn::SingleThread;

// Both passes of `prepare` and `attach` find the same primitives here; more would keep dead models' code alive.
constexpr int primitive_cache_entries = 256;

struct Opened {
  Status status = Status::ok;
  char error[error_text_bytes] = "";
  OneDnn library;
  char version[48] = "";
  dnnl::engine engine;
};

// Never destroyed: kernels may outlive any order of static destruction.
Opened& opened() {
  static Opened& state = *new Opened;
  return state;
}

Status open_library(Opened* state) {
  LT_TRY(onednn::load_functions());
  const dnnl_version_t* version = dnnl_version();
  std::snprintf(state->version, sizeof state->version, "%d.%d.%d", version->major, version->minor, version->patch);
  try {
    const SingleThread single;
    state->engine = dnnl::engine(dnnl::engine::kind::cpu, 0);
    dnnl::set_primitive_cache_capacity(primitive_cache_entries);
  } catch (const std::exception& error) {
    return fail(Status::device, "oneDNN %s: no CPU engine: %s", state->version, error.what());
  }
  return Status::ok;
}

}  // namespace

Status OneDnn::open(const OneDnn** library) {
  static std::once_flag once;
  Opened& state = opened();
  std::call_once(once, [&state] {
    state.status = open_library(&state);
    if (!ok(state.status)) std::snprintf(state.error, sizeof state.error, "%s", last_error());
  });
  *library = ok(state.status) ? &state.library : nullptr;
  return ok(state.status) ? Status::ok : fail(state.status, "%s", state.error);
}

const char* OneDnn::version() const { return opened().version; }

std::unique_ptr<Kernel> OneDnn::make_kernel(const Program& program, const KernelRequest& request) const {
  if (request.op->rows_per_sample > 1)
    return make_of_rows(program, request, [this](const Program& of_rows, const KernelRequest& inner) {
      return make_kernel(of_rows, inner);
    });
  const Op& op = *request.op;
  const char* what = nullptr;
  if (program.weight_layout == WeightLayout::in_out) {
    try {
      const SingleThread single;
      const dnnl::engine& engine = opened().engine;
      if (op.kind == OpKind::conv2d) return onednn::make_conv2d(engine, request);
      if (op.kind == OpKind::conv2d_backward) return onednn::make_conv2d_backward(engine, request);
      if (op.kind == OpKind::linear) return onednn::make_linear(engine, request);
      if (op.kind == OpKind::linear_backward) return onednn::make_linear_backward(engine, request);
    } catch (const dnnl::error& error) {
      what = error.what();
      (void)fail(Status::unsupported, "oneDNN %s has no kernel for layer %s: %s (status %d)", version(), op.layer.c_str(),
                 what, static_cast<int>(error.status));
      return nullptr;
    } catch (const std::bad_alloc&) {
      (void)fail(Status::memory, "oneDNN %s: out of memory while preparing layer %s", version(), op.layer.c_str());
      return nullptr;
    }
    what = "no kernel for this kind of op";
  } else {
    what = "only weights as [in][out] are served";
  }
  (void)fail(Status::unsupported, "oneDNN %s, layer %s: %s", version(), op.layer.c_str(), what);
  return nullptr;
}

}  // namespace lt::cpu
