// Matrix product C = op(A) op(B) in fp32 with bias, ReLU or accumulation joined to its last store; what the linear layers
// and whoever else multiplies matrices stand on. All matrices are row-major with a leading dimension in elements.
//
// The caller owns all memory, scratch included; nothing is allocated. One call at a time per scratch. Every sum runs
// over k in the same order (steps of equal depth, by k alone, each summed from zero), however the product is cut into
// blocks, so a result depends neither on the thread count nor on the other rows and columns.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/thread_pool.h"

namespace lt::cpu::highway {

// C is m x n; op(A) is m x k, op(B) is k x n. A transposed operand lies in memory as k x m, or n x k.
struct GemmShape {
  uint32_t m = 0, n = 0, k = 0;
  bool a_transposed = false, b_transposed = false;
};

// C = relu(C * accumulate + op(A) op(B) + bias). bias has n elements, or is null. C overlaps neither A nor B.
// Where b_packed, b is what gemm_pack made of op(B), whichever way that lay; ldb is not read.
struct GemmOperands {
  const float* a;
  size_t lda;
  const float* b;
  size_t ldb;
  float* c;
  size_t ldc;
  const float* bias = nullptr;
  bool relu = false, accumulate = false, b_packed = false;
  // C = C - rate * op(A) op(B) instead, a step of gradient descent: only where gemm_descends, and with nothing else joined.
  bool descend = false;
  float rate = 0;
};

// Whether sums of this shape are whole when they meet C, which is then changed by them as by a matrix of their own.
bool gemm_descends(const GemmShape& shape, Target target);

// Scratch for this shape and every one with a smaller m, on a pool of so many threads.
uint64_t gemm_scratch_bytes(const GemmShape& shape, uint32_t threads, Target target);

// scratch: gemm_scratch_bytes, aligned to 64. pool: null runs on the calling thread alone.
void gemm(const GemmShape& shape, const GemmOperands& operands, ThreadPool* pool, std::byte* scratch, Target target);

// A B that meets many A may be brought into the product's own order once: k x n floats and some padding. The shape's m and
// a_transposed do not matter here. Without accumulation, a product has the same bits with B packed as with B itself.
uint64_t gemm_packed_bytes(const GemmShape& shape, Target target);
// packed: gemm_packed_bytes, aligned to 64.
void gemm_pack(const GemmShape& shape, const float* b, size_t ldb, ThreadPool* pool, float* packed, Target target);

}  // namespace lt::cpu::highway
