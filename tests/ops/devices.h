// The devices that the tests of operations run on: every usable one of backend_table with each of its kernels; and, past
// what a user can ask for, the Highway kernels of every instruction set of this processor, on one, two and five threads,
// and the reference device with its other weight layout. Those of int8, which infers alone, are a list of their own.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "src/backend.h"

namespace lt::ops {

struct DeviceSpec {
  std::string name;  // letters, digits and underscores
  std::function<Status(std::unique_ptr<Device>* device)> open;
  std::string same_bits_group;  // devices of one group have to give the same bits
  Precision precision = Precision::fp32;
};
inline void PrintTo(const DeviceSpec& spec, std::ostream* out) { *out << spec.name; }

std::vector<DeviceSpec> device_specs();
std::vector<DeviceSpec> int8_device_specs();

}  // namespace lt::ops
