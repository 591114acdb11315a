// Which device a name means. A device asked for by name is used or the call fails; "auto" takes the first backend of the
// table whose device can be opened, the oracle `reference` apart.
#include <charconv>
#include <cstring>

#include "src/plan/plan.h"

namespace lt {
namespace {

Status open_at(const Backend& backend, const DeviceConfig& config, std::shared_ptr<const Device>* device,
               std::string* backend_name) {
  if (const uint32_t count = backend.device_count(); config.index >= count) {
    DeviceInfo first;
    if (count != 0) backend.describe(0, &first);
    if (count != 0 && !first.usable)
      return fail(Status::device, "device %s:%u: %s", backend.name, config.index, first.why_not);
    return fail(Status::device, "device %s:%u is not there: this machine has %u of %s, counted from 0 (lean-train devices)",
                backend.name, config.index, count, backend.name);
  }
  if ((backend.precisions >> static_cast<int>(config.precision) & 1) == 0)
    return fail(Status::unsupported, "device %s does not compute in %s", backend.name, precision_name(config.precision));
  std::unique_ptr<Device> opened;
  LT_TRY(backend.open(config, &opened));
  *device = std::move(opened);
  *backend_name = backend.name;
  return Status::ok;
}

Status open_automatic(const DeviceConfig& config, std::shared_ptr<const Device>* device, std::string* backend_name,
                      std::string* passed_over) {
  Status refusal = Status::device;  // of what was asked for, by a device that is there: it says more than absence
  for (size_t i = 0; i < backend_table_size; ++i) {
    const Backend& backend = *backend_table[i];
    if (std::strcmp(backend.name, "reference") == 0 || backend.device_count() == 0) continue;
    const Status status = open_at(backend, config, device, backend_name);
    // What one device refuses another may take: its name, its precision, its kernels.
    if (ok(status)) return status;
    if (refusal == Status::device) refusal = status;
    *passed_over += (passed_over->empty() ? "" : "; ") + std::string(backend.name) + ": " + last_error();
  }
  return fail(refusal, "no device of this build can be used: %s", passed_over->c_str());
}

}  // namespace

Status open_device(const std::string& name, DeviceConfig config, std::shared_ptr<const Device>* device,
                   std::string* backend_name, std::string* passed_over) {
  if (name == "auto") return open_automatic(config, device, backend_name, passed_over);
  const std::string backend_part = name.substr(0, name.find(':'));
  if (backend_part.size() != name.size()) {
    const char* begin = name.c_str() + backend_part.size() + 1;
    const char* end = name.c_str() + name.size();
    const auto [rest, error] = std::from_chars(begin, end, config.index);
    if (error != std::errc() || rest != end || begin == end)
      return fail(Status::argument, "device \"%.60s\": what follows the colon must be a number", name.c_str());
  }
  std::string known;
  for (size_t i = 0; i < backend_table_size; ++i) {
    if (backend_part == backend_table[i]->name) return open_at(*backend_table[i], config, device, backend_name);
    known += std::string(", ") + backend_table[i]->name;
  }
  return fail(Status::device, "no device \"%.60s\" in this build, expected one of: auto%s", name.c_str(), known.c_str());
}

}  // namespace lt
