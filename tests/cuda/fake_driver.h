// A GPU that is not there: the driver's table on the host's memory. Streams do their work when they are waited for, not
// before, as a device would; captured work goes into graphs, loops included, and is done at each launch; own kernels run in
// the emulation. What the driver's documentation forbids is complained about (fake.h). One thread.
#pragma once

#include <cstdint>

#include "backends/cuda/driver.h"
#include "backends/cuda/libraries.h"

namespace lt::cuda::fake {

// What the machine is like; changed before a device is opened.
struct Machine {
  int driver_version = CUDA_VERSION;
  int devices = 1;
  int compute_capability = 90;
  uint64_t memory_bytes = uint64_t{1} << 30;
  bool held_exclusively = false;
  bool runs_images = true;          // false: no image of this build is for this GPU
  const char* no_driver = nullptr;  // the sentence of a machine without one; likewise the libraries
  const char* no_cudnn = nullptr;
  const char* no_cublaslt = nullptr;
};
Machine& machine();

// How often each function was called since the last reset.
uint64_t calls_of(const char* driver_function);
void reset_calls();
// Bytes of device memory and of pinned memory that are held.
uint64_t device_bytes_held();
uint64_t pinned_bytes_held();
// From now on every wait for the device fails as after a fault on it.
void lose_device(bool lost);
// Everything back to how a test starts: the machine as above, nothing captured, nothing to fail. Memory that is still held
// is a complaint.
void reset();

const DriverTable& driver_table();
// Fakes of the driver, cuDNN and cuBLASLt.
extern const LibrarySource libraries;

}  // namespace lt::cuda::fake
