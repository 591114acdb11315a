// The program's devices, but that the CPU's product of linear layers is wrong by a little in one element, and its
// convolution in bytes by one step: what selftest and compare are there to see.
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include "backends/cpu/cpu.h"
#include "backends/reference/reference.h"
#include "src/backend.h"
#include "tests/faulty_device.h"

namespace lt {
namespace {

void spoil(const Program& program, const Op& op, std::byte* region) {
  if (op.kind == OpKind::conv2d && program.tensors[op.y].dtype == DType::u8)
    region[program.tensors[op.y].offset] ^= std::byte{1};
  if (op.kind != OpKind::linear || program.tensors[op.y].dtype != DType::f32) return;
  float value;
  std::byte* const y = region + program.tensors[op.y].offset;
  std::memcpy(&value, y, sizeof value);
  value += 0.125f;
  std::memcpy(y, &value, sizeof value);
}

Status open_broken(const DeviceConfig& config, std::unique_ptr<Device>* device) {
  std::unique_ptr<Device> sound;
  LT_TRY(cpu::backend.open(config, &sound));
  *device = std::make_unique<FaultyDevice>(std::move(sound), spoil);
  return Status::ok;
}

const Backend broken_cpu = {"cpu", cpu::backend.precisions, cpu::backend.device_count, cpu::backend.describe, open_broken};

}  // namespace

const Backend* const backend_table[] = {&broken_cpu, &reference::backend};
const size_t backend_table_size = std::size(backend_table);

}  // namespace lt
