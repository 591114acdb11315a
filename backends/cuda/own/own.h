// The own kernels as operations of the CUDA backend, and the parts of operations that a library's product needs around it.
// A maker is called in set-up and gives null after fail(Status::unsupported, ...) where it has no kernel for the op; what
// enqueue_... puts on the site's stream allocates nothing and may be captured.
#pragma once

#include <cstdint>
#include <memory>

#include "backends/cuda/kernel.h"

namespace lt::cuda {

// Around a library's product. A product, z, is [sample][conv_extent] for a convolution and [sample][y_extent] else, of
// `type` f32 or bf16; memory that these are given is aligned to tensor_alignment.

// y = dropout(relu(max_pool(product + bias))), with argmax and mask where the op has them. `bias` is null where the product
// holds it already or the op has none. Without a pool, product may be y itself where their types are equal.
Status enqueue_epilogue(const Site& site, const Op& op, const void* product, DType type, const float* bias);

// dz = the gradient in front of all that: dropout, ReLU and pool undone, in any case converted from dy's type to `type`.
// Without a pool, dz may be dy itself where their types are equal.
Status enqueue_epilogue_backward(const Site& site, const Op& op, void* dz, DType type);

// dbias[column] = the sum over `rows` of dz[row][column], added to dbias where the site accumulates. In an order that
// depends on `rows` and `columns` alone. `partials` is scratch.
uint64_t column_sums_scratch_bytes(uint64_t rows, uint32_t columns);
Status enqueue_column_sums(const Site& site, const void* dz, DType type, uint64_t rows, uint32_t columns, float* dbias,
                           void* partials);

}  // namespace lt::cuda
