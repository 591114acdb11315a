// See gemm_case.h.
#include "tests/cuda/gemm_case.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "src/base/philox.h"
#include "tests/cuda/emulation/launch.h"

namespace lt::cuda::test {
namespace {

const char* name_of(KernelId id) {
  static constexpr const char* names[] = {
#define LT_NAME(module, kernel, Arguments) #kernel,
      LT_CUDA_KERNELS(LT_NAME)
#undef LT_NAME
  };
  return names[static_cast<uint32_t>(id)];
}

double number(const GemmCase& c, uint32_t which, uint64_t i) {
  const uint32_t bits =
      philox4x32(philox_counter(RandomStream::synthetic, which, 0, 0, static_cast<uint32_t>(i)), c.seed).v[0];
  if (c.whole_numbers) return static_cast<double>(bits % 7) - 3;
  return static_cast<double>(round_to(c.precision, 2 * philox_uniform(bits) - 1));
}

std::vector<double> numbers(const GemmCase& c, uint32_t which, uint64_t n) {
  std::vector<double> all(n);
  for (uint64_t i = 0; i < n; ++i) all[i] = number(c, which, i);
  return all;
}

// A tensor of rows of `pitch` elements, the first `channels` of which are given; zeros behind them.
Memory to_device(const GemmCase& c, const std::vector<double>& values, uint32_t channels, uint32_t pitch) {
  const uint64_t rows = values.size() / channels;
  const uint32_t element_bytes = dtype_bytes(gemm_type(c.precision));
  Memory memory(rows * pitch * element_bytes);
  std::memset(memory.data(), 0, memory.bytes());
  for (uint64_t row = 0; row < rows; ++row)
    for (uint32_t channel = 0; channel < channels; ++channel) {
      const auto value = static_cast<float>(values[row * channels + channel]);
      uint8_t* const to = memory.data() + (row * pitch + channel) * element_bytes;
      const uint16_t bits = bf16_bits(value);
      if (element_bytes == 2)
        std::memcpy(to, &bits, 2);
      else
        std::memcpy(to, &value, 4);
    }
  return memory;
}

// Calls tap(z element of the first channel, x element of the first channel, tap).
template <class Tap>
void for_taps(const GemmCase& c, const Tap& tap) {
  const uint64_t kernel = c.window.kernel;
  for (uint64_t sample = 0; sample < c.samples; ++sample)
    for (uint64_t row = 0; row < c.z.height; ++row)
      for (uint64_t column = 0; column < c.z.width; ++column)
        for (uint64_t at = 0; at < kernel * kernel; ++at) {
          const uint64_t x_row = row * c.window.stride + at / kernel - c.window.padding;
          const uint64_t x_column = column * c.window.stride + at % kernel - c.window.padding;
          if (x_row >= c.x.height || x_column >= c.x.width) continue;
          tap(((sample * c.z.height + row) * c.z.width + column) * c.z.channels,
              ((sample * c.x.height + x_row) * c.x.width + x_column) * c.x.channels, at);
        }
}

void add(Expected& to, uint64_t i, double product) {
  to.sums[i] += product;
  to.magnitudes[i] += std::fabs(product);
}

Expected zeros(uint64_t n) { return {std::vector<double>(n), std::vector<double>(n)}; }

}  // namespace

Memory::Memory(uint64_t bytes) : bytes_(bytes) {
  void* data = nullptr;
  if (posix_memalign(&data, tensor_alignment, bytes) != 0) std::abort();
  data_.reset(static_cast<uint8_t*>(data));
  std::memset(data, 0xff, bytes);
}
void Memory::Free::operator()(uint8_t* p) const { std::free(p); }

float bf16_value(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }
uint16_t bf16_bits(float value) {
  // By comparing with both neighbours, which is slow and another way than the kernels'.
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto low = static_cast<uint16_t>(bits >> 16);
  if ((bits & 0xffff) == 0) return low;
  if (std::isnan(value)) return uint16_t{0x7fff};
  const auto high = static_cast<uint16_t>(low + 1);
  const double to_low = std::fabs(double{value} - double{bf16_value(low)});
  const double to_high = std::fabs(double{bf16_value(high)} - double{value});
  return to_low < to_high || (to_low == to_high && low % 2 == 0) ? low : high;
}
float round_to(GemmPrecision precision, float value) {
  if (precision == GemmPrecision::f32 || value == 0) return value;
  if (precision == GemmPrecision::bf16) return bf16_value(bf16_bits(value));
  int exponent;
  const double fraction = std::frexp(double{value}, &exponent);  // 11 bits of it are kept
  return static_cast<float>(std::ldexp(std::round(fraction * 2048), exponent - 11));
}

GemmTensors::GemmTensors(const GemmCase& c)
    : x(numbers(c, 1, c.samples * c.x.elements())),
      weight(numbers(c, 2, uint64_t{c.z.channels} * c.window.kernel * c.window.kernel * c.x.channels)),
      dz(numbers(c, 3, c.samples * c.z.elements())),
      bias(numbers(c, 4, c.z.channels)) {}

Expected forward_of(const GemmCase& c, const GemmTensors& t) {
  Expected z = zeros(c.samples * c.z.elements());
  const uint64_t taps = uint64_t{c.window.kernel} * c.window.kernel;
  for_taps(c, [&](uint64_t at_z, uint64_t at_x, uint64_t tap) {
    for (uint64_t o = 0; o < c.z.channels; ++o)
      for (uint64_t i = 0; i < c.x.channels; ++i)
        add(z, at_z + o, t.x[at_x + i] * t.weight[(o * taps + tap) * c.x.channels + i]);
  });
  return z;
}
Expected dx_of(const GemmCase& c, const GemmTensors& t) {
  Expected dx = zeros(c.samples * c.x.elements());
  const uint64_t taps = uint64_t{c.window.kernel} * c.window.kernel;
  for_taps(c, [&](uint64_t at_z, uint64_t at_x, uint64_t tap) {
    for (uint64_t o = 0; o < c.z.channels; ++o)
      for (uint64_t i = 0; i < c.x.channels; ++i)
        add(dx, at_x + i, t.dz[at_z + o] * t.weight[(o * taps + tap) * c.x.channels + i]);
  });
  return dx;
}
Expected weights_of(const GemmCase& c, const GemmTensors& t) {
  const uint64_t taps = uint64_t{c.window.kernel} * c.window.kernel;
  Expected dweight = zeros(c.z.channels * taps * c.x.channels);
  for_taps(c, [&](uint64_t at_z, uint64_t at_x, uint64_t tap) {
    for (uint64_t o = 0; o < c.z.channels; ++o)
      for (uint64_t i = 0; i < c.x.channels; ++i)
        add(dweight, (o * taps + tap) * c.x.channels + i, t.dz[at_z + o] * t.x[at_x + i]);
  });
  return dweight;
}

Outcome run_product(GemmKind kind, const GemmCase& c, const GemmTensors& t, const std::vector<float>& before) {
  const uint32_t z_pitch = c.z_pitch != 0 ? c.z_pitch : c.z.channels;
  Outcome outcome;
  GemmProduct product;
  if (!ok(GemmProduct::make(kind, c.precision, {c.x, c.z, c.window, c.pooled, z_pitch}, c.samples, c.multiprocessors,
                            c.name.c_str(), &product))) {
    outcome.error = last_error();
    return outcome;
  }
  product.set_plan(c.plan);
  Memory x = to_device(c, t.x, c.x.channels, c.x.channels);
  Memory weight = to_device(c, t.weight, c.x.channels, c.x.channels);
  Memory dz = to_device(c, t.dz, c.z.channels, z_pitch);
  Memory bias(c.z.channels * sizeof(float)), partials(product.scratch_bytes()), state(sizeof(StepState));
  for (uint64_t i = 0; i < t.bias.size(); ++i) reinterpret_cast<float*>(bias.data())[i] = static_cast<float>(t.bias[i]);
  StepState step;
  step.seed = c.seed;
  step.step = 5;
  std::memcpy(state.data(), &step, sizeof step);

  const bool bf16 = c.precision == GemmPrecision::bf16 && kind != GemmKind::weights && !c.f32_result;
  const uint64_t positions = c.pooled ? uint64_t{c.z.height / 2} * (c.z.width / 2) : uint64_t{c.z.height} * c.z.width;
  const uint64_t y_elements = positions * c.z.channels;
  const uint64_t elements = kind == GemmKind::forward ? c.samples * y_elements
                            : kind == GemmKind::dx    ? t.x.size()
                                                      : t.weight.size();
  Memory result(elements * (bf16 ? 2 : 4));
  if (!before.empty()) std::memcpy(result.data(), before.data(), result.bytes());
  Memory argmax(elements), mask(c.samples * mask_row_bytes(y_elements));
  GemmResult r;
  r.c = result.data();
  r.bf16 = bf16;
  r.accumulate = c.accumulate;
  if (kind == GemmKind::forward) {
    r.relu = c.relu;
    if (c.bias) r.bias = reinterpret_cast<const float*>(bias.data());
    if (c.pooled && c.argmax) r.argmax = argmax.data();
    if (c.dropout >= 0) {
      r.mask = mask.data();
      r.dropout = c.dropout;
      r.dropout_scale = static_cast<float>(1 / (1 - static_cast<double>(c.dropout)));
      r.state = reinterpret_cast<const StepState*>(state.data());
      r.layer = 3;
      r.sample_offset = c.sample_offset;
    }
  }
  const void* image = kind == GemmKind::dx ? dz.data() : x.data();
  const void* matrix = kind == GemmKind::weights ? dz.data() : weight.data();
  const GemmCall call = product.call(c.samples, image, matrix, r, partials.data());
  const auto grid = [](Grid g) { return emulation::Grid{g.x, g.y, g.z}; };
  outcome.error = emulation::launch(name_of(call.kernel), grid(call.grid), gemm_threads, 0, &call.arguments);
  if (outcome.error.empty() && call.reduce_blocks != 0)
    outcome.error = emulation::launch("gemm_reduce", {call.reduce_blocks, 1, 1}, gemm_reduce_threads, 0, &call.reduce);
  outcome.values.resize(elements);
  for (uint64_t i = 0; i < elements; ++i) {
    uint16_t bits;
    if (bf16)
      std::memcpy(&bits, result.data() + 2 * i, 2), outcome.values[i] = bf16_value(bits);
    else
      std::memcpy(&outcome.values[i], result.data() + 4 * i, 4);
  }
  if (c.pooled) outcome.argmax.assign(argmax.data(), argmax.data() + elements);
  outcome.mask.assign(mask.data(), mask.data() + mask.bytes());
  return outcome;
}

}  // namespace lt::cuda::test
