// ReLU and dropout on rows, one pass over the row: see activation.h. Dropout draws four numbers a counter, so one vector of
// counters in 64-bit lanes gives two vectors of floats. Called by any thread on rows of its own; allocates nothing.
#include "backends/cpu/highway/activation.h"

#include <cstring>

#include "src/base/philox.h"
#include "src/op.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/activation.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef LT_HIGHWAY_ACTIVATION_ONCE
#define LT_HIGHWAY_ACTIVATION_ONCE
namespace lt::cpu::highway {
namespace {

struct Row {
  float* y;
  uint8_t* mask;
  uint64_t elements;
};

struct Draw {
  uint64_t seed, step;
  uint32_t layer, sample, threshold;
  float scale;
};

// What the vectors leave over, and all of the row where there is but one lane.
void dropout_scalar(const Row& row, uint64_t begin, bool relu, const Draw& draw) {
  Philox4 random{};
  for (uint64_t e = begin; e < row.elements; ++e) {
    if (draw.threshold != 0 && (e == begin || e % 4 == 0)) {
      const auto block = static_cast<uint32_t>(e / 4);
      random = philox4x32(philox_counter(RandomStream::dropout, draw.layer, draw.step, draw.sample, block), draw.seed);
    }
    const bool keep = draw.threshold == 0 || random.v[e % 4] >= draw.threshold;
    const float value = relu && row.y[e] < 0 ? 0 : row.y[e];
    if (keep && (!relu || value > 0)) row.mask[e / 8] = static_cast<uint8_t>(row.mask[e / 8] | 1u << (e % 8));
    row.y[e] = keep ? value * draw.scale : 0;
  }
}

void backward_scalar(const float* dy, const float* y, const uint8_t* mask, uint64_t begin, uint64_t elements, bool relu,
                     float scale, float* dz) {
  for (uint64_t e = begin; e < elements; ++e) {
    if (mask != nullptr)
      dz[e] = mask[e / 8] >> (e % 8) & 1 ? dy[e] * scale : 0;
    else
      dz[e] = !relu || y[e] > 0 ? dy[e] : 0;
  }
}

}  // namespace
}  // namespace lt::cpu::highway
#endif

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;

// Not Max: what it makes of a NaN depends on the processor, and a NaN has to reach the loss.
template <class V>
HWY_INLINE V relu_of(F32 d, V v) {
  return hn::IfThenZeroElse(hn::Lt(v, hn::Zero(d)), v);
}

#if HWY_TARGET != HWY_SCALAR
// The mask's bits of two vectors, 2 * Lanes elements from element e on, which is a multiple of as many.
template <class M>
HWY_INLINE void store_bits(F32 d, M low, M high, uint8_t* mask, uint64_t e) {
  constexpr size_t lanes = hn::MaxLanes(F32());
  uint8_t low_bits[8], high_bits[8];
  hn::StoreMaskBits(d, low, low_bits);
  hn::StoreMaskBits(d, high, high_bits);
  if constexpr (lanes == 4) {
    mask[e / 8] = static_cast<uint8_t>(low_bits[0] | high_bits[0] << 4);
  } else {
    std::memcpy(mask + e / 8, low_bits, lanes / 8);
    std::memcpy(mask + (e + lanes) / 8, high_bits, lanes / 8);
  }
}

HWY_INLINE hn::Mask<F32> load_bits(F32 d, const uint8_t* mask, uint64_t e) {
  constexpr size_t lanes = hn::MaxLanes(F32());
  uint8_t bits[8] = {};
  if constexpr (lanes == 4)
    bits[0] = static_cast<uint8_t>(mask[e / 8] >> (e % 8));
  else
    std::memcpy(bits, mask + e / 8, lanes / 8);
  return hn::LoadMaskBits(d, bits);
}

// Philox with a counter in each 64-bit lane; the upper halves of its words hold leftovers, which no multiplication reads.
// Even lanes hold the first half of the blocks in order, odd lanes the second half, so that interleaving the words gives
// the elements in order: `low` those of the first half.
HWY_INLINE void draw_words(const Draw& draw, uint64_t e, hn::Vec<hn::RebindToUnsigned<F32>>& low,
                           hn::Vec<hn::RebindToUnsigned<F32>>& high) {
  const hn::ScalableTag<uint64_t> d64;
  const hn::RebindToUnsigned<F32> d32;
  using V = hn::Vec<decltype(d64)>;
  const size_t blocks = hn::Lanes(d64);
  const V lane = hn::Iota(d64, 0);
  const V odd = hn::And(lane, hn::Set(d64, uint64_t{1}));
  const V order =
      hn::Add(hn::ShiftRight<1>(lane), hn::And(hn::Sub(hn::Zero(d64), odd), hn::Set(d64, uint64_t{blocks / 2})));
  const auto counter = philox_counter(RandomStream::dropout, draw.layer, draw.step, draw.sample, 0);
  V c0 = hn::Add(hn::Set(d64, e / 4), order), c1 = hn::Set(d64, uint64_t{counter.v[1]});
  V c2 = hn::Set(d64, uint64_t{counter.v[2]}), c3 = hn::Set(d64, uint64_t{counter.v[3]});
  const auto multiplier0 = hn::BitCast(d32, hn::Set(d64, uint64_t{philox_multiplier0}));
  const auto multiplier1 = hn::BitCast(d32, hn::Set(d64, uint64_t{philox_multiplier1}));
  uint32_t key0 = static_cast<uint32_t>(draw.seed), key1 = static_cast<uint32_t>(draw.seed >> 32);
  for (int round = 0; round < philox_rounds; ++round) {
    const V product0 = hn::MulEven(hn::BitCast(d32, c0), multiplier0);
    const V product1 = hn::MulEven(hn::BitCast(d32, c2), multiplier1);
    c0 = hn::Xor(hn::ShiftRight<32>(product1), hn::Xor(c1, hn::Set(d64, uint64_t{key0})));
    c2 = hn::Xor(hn::ShiftRight<32>(product0), hn::Xor(c3, hn::Set(d64, uint64_t{key1})));
    c1 = product1;
    c3 = product0;
    key0 += philox_weyl0;
    key1 += philox_weyl1;
  }
  const auto pair = [=](V first, V second) HWY_ATTR {
    const auto shifted = hn::BitCast(d32, hn::ShiftLeft<32>(second));
    return hn::BitCast(d64, hn::OddEven(shifted, hn::BitCast(d32, first)));
  };
  const V words01 = pair(c0, c1), words23 = pair(c2, c3);
  low = hn::BitCast(d32, hn::InterleaveLower(d64, words01, words23));
  high = hn::BitCast(d32, hn::InterleaveUpper(d64, words01, words23));
}

