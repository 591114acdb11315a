// Lists the devices by asking each backend of the table, and the processor for its instruction sets; opens none for longer
// than it takes to see that it can be. See devices.h.
#include "tests/ops/devices.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "backends/cpu/highway/factory.h"
#include "backends/cpu/int8/factory.h"
#include "tests/faulty_device.h"
#include "tests/ops/kernel_device.h"
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

constexpr Precision precisions[] = {Precision::fp32, Precision::bf16};

// Another device whose weights lie the other way.
class OutInDevice final : public DeviceInFront {
 public:
  using DeviceInFront::DeviceInFront;
  WeightLayout weight_layout() const override { return WeightLayout::out_in; }
};

std::string word(std::string name) {
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
}

void add_highway(std::vector<DeviceSpec>* specs) {
  namespace highway = cpu::highway;
  for (size_t i = 0; i < highway::target_count; ++i) {
    const auto target = static_cast<highway::Target>(i);
    if (!highway::target_supported(target)) continue;
    for (const Precision precision : precisions) {
      const std::string group = "highway_" + word(highway::target_name(target)) + "_" + precision_name(precision);
      for (uint32_t threads : {5u, 1u, 2u})
        specs->push_back({group + "_threads" + std::to_string(threads),
                          [target, threads](std::unique_ptr<Device>* device) {
                            *device = kernel_device(
                                [target](const Program& program, const cpu::KernelRequest& request) {
                                  return highway::make_kernel(program, request, target);
                                },
                                threads);
                            return Status::ok;
                          },
                          group, precision});
    }
  }
}

// Every unit, and the portable one on every instruction set.
void add_int8(std::vector<DeviceSpec>* specs) {
  namespace highway = cpu::highway;
  using cpu::int8::Unit;
  for (const Unit unit : {Unit::amx, Unit::avx512_vnni, Unit::portable})
    for (size_t i = 0; i < highway::target_count; ++i) {
      const auto target = static_cast<highway::Target>(i);
      if (!cpu::int8::unit_supported(unit) || !highway::target_supported(target)) continue;
      if (unit != Unit::portable && target != highway::target_best()) continue;
      const std::string group =
          "int8_" + word(unit == Unit::portable ? highway::target_name(target) : cpu::int8::unit_name(unit));
      for (const uint32_t threads : {5u, 1u})
        specs->push_back({group + "_threads" + std::to_string(threads),
                          [unit, target, threads](std::unique_ptr<Device>* device) {
                            *device = kernel_device(
                                [unit, target](const Program& program, const cpu::KernelRequest& request) {
                                  return cpu::int8::make_kernel(program, request, unit, target);
                                },
                                threads);
                            return Status::ok;
                          },
                          group, Precision::int8});
    }
}

// Every usable device of the table with each of its kernels.
void add_backends(const std::vector<Precision>& tested, std::vector<DeviceSpec>* specs) {
  for (size_t i = 0; i < backend_table_size; ++i) {
    const Backend& backend = *backend_table[i];
    if (std::string(backend.name) == "reference") continue;  // that is what the others are held against
    for (uint32_t index = 0; index < backend.device_count(); ++index) {
      DeviceInfo info;
      backend.describe(index, &info);
      if (!info.usable) continue;
      for (const char* kernels : {"auto", "highway", "onednn"})
        for (const Precision precision : tested) {
          DeviceConfig config;
          config.index = index;
          config.kernels = kernels;
          config.precision = precision;
          std::unique_ptr<Device> device;
          if (!ok(backend.open(config, &device))) continue;  // a library that is not installed, or not this backend's word
          const std::string name =
              word(std::string(backend.name) + std::to_string(index) + "_" + kernels + "_" + precision_name(precision));
          specs->push_back({name,
                            [&backend, config](std::unique_ptr<Device>* opened) { return backend.open(config, opened); },
                            name, precision});
        }
    }
  }
}

}  // namespace

std::vector<DeviceSpec> int8_device_specs() {
  std::vector<DeviceSpec> specs;
  add_int8(&specs);
  add_backends({Precision::int8}, &specs);
  return specs;
}

std::vector<DeviceSpec> device_specs() {
  std::vector<DeviceSpec> specs;
  for (const Precision precision : precisions) {
    const std::string name = std::string("reference_out_in_") + precision_name(precision);
    specs.push_back({name,
                     [](std::unique_ptr<Device>* device) {
                       *device = std::make_unique<OutInDevice>(reference_device());
                       return Status::ok;
                     },
                     name, precision});
  }
  add_highway(&specs);
  add_backends({Precision::fp32, Precision::bf16}, &specs);
  return specs;
}

}  // namespace lt::ops
