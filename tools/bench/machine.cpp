// /proc, /sys and the library's list of devices: see machine.h.
#include "tools/bench/machine.h"

#include <gnu/libc-version.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fstream>

#include "tools/handles.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The first "model name\t: TEXT" of /proc/cpuinfo; on ARM there is none, and the devices' descriptions have to do.
std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "";
}

// "0-3,8" are five processors.
uint32_t count_of_list(const std::string& list) {
  uint32_t count = 0;
  for (size_t at = 0; at < list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size()), dash = list.find('-', at);
    const auto number = [&](size_t from, size_t to) {
      return parse_whole_number(list.substr(from, to - from)).value_or(0);
    };
    count += dash < comma ? static_cast<uint32_t>(number(dash + 1, comma) - number(at, dash) + 1) : 1;
    at = comma + 1;
  }
  return count;
}

std::vector<Cache> caches_of_first_processor() {
  std::vector<Cache> caches;
  for (int index = 0;; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    std::string type = first_line(folder + "type"), size = first_line(folder + "size");
    if (type.empty()) return caches;
    for (char& letter : type) letter = static_cast<char>(std::tolower(letter));
    if (size.ends_with("K")) size += "iB";
    caches.push_back({static_cast<uint32_t>(parse_whole_number(first_line(folder + "level")).value_or(0)), type,
                      parse_size(size).value_or(0), count_of_list(first_line(folder + "shared_cpu_list"))});
  }
}

}  // namespace

Machine describe_machine() {
  Machine machine;
  machine.cpu = processor_name();
  machine.cpus = static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_ONLN));
  cpu_set_t usable;
  machine.cpus_usable =
      sched_getaffinity(0, sizeof usable, &usable) == 0 ? static_cast<uint32_t>(CPU_COUNT(&usable)) : machine.cpus;
  machine.memory_bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  machine.caches = caches_of_first_processor();
  utsname system{};
  if (uname(&system) == 0) machine.kernel = std::string(system.sysname) + " " + system.release + " " + system.machine;
  machine.libc = std::string("glibc ") + gnu_get_libc_version();
  for (uint32_t index = 0; index < lt_device_count(); ++index) {
    lt_device_info device = sized<lt_device_info>();
    if (lt_device_get(index, &device) != LT_OK) continue;
    machine.devices.push_back({device.name, device.usable ? device.description : device.why_not, device.usable != 0});
  }
  return machine;
}

double peak_flops_per_second(const PeakPair& peak, const std::string& precision) {
  const double bf16 = std::max(peak.before.bf16_flops_per_second, peak.after.bf16_flops_per_second);
  if (precision == "bf16" && bf16 > 0) return bf16;
  return std::max(peak.before.flops_per_second, peak.after.flops_per_second);
}

double peak_spread(const PeakPair& peak) {
  const double before = peak.before.flops_per_second, after = peak.after.flops_per_second;
  if (before <= 0 || after <= 0) return 0;
  return std::abs(before - after) / std::max(before, after);
}

}  // namespace lt::tool
