#include "src/executor.h"

#include <cstring>

namespace lt {

Status check_run(const Program& program, uint32_t first, uint32_t last, const RunArguments& arguments) {
  if (first > last || last > program.ops.size())
    return fail(Status::argument, "run: operations %u to %u, the program has %zu", first, last, program.ops.size());
  if (arguments.samples == 0 || arguments.samples > program.micro_batch)
    return fail(Status::argument, "run: %u samples, the program takes 1 to %u", arguments.samples, program.micro_batch);
  return Status::ok;
}

Status check_piece(const Program& program, TensorId tensor, uint64_t offset_bytes, uint64_t bytes) {
  if (tensor >= program.tensors.size())
    return fail(Status::argument, "tensor %u: the program has %zu", tensor, program.tensors.size());
  const Tensor& t = program.tensors[tensor];
  if (offset_bytes > t.bytes || bytes > t.bytes - offset_bytes)
    return fail(Status::argument, "%s: %llu bytes from byte %llu on asked for, the tensor has %llu", t.name.c_str(),
                static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(offset_bytes),
                static_cast<unsigned long long>(t.bytes));
  return Status::ok;
}

Status HostExecutor::upload(TensorId destination, uint64_t offset_bytes, const void* source, uint64_t bytes) {
  LT_TRY(check_piece(program_, destination, offset_bytes, bytes));
  std::memcpy(region_ + program_.tensors[destination].offset + offset_bytes, source, bytes);
  copies_are_stale_ |= program_.tensors[destination].segment == Segment::parameters;
  return Status::ok;
}

Status HostExecutor::download(TensorId source, uint64_t offset_bytes, void* destination, uint64_t bytes) {
  LT_TRY(check_piece(program_, source, offset_bytes, bytes));
  std::memcpy(destination, region_ + program_.tensors[source].offset + offset_bytes, bytes);
  return Status::ok;
}

}  // namespace lt
