// Where every tensor lies: offsets in the region. See program.h.
#include <algorithm>

#include "src/base/checked.h"
#include "src/plan/program.h"

namespace lt {
namespace {

struct Placed {
  uint64_t begin, end;
  uint32_t first_op, last_op;
};

// The lowest offset at which a tensor of that size and lifetime meets no other; `placed` is sorted by begin.
uint64_t lowest_gap(const std::vector<Placed>& placed, uint64_t bytes, uint32_t first_op, uint32_t last_op) {
  uint64_t at = 0;
  for (const Placed& other : placed) {
    if (other.last_op < first_op || last_op < other.first_op) continue;
    if (at + bytes <= other.begin) break;
    at = std::max(at, other.end);
  }
  return at;
}

}  // namespace

Status program_place(uint64_t guard_bytes, Plan* plan) {
  Program& program = plan->program;
  guard_bytes = align_up(guard_bytes, tensor_alignment);
  const auto in_order = [&](Segment segment, uint64_t at) {
    for (TensorId id = 0; id < program.tensors.size(); ++id) {
      Tensor& tensor = program.tensors[id];
      if (tensor.segment != segment || tensor.part_of != no_tensor) continue;
      tensor.offset = at + guard_bytes;
      at = align_up(tensor.offset + tensor.bytes, tensor_alignment) + guard_bytes;
    }
    return at;
  };
  const auto close = [&](Segment segment, uint64_t begin, uint64_t end) {
    plan->segments[static_cast<size_t>(segment)] = {begin, end - begin};
    return end;
  };

  uint64_t at = close(Segment::parameters, 0, in_order(Segment::parameters, 0));
  at = close(Segment::state, at, in_order(Segment::state, at));

  std::vector<TensorId> order;
  for (TensorId id = 0; id < program.tensors.size(); ++id)
    if (program.tensors[id].segment == Segment::activations && program.tensors[id].part_of == no_tensor)
      order.push_back(id);
  std::stable_sort(order.begin(), order.end(),
                   [&](TensorId a, TensorId b) { return program.tensors[a].bytes > program.tensors[b].bytes; });
  std::vector<Placed> placed;
  uint64_t activations_end = at;
  for (const TensorId id : order) {
    Tensor& tensor = program.tensors[id];
    const uint64_t bytes = align_up(tensor.bytes, tensor_alignment) + 2 * guard_bytes;
    const uint64_t begin = lowest_gap(placed, bytes, tensor.first_op, tensor.last_op);
    tensor.offset = at + begin + guard_bytes;
    activations_end = std::max(activations_end, at + begin + bytes);
    const Placed place = {begin, begin + bytes, tensor.first_op, tensor.last_op};
    placed.insert(std::upper_bound(placed.begin(), placed.end(), place,
                                   [](const Placed& a, const Placed& b) { return a.begin < b.begin; }),
                  place);
  }
  at = close(Segment::activations, at, activations_end);
  program.scratch_offset = at + guard_bytes;
  at = close(Segment::scratch, at, program.scratch_offset + program.scratch_bytes + guard_bytes);
  at = close(Segment::staging, at, in_order(Segment::staging, at));

  // Parts move with their blocks.
  for (Tensor& tensor : program.tensors)
    if (tensor.part_of != no_tensor) tensor.offset += program.tensors[tensor.part_of].offset;
  program.region_bytes = align_up(at, 4096);
  return Status::ok;
}

}  // namespace lt
