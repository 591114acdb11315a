// What the fake of cuDNN's recurrent layers (fake_cudnn_rnn.cpp) and the rest of the fake share.
#pragma once

#include <string>

#include "backends/cuda/cudnn/table.h"

namespace lt::cuda::fake {

// fake_cudnn_rnn.cpp: GRU and LSTM of one layer, by the reference device's functions.
void fill_rnn(CudnnTable* table);

// fake_cudnn.cpp

// A complaint; gives the status.
cudnnStatus_t refuse(cudnnStatus_t status, const char* function, const std::string& why);
// What the library may do without the caller being at fault.
cudnnStatus_t unsupported(const std::string& why);
bool is_handle(cudnnHandle_t handle);
cudaStream_t stream_of(cudnnHandle_t handle);
// For take_executed_engines.
void note_executed(const std::string& engine);

}  // namespace lt::cuda::fake
