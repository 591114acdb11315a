// The library itself, its devices and its built-in recipes.
#include "src/api/handles.h"
#include "src/api/version.h"

using namespace lt;
using namespace lt::api;

namespace lt::api {

Status null_argument(const char* name) { return fail(Status::argument, "%s is NULL", name); }

}  // namespace lt::api

uint32_t lt_version(void) { return LT_VERSION_MAJOR * 10000 + LT_VERSION_MINOR * 100 + LT_VERSION_PATCH; }

const char* lt_build_commit(void) { return LT_COMMIT; }

#if defined(__clang__)
#define LT_COMPILER "clang " __clang_version__
#else
#define LT_COMPILER "gcc " __VERSION__
#endif

const char* lt_build_info(void) { return LT_VERSION_TEXT " (commit " LT_COMMIT ", " LT_COMPILER ")"; }

const char* lt_status_name(lt_status status) {
  switch (static_cast<Status>(status)) {
    case Status::ok: return "LT_OK";
    case Status::argument: return "LT_ERR_ARG";
    case Status::state: return "LT_ERR_STATE";
    case Status::memory: return "LT_ERR_NOMEM";
    case Status::io: return "LT_ERR_IO";
    case Status::format: return "LT_ERR_FORMAT";
    case Status::mismatch: return "LT_ERR_MISMATCH";
    case Status::device: return "LT_ERR_DEVICE";
    case Status::unsupported: return "LT_ERR_UNSUPPORTED";
    case Status::numeric: return "LT_ERR_NUMERIC";
    case Status::stopped: return "LT_STOPPED";
    case Status::internal: return "LT_ERR_INTERNAL";
  }
  return "unknown status";
}

const char* lt_last_error(void) { return last_error(); }

uint32_t lt_device_count(void) {
  uint32_t count = 0;
  for (size_t i = 0; i < backend_table_size; ++i) count += backend_table[i]->device_count();
  return count;
}

lt_status lt_device_get(uint32_t index, lt_device_info* out) {
  return guarded([&] {
    LT_TRY(check_size(out, "out"));
    uint32_t first = 0;
    for (size_t i = 0; i < backend_table_size; ++i) {
      const uint32_t count = backend_table[i]->device_count();
      if (index - first < count) {
        DeviceInfo info;
        backend_table[i]->describe(index - first, &info);
        lt_device_info result{};
        copy_text(result.name, info.name);
        copy_text(result.description, info.description);
        result.memory_total_bytes = info.memory_total_bytes;
        result.memory_free_bytes = info.memory_free_bytes;
        result.usable = info.usable;
        copy_text(result.why_not, info.why_not);
        copy_out(result, out);
        return Status::ok;
      }
      first += count;
    }
    return fail(Status::argument, "device number %u: there are %u", index, first);
  });
}

uint32_t lt_recipe_count(void) { return static_cast<uint32_t>(built_in_recipe_count); }

const char* lt_recipe_name(uint32_t index) {
  return index < built_in_recipe_count ? built_in_recipes[index].name : nullptr;
}

const char* lt_recipe_text(const char* name) {
  const BuiltInRecipe* recipe = name ? built_in_recipe(name) : nullptr;
  return recipe ? recipe->text : nullptr;
}
