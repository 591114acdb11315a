// What lives where and when: one rectangle a tensor, from its first operation to its last and from its offset up by its
// bytes. One thread.
#pragma once

#include <string>

#include "tools/report/run_reader.h"
#include "tools/report/svg.h"

namespace lt::tool {

// Parameters, state, activations, gradients, masks and places of maxima, staging and what else: a tensor's kind by its
// segment and name, which is also the colour it is drawn in.
enum class TensorKind : uint8_t { parameters, state, activation, gradient, bookkeeping, scratch, staging };
TensorKind tensor_kind(const TensorRecord& tensor);
const char* tensor_kind_name(TensorKind kind);

// `run` has operations and tensors.
Picture draw_memory_map(const std::string& id, const Run& run);

}  // namespace lt::tool
