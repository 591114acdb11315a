// What the opaque handles of lean_train.h hold, and the guard that every entry point stands behind.
#pragma once

#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "src/base/safetensors.h"
#include "src/base/status.h"
#include "src/dataset.h"
#include "src/lean_train.h"
#include "src/plan/plan.h"
#include "src/run/session.h"

struct lt_plan {
  std::shared_ptr<const lt::Plan> plan;
};
struct lt_dataset {
  std::unique_ptr<const lt::Dataset> dataset;
};
struct lt_file {
  lt::SafetensorsReader reader;
  std::vector<const lt::SafetensorsEntry*> in_order;  // of the file
  std::string recipe;                                 // what lt_config.recipe points to
};
struct lt_session {
  std::unique_ptr<lt::Session> session;
  lt_event_fn event = nullptr;
  void* event_user = nullptr;
};

namespace lt::api {

// Runs the body of an entry point; what set-up code or a library under it throws becomes a status.
template <class Body>
lt_status guarded(const Body& body) noexcept {
  try {
    return static_cast<lt_status>(body());
  } catch (const std::bad_alloc&) {
    return static_cast<lt_status>(fail(Status::memory, "the system refused memory"));
  } catch (const std::exception& exception) {
    return static_cast<lt_status>(fail(Status::internal, "unexpected: %s", exception.what()));
  } catch (...) {
    return static_cast<lt_status>(fail(Status::internal, "unexpected exception"));
  }
}

Status null_argument(const char* name);

// The first failure for arguments that must not be null.
#define LT_NOT_NULL(argument) \
  if (!(argument)) return ::lt::api::null_argument(#argument)

// Checks an output structure's `size`. A smaller one than ours comes from a caller built against an older header.
template <class T>
Status check_size(const T* structure, const char* name) {
  if (!structure) return null_argument(name);
  if (structure->size < sizeof(size_t) || structure->size > sizeof(T))
    return fail(Status::argument, "%s: its size field is %zu, this library knows %zu", name, structure->size, sizeof(T));
  return Status::ok;
}

template <class T>
void copy_out(T value, T* out) {
  const size_t size = out->size;
  value.size = size;
  std::memcpy(out, &value, size);
}

template <size_t n>
void copy_text(char (&out)[n], const std::string& text) {
  const size_t length = text.size() < n ? text.size() : n - 1;
  std::memcpy(out, text.data(), length);
  std::memset(out + length, 0, n - length);
}

}  // namespace lt::api
