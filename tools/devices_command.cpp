// lean-train devices: what this build knows, what this machine has, and why something is not usable.
#include <CLI/CLI.hpp>
#include <cinttypes>
#include <memory>

#include "tools/commands.h"
#include "tools/exit_code.h"
#include "tools/handles.h"
#include "tools/json_record.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

void print_text(const lt_device_info& device, StandardOutput* out) {
  out->print("%-10s %s%s", device.name,
             device.usable ? "" : "not usable: ", device.usable ? device.description : device.why_not);
  if (device.usable && device.memory_total_bytes != 0)
    out->print(", %s of %s free", format_bytes(device.memory_free_bytes).c_str(),
               format_bytes(device.memory_total_bytes).c_str());
  out->write("\n");
}

void print_json(const lt_device_info& device, StandardOutput* out) {
  JsonRecord record("device");
  record.text("name", device.name).text("description", device.description).boolean("usable", device.usable != 0);
  device.usable ? record.null("why_not") : record.text("why_not", device.why_not);
  device.memory_total_bytes != 0 ? record.whole("memory_total_bytes", device.memory_total_bytes)
                                 : record.null("memory_total_bytes");
  device.memory_total_bytes != 0 ? record.whole("memory_free_bytes", device.memory_free_bytes)
                                 : record.null("memory_free_bytes");
  out->write(record.line());
}

ExitCode list_devices(bool json) {
  StandardOutput out;
  for (uint32_t index = 0; index < lt_device_count(); ++index) {
    lt_device_info device = sized<lt_device_info>();
    if (const lt_status status = lt_device_get(index, &device)) {
      complain("%s", lt_last_error());
      return exit_code(status, Stage::session);
    }
    json ? print_json(device, &out) : print_text(device, &out);
  }
  return out.close() ? ExitCode::ok : ExitCode::io;
}

}  // namespace

void add_devices_command(CLI::App& app, int* exit_code) {
  const auto json = std::make_shared<bool>(false);
  CLI::App* const command = app.add_subcommand("devices", "List what can compute, and why something cannot");
  command->add_flag("--json", *json, "One JSON object a line")->disable_flag_override();
  command->group("Commands");
  command->footer("Examples:\n  lean-train devices\n  lean-train devices --json\n");
  command->callback([json, exit_code] { *exit_code = static_cast<int>(list_devices(*json)); });
}

}  // namespace lt::tool