uint64_t dropout_vectors(const Row& row, bool relu, const Draw& draw) {
  const F32 d;
  const hn::RebindToUnsigned<F32> d32;
  const size_t lanes = hn::Lanes(d);
  const auto zero = hn::Zero(d), scale = hn::Set(d, draw.scale);
  const auto below = hn::Set(d32, draw.threshold - 1);  // kept: words above it
  uint64_t e = 0;
  for (; e + 2 * lanes <= row.elements; e += 2 * lanes) {
    auto low = hn::LoadU(d, row.y + e), high = hn::LoadU(d, row.y + e + lanes);
    auto keep_low = hn::Eq(zero, zero), keep_high = keep_low;
    if (draw.threshold != 0) {
      auto words_low = hn::Zero(d32), words_high = words_low;
      draw_words(draw, e, words_low, words_high);
      keep_low = hn::RebindMask(d, hn::Gt(words_low, below));
      keep_high = hn::RebindMask(d, hn::Gt(words_high, below));
    }
    if (relu) {
      store_bits(d, hn::And(keep_low, hn::Gt(low, zero)), hn::And(keep_high, hn::Gt(high, zero)), row.mask, e);
      low = relu_of(d, low);
      high = relu_of(d, high);
    } else {
      store_bits(d, keep_low, keep_high, row.mask, e);
    }
    hn::StoreU(hn::IfThenElseZero(keep_low, hn::Mul(low, scale)), d, row.y + e);
    hn::StoreU(hn::IfThenElseZero(keep_high, hn::Mul(high, scale)), d, row.y + e + lanes);
  }
  return e;
}
#endif

void Forward(float* y, uint64_t elements, bool relu, const Dropout* dropout, uint32_t sample, uint8_t* mask_row) {
  if (dropout != nullptr) {
    const Row row{y, mask_row, elements};
    const Draw draw{dropout->seed,
                    dropout->step,
                    dropout->layer_index,
                    sample,
                    dropout_threshold(dropout->rate),
                    1.0f / (1.0f - dropout->rate)};
    uint64_t done = 0;
#if HWY_TARGET != HWY_SCALAR
    done = dropout_vectors(row, relu, draw);
#endif
    std::memset(mask_row + done / 8, 0, mask_row_bytes(elements) - done / 8);
    dropout_scalar(row, done, relu, draw);
    return;
  }
  if (!relu) return;
  uint64_t e = 0;
#if HWY_TARGET != HWY_SCALAR
  const F32 d;
  for (; e + hn::Lanes(d) <= elements; e += hn::Lanes(d)) hn::StoreU(relu_of(d, hn::LoadU(d, y + e)), d, y + e);
#endif
  for (; e < elements; ++e) y[e] = y[e] < 0 ? 0 : y[e];
}

void Backward(const float* dy, const float* y, const uint8_t* mask_row, uint64_t elements, bool relu, float scale,
              float* dz) {
  const F32 d;
  uint64_t e = 0;
  if (mask_row == nullptr) {
    if (!relu) {
      if (dz != dy) std::memcpy(dz, dy, elements * sizeof(float));
      return;
    }
    for (; e + hn::Lanes(d) <= elements; e += hn::Lanes(d))
      hn::StoreU(hn::IfThenElseZero(hn::Gt(hn::LoadU(d, y + e), hn::Zero(d)), hn::LoadU(d, dy + e)), d, dz + e);
  } else {
#if HWY_TARGET != HWY_SCALAR
    const auto scales = hn::Set(d, scale);
    for (; e + hn::Lanes(d) <= elements; e += hn::Lanes(d))
      hn::StoreU(hn::IfThenElseZero(load_bits(d, mask_row, e), hn::Mul(hn::LoadU(d, dy + e), scales)), d, dz + e);
#endif
  }
  backward_scalar(dy, y, mask_row, e, elements, relu, scale, dz);
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {
LT_HIGHWAY_TABLE(ActivationForward*, activation_forward_table, Forward);
LT_HIGHWAY_TABLE(ActivationBackward*, activation_backward_table, Backward);
}  // namespace lt::cpu::highway
#endif
