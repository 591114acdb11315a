// Which device a name means. A device asked for by name is used or the call fails; "auto" takes the first usable backend of
// the table, the oracle `reference` apart.
#include <charconv>
#include <cstring>

#include "src/plan/plan.h"

namespace lt {
namespace {

Status open_at(const Backend& backend, const DeviceConfig& config, std::shared_ptr<const Device>* device,
               DeviceInfo* info) {
  if (config.index >= backend.device_count())
    return fail(Status::device, "device %s:%u: there are %u", backend.name, config.index, backend.device_count());
  backend.describe(config.index, info);
  if (!info->usable) return fail(Status::device, "device %s: %s", backend.name, info->why_not);
  std::unique_ptr<Device> opened;
  LT_TRY(backend.open(config, &opened));
  *device = std::move(opened);
  return Status::ok;
}

}  // namespace

Status open_device(const std::string& name, DeviceConfig config, std::shared_ptr<const Device>* device, DeviceInfo* info,
                   std::string* backend_name) {
  const std::string backend_part = name.substr(0, name.find(':'));
  if (backend_part.size() != name.size()) {
    const char* begin = name.c_str() + backend_part.size() + 1;
    const char* end = name.c_str() + name.size();
    const auto [rest, error] = std::from_chars(begin, end, config.index);
    if (error != std::errc() || rest != end || begin == end)
      return fail(Status::argument, "device \"%.60s\": what follows the colon must be a number", name.c_str());
  }
  for (size_t i = 0; i < backend_table_size; ++i) {
    const Backend& backend = *backend_table[i];
    if (backend_part == "auto") {
      DeviceInfo found;
      if (std::strcmp(backend.name, "reference") == 0 || backend.device_count() == 0) continue;
      backend.describe(0, &found);
      if (!found.usable) continue;
    } else if (backend_part != backend.name) {
      continue;
    }
    LT_TRY(open_at(backend, config, device, info));
    *backend_name = backend.name;
    return Status::ok;
  }
  std::string known;
  for (size_t i = 0; i < backend_table_size; ++i) known += std::string(", ") + backend_table[i]->name;
  return fail(Status::argument, "no device \"%.60s\" in this build, expected one of: auto%s", name.c_str(), known.c_str());
}

}  // namespace lt
