// What executors share: the checks of what they are asked, and the part of one whose region lies in the host's memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/backend.h"

namespace lt {

// Executor::run's arguments against the program: Status::argument and a sentence where they do not fit.
Status check_run(const Program& program, uint32_t first, uint32_t last, const RunArguments& arguments);
// A piece of a tensor, for upload and download.
Status check_piece(const Program& program, TensorId tensor, uint64_t offset_bytes, uint64_t bytes);

// Copies in and out of a region that the caller owns, and whether parameters came in since their bf16 copies were made.
class HostExecutor : public Executor {
 public:
  Status upload(TensorId destination, uint64_t offset_bytes, const void* source, uint64_t bytes) final;
  Status download(TensorId source, uint64_t offset_bytes, void* destination, uint64_t bytes) final;
  Status synchronize() final { return Status::ok; }
  std::byte* staging(TensorId tensor) final { return region_ + program_.tensors[tensor].offset; }

 protected:
  HostExecutor(const Program& program, std::byte* region) : program_(program), region_(region) {}

  const Program program_;
  std::byte* const region_;
  bool copies_are_stale_ = false;
};

}  // namespace lt
