// Vectors, stores and maxima that the convolutions' inner kernels share, compiled once a target into each file that
// includes it, after hwy/highway.h. Nothing here owns memory; any thread may call.
#if defined(LT_CONV2D_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LT_CONV2D_INL_H
#undef LT_CONV2D_INL_H
#else
#define LT_CONV2D_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D = HWY_FULL(float);
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
using Index = hn::Vec<DI>;
constexpr size_t lanes = HWY_LANES(float);

constexpr uint64_t align(uint64_t floats) { return (floats + 15) / 16 * 16; }

constexpr uint64_t padded_channels(uint64_t channels) { return (channels + lanes - 1) / lanes * lanes; }

// How a matrix's columns are cut: whole vectors, the last perhaps partly used, and `tail` columns without one.
struct Columns {
  uint32_t vectors, tail;
};
HWY_INLINE Columns columns_of(uint32_t channels) {
  const uint32_t whole = static_cast<uint32_t>(channels / lanes), rest = static_cast<uint32_t>(channels % lanes);
  if (rest != 0 && rest <= lanes / 4 && whole != 0) return {whole, rest};
  return {whole + (rest != 0 ? 1 : 0), 0};
}

// In front of a loop of few, constant steps whose arrays have to become registers.
#undef LT_CONV2D_UNROLL
#if defined(__clang__)
#define LT_CONV2D_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LT_CONV2D_UNROLL _Pragma("GCC unroll 16")
#endif

// A function that starts on a line, so that where its loop lies does not depend on all code in front: an unlucky place
// costs up to 7 %.
#undef LT_CONV2D_LINE
#if defined(__GNUC__)
#define LT_CONV2D_LINE __attribute__((aligned(64)))
#else
#define LT_CONV2D_LINE
#endif

// Keeps a value in a register: without it GCC folds one load into each of the products that share it.
HWY_INLINE void keep_in_register(V& value) {
#if HWY_TARGET == HWY_AVX3 && defined(__GNUC__) && !defined(__clang__)
  asm("" : "+v"(value.raw));
#else
  (void)value;
#endif
}

// A pointer that the compiler takes as it comes: it would otherwise keep an address for every row and vector, more of them
// than there are registers, instead of one a row.
template <class T>
HWY_INLINE T* as_it_is(T* pointer) {
#if defined(__GNUC__)
  asm("" : "+r"(pointer));
#endif
  return pointer;
}

HWY_INLINE V relu_of(V value, bool relu) {
  // Not Max: a NaN stays a NaN.
  return relu ? hn::IfThenZeroElse(hn::Lt(value, hn::Zero(D())), value) : value;
}

// Where a few lanes can be loaded and stored without touching the memory beside them.
#undef LT_CONV2D_MASKS
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
#define LT_CONV2D_MASKS 1
#else
#define LT_CONV2D_MASKS 0
#endif

// The first `count` lanes, zeros behind them; reads nothing past them.
HWY_INLINE V load_some(const float* from, size_t count) {
  if (count >= lanes) return hn::LoadU(D(), from);
#if LT_CONV2D_MASKS
  return hn::MaskedLoad(hn::FirstN(D(), count), D(), from);
#else
  HWY_ALIGN float buffer[lanes] = {};
  for (size_t i = 0; i < count; ++i) buffer[i] = from[i];
  return hn::Load(D(), buffer);
#endif
}

HWY_INLINE void store_some(V value, float* to, size_t count) {
  if (count >= lanes) {
    hn::StoreU(value, D(), to);
  } else {
#if LT_CONV2D_MASKS
    hn::BlendedStore(value, hn::FirstN(D(), count), D(), to);
#else
    HWY_ALIGN float buffer[lanes];
    hn::Store(value, D(), buffer);
    for (size_t i = 0; i < count; ++i) to[i] = buffer[i];
#endif
  }
}

HWY_INLINE void store_some(Index value, uint8_t* to, size_t count) {
  const hn::Rebind<uint8_t, D> bytes;
  const auto narrow = hn::DemoteTo(bytes, value);
  if (count >= lanes) {
    hn::StoreU(narrow, bytes, to);
  } else {
#if HWY_TARGET == HWY_AVX3
    hn::BlendedStore(narrow, hn::FirstN(bytes, count), bytes, to);
#else
    HWY_ALIGN uint8_t buffer[lanes < 16 ? 16 : lanes];
    hn::StoreU(narrow, bytes, buffer);
    for (size_t i = 0; i < count; ++i) to[i] = buffer[i];
#endif
  }
}

// The running maximum, as PyTorch takes it: a NaN wins.
HWY_INLINE void take_larger(V candidate, int32_t place, V& largest, Index& index) {
  const auto take = hn::Or(hn::Gt(candidate, largest), hn::IsNaN(candidate));
  largest = hn::IfThenElse(take, candidate, largest);
  index = hn::IfThenElse(hn::RebindMask(DI(), take), hn::Set(DI(), place), index);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#endif  // LT_CONV2D_INL_H
