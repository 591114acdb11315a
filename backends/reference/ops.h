// The reference device's operations, one function a kind, and what they share: where a run finds its memory, how weights
// lie, and the parts of which the joined operations are composed. No function allocates; scratch is the region's.
// Everything is called by the executor's thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/backend.h"
#include "src/base/checked.h"
#include "src/op.h"

namespace lt::reference {

// Hands out parts of the scratch one behind the other, each aligned like a tensor.
class Scratch {
 public:
  explicit Scratch(std::byte* begin) : next_(begin) {}
  template <class T>
  T* take(uint64_t elements) {
    T* part = reinterpret_cast<T*>(next_);
    next_ += bytes<T>(elements);
    return part;
  }
  template <class T>
  static constexpr uint64_t bytes(uint64_t elements) {
    return align_up(elements * sizeof(T), tensor_alignment);
  }

 private:
  std::byte* next_;
};

struct Context {
  const Program* program;
  const RunArguments* arguments;
  std::byte* region;

  // The tensor's first element, or null for no_tensor.
  template <class T>
  T* at(TensorId id) const {
    return id == no_tensor ? nullptr : reinterpret_cast<T*>(region + program->tensors[id].offset);
  }
  // The elements of one sample of a tensor that has `elements` a sample; null stays null.
  template <class T>
  T* row(TensorId id, uint32_t sample, uint64_t elements) const {
    T* first = at<T>(id);
    return first == nullptr ? nullptr : first + sample * elements;
  }
  Scratch scratch() const { return Scratch(region + program->scratch_offset); }
};

// The weight of input `k` (of fan_in) and output `o` lies at element k * input + o * output, in either layout.
struct WeightStrides {
  uint64_t input, output;
};
constexpr WeightStrides weight_strides(WeightLayout layout, uint64_t fan_in, uint64_t out) {
  return layout == WeightLayout::in_out ? WeightStrides{out, 1} : WeightStrides{1, fan_in};
}

// sums[o] += x * w[o * stride], the one inner loop of all products. Unit stride apart so that the compiler sees it.
template <class T>
inline void add_scaled(double* sums, uint64_t sums_stride, double x, const T* w, uint64_t w_stride, uint64_t n) {
  if (sums_stride == 1 && w_stride == 1) {
    for (uint64_t o = 0; o < n; ++o) sums[o] += x * static_cast<double>(w[o]);
  } else {
    for (uint64_t o = 0; o < n; ++o) sums[o * sums_stride] += x * static_cast<double>(w[o * w_stride]);
  }
}

// destination[i] = sums[i], or += where accumulate.
void store_sums(const double* sums, uint64_t n, bool accumulate, float* destination);

// Parts of the joined operations; all work on one sample.

// The first of the largest elements of each window; NaN counts as larger than any number. argmax may be null.
void max_pool(const float* x, Extent x_extent, Window pool, Extent y_extent, float* y, uint8_t* argmax);
// dx = dy at each window's winner, added where windows overlap, and 0 elsewhere.
void max_unpool(const float* dy, const uint8_t* argmax, Extent x_extent, Window pool, Extent y_extent, float* dx);
// ReLU and dropout of `op` on y in place, as the run's arguments say; sample counts from the start of the micro-batch.
// mask_row may be null.
void relu_dropout(const Op& op, const RunArguments& arguments, uint32_t sample, float* y, uint8_t* mask_row);
// The gradient in front of ReLU and dropout. dz may be dy.
void relu_dropout_backward(const Op& op, const RunArguments& arguments, const float* dy, const float* y,
                           const uint8_t* mask_row, float* dz);

// What an update changes: weights and states (as far as the optimizer has them) `stride` apart, by gradients side by side.
struct UpdatePiece {
  float *w, *state, *state2;
  const float* g;
  uint64_t elements, stride;
};
void update_piece(OpKind kind, const RunArguments& arguments, const UpdatePiece& piece);
// By the statistics that an update reads; true where it reads none.
bool loss_was_finite(const Op& op, const Context& context);

void input(const Op& op, const Context& context);
void conv2d(const Op& op, const Context& context);
void conv2d_backward(const Op& op, const Context& context);
void linear(const Op& op, const Context& context);
void linear_backward(const Op& op, const Context& context);
void activation(const Op& op, const Context& context);
void activation_backward(const Op& op, const Context& context);
void average_pool(const Op& op, const Context& context);
void recurrent(const Op& op, const Context& context);
void recurrent_backward(const Op& op, const Context& context);
void embedding(const Op& op, const Context& context);
void embedding_backward(const Op& op, const Context& context);
void embedding_catch_up(const Op& op, const Context& context);
void softmax_cross_entropy(const Op& op, const Context& context);
void ctc(const Op& op, const Context& context);
void update(const Op& op, const Context& context);  // every kind of update

// Scratch of the kinds that need some.
uint64_t conv2d_scratch_bytes(const Op& op);
uint64_t conv2d_backward_scratch_bytes(const Op& op);
uint64_t linear_scratch_bytes(const Op& op);
uint64_t linear_backward_scratch_bytes(const Op& op, uint32_t micro_batch);
uint64_t activation_backward_scratch_bytes(const Op& op);
uint64_t average_pool_scratch_bytes(const Op& op);
uint64_t recurrent_scratch_bytes(const Op& op);
uint64_t recurrent_saved_bytes(const Op& op, uint32_t micro_batch);
uint64_t recurrent_backward_scratch_bytes(const Op& op);
uint64_t embedding_scratch_bytes(const Op& op);
uint64_t embedding_backward_scratch_bytes(const Op& op, uint32_t micro_batch);
uint64_t ctc_scratch_bytes(const Op& op);

}  // namespace lt::reference
