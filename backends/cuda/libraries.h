// The vendor's libraries, opened when they are first asked for and kept open. Looked for in $LEAN_TRAIN_CUDA_PATH (folders
// separated by colons), then where the loader looks, then in CUDA's usual folders, then in the layout of pip's packages.
// Tests give a device tables of their own instead.
#pragma once

#include <cuda.h>

#include "backends/cuda/driver.h"
#include "src/base/status.h"

namespace lt::cuda {

struct CudnnTable;
struct CublasLtTable;

// Where a device gets its tables. Each function fails with Status::device and the reason; any thread may call them.
struct LibrarySource {
  Status (*driver)(const DriverTable** table);
  Status (*cudnn)(const CudnnTable** table);
  Status (*cublaslt)(const CublasLtTable** table);
};

extern const LibrarySource installed_libraries;

}  // namespace lt::cuda
