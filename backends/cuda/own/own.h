// The own kernels as operations of the CUDA backend, and the parts of operations that a library's product needs around it.
// A maker is called in set-up and gives null after fail(Status::unsupported, ...) where it has no kernel for the op; what
// enqueue_... puts on the site's stream allocates nothing and may be captured.
#pragma once

#include <cstdint>
#include <memory>

#include "backends/cuda/kernel.h"

namespace lt::cuda {

std::unique_ptr<Kernel> make_own_input(const KernelRequest& request);
std::unique_ptr<Kernel> make_own_sequence_input(const KernelRequest& request);  // y is a sequence, or of words
std::unique_ptr<Kernel> make_own_activation(const KernelRequest& request);
std::unique_ptr<Kernel> make_own_activation_backward(const KernelRequest& request);
std::unique_ptr<Kernel> make_own_average_pool(const KernelRequest& request);
std::unique_ptr<Kernel> make_own_softmax_cross_entropy(const KernelRequest& request);
std::unique_ptr<Kernel> make_own_ctc(const KernelRequest& request);
std::unique_ptr<Kernel> make_own_embedding(const KernelRequest& request);  // all three kinds
std::unique_ptr<Kernel> make_own_recurrent(const KernelRequest& request);
std::unique_ptr<Kernel> make_own_recurrent_backward(const KernelRequest& request);
std::unique_ptr<Kernel> make_own_update(const KernelRequest& request);

// Fills the copies of an update's parameters, for when these were changed otherwise than by the update.
Status enqueue_parameter_copies(const Site& site, const Op& update);

// Status::unsupported and a sentence where an op's pool, ReLU or dropout is more than the kernels below take: asked once,
// in set-up, by whoever calls them.
Status check_epilogue(const Op& op);

// Around a library's product. A product, z, is [sample][conv_extent] for a convolution and [sample][y_extent] else, of
// `type` f32 or bf16. Libraries want channels in whole 16 bytes: in memory a pixel of z takes `channels` of them, at least
// as many as z has. All memory is aligned to tensor_alignment.

// y = dropout(relu(max_pool(z + bias) + residual)), with argmax and mask where the op has them. `bias` is null where z
// holds it already or the op has none. Without a pool, z may be y itself where type and channels are the same. The op's
// residual, of `type`, may be y.
Status enqueue_epilogue(const Site& site, const Op& op, const void* z, DType type, uint32_t channels, const float* bias);

// dz = the gradient in front of all that: dropout, ReLU and pool undone, converted from dy's type to `type`; zero in the
// channels past those of z. Without a pool, dz may be dy itself where type and channels are the same.
Status enqueue_epilogue_backward(const Site& site, const Op& op, void* dz, DType type, uint32_t channels);

// dbias[column] = the sum over `rows` of dz[row][column], added to dbias where the site accumulates. From one row to the
// next are `channels` elements, at least `columns`. The order of the sum depends on `rows` and `columns` alone. `partials`
// is scratch.
uint64_t column_sums_scratch_bytes(uint64_t rows, uint32_t columns);
Status enqueue_column_sums(const Site& site, const void* dz, DType type, uint64_t rows, uint32_t columns, uint32_t channels,
                           float* dbias, void* partials);

// Products: convolutions and linear layers.
std::unique_ptr<Kernel> make_own_conv2d(const KernelRequest& request);
std::unique_ptr<Kernel> make_own_conv2d_backward(const KernelRequest& request);
std::unique_ptr<Kernel> make_own_linear(const KernelRequest& request);
std::unique_ptr<Kernel> make_own_linear_backward(const KernelRequest& request);

// Of programs in int8 (Op::scales): input, conv2d with all that follows it, average_pool. Bytes as src/base/int8.h has them.
std::unique_ptr<Kernel> make_own_int8(const KernelRequest& request);
std::unique_ptr<Kernel> make_own_int8_conv2d(const KernelRequest& request);

}  // namespace lt::cuda
