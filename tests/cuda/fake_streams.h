// Streams and graphs of the fake driver, and what they share with the rest of it.
#pragma once

#include "backends/cuda/driver.h"

namespace lt::cuda::fake {

// fake_streams.cpp
void fill_streams(DriverTable* table);
void finish_all_streams();

// fake_driver.cpp
void count_call(const char* driver_function);
bool has_context();

}  // namespace lt::cuda::fake
