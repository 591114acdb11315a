// See embedding.h.
#include "backends/cuda/kernels/embedding.h"

#include "backends/cuda/kernels/adam.cuh"
#include "backends/cuda/kernels/bf16.h"
#include "backends/cuda/kernels/device.h"

namespace lt::cuda {

LT_DEVICE uint32_t count_of(const Positions& p) { return p.steps * p.samples; }
LT_DEVICE bool counts(const Positions& p, uint32_t position) {
  return p.lengths == nullptr || position / p.samples < p.lengths[position % p.samples];
}

LT_KERNEL(embedding_first, WordsArguments, words_threads) {
  const uint32_t position = blockIdx.x * blockDim.x + threadIdx.x;
  if (position < count_of(a.positions) && counts(a.positions, position)) atomicMax(a.first + a.words[position], ~position);
}

LT_KERNEL(embedding_number, WordsArguments, words_threads) {
  LT_SHARED(of_warps, uint32_t[words_threads / 32]);
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32, end = count_of(a.positions);
  uint32_t found = 0;
  for (uint32_t first = 0; first < end; first += blockDim.x) {
    const uint32_t position = first + threadIdx.x;
    const bool is_first = position < end && counts(a.positions, position) && a.first[a.words[position]] == ~position;
    const uint32_t firsts = __ballot_sync(~0u, is_first);
    if (lane == 0) of_warps[warp] = static_cast<uint32_t>(__popc(firsts));
    __syncthreads();
    uint32_t number = found + static_cast<uint32_t>(__popc(firsts & ((1u << lane) - 1)));
    for (uint32_t w = 0; w < warps; ++w) {
      if (w < warp) number += of_warps[w];
      found += of_warps[w];
    }
    if (is_first) {
      const int32_t word = a.words[position];
      a.numbers[word] = static_cast<int32_t>(number);
      a.word_of[number] = word;
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) a.rows[end] = static_cast<int32_t>(found);
}

LT_KERNEL(embedding_rows, WordsArguments, words_threads) {
  const uint32_t position = blockIdx.x * blockDim.x + threadIdx.x;
  if (position < count_of(a.positions)) a.rows[position] = counts(a.positions, position) ? a.numbers[a.words[position]] : 0;
}

// The steps that were put off, up to the one in front of this: a thread takes its own features through all of them, by
// rates that the block works out once.
LT_DEVICE void catch_up(const EmbeddingArguments& a, uint64_t row) {
  LT_SHARED(rates, AdamRates[embedding_threads]);
  const AdamNumber adam(*a.step);
  const int64_t last = a.last_steps[row], now = static_cast<int64_t>(a.step->step) - 1;
  for (uint32_t from = 0; from < a.features; from += blockDim.x) {
    const uint32_t feature = from + threadIdx.x;
    const uint64_t i = row * a.features + feature;
    float w = 0, m = 0, v = 0;
    if (feature < a.features) w = a.weight[i], m = a.state[i], v = a.state2[i];
    const bool moves = m != 0 || v != 0;  // else nothing has ever moved it
    for (int64_t step = last + 1; step <= now; step += blockDim.x) {
      const auto count = static_cast<uint32_t>(min(now - step + 1, static_cast<int64_t>(blockDim.x)));
      if (threadIdx.x < count) rates[threadIdx.x] = adam_rates(*a.step, static_cast<uint64_t>(step) + threadIdx.x);
      __syncthreads();
      if (moves)
        for (uint32_t k = 0; k < count; ++k) adam.step(rates[k], 0, &w, &m, &v);
      __syncthreads();
    }
    if (moves && now > last) a.weight[i] = w, a.state[i] = m, a.state2[i] = v;
  }
  __syncthreads();  // all have read the row's last step
  if (threadIdx.x == 0 && now > last) a.last_steps[row] = static_cast<int32_t>(now);
}

LT_DEVICE void store_y(const EmbeddingArguments& a, uint64_t i, float value) {
  if (a.bf16 != 0)
    store(static_cast<Bf16*>(a.y) + i, value);
  else
    static_cast<float*>(a.y)[i] = value;
}

// The words' rows are up to date.
LT_KERNEL(embedding_gather, EmbeddingArguments, embedding_threads) {
  const uint32_t position = blockIdx.x;
  const bool is_there = counts(a.positions, position);
  const uint64_t word = is_there ? static_cast<uint64_t>(a.words[position]) : 0;
  for (uint32_t f = threadIdx.x; f < a.features; f += blockDim.x)
    store_y(a, uint64_t{position} * a.features + f, is_there ? a.weight[word * a.features + f] : 0);
}

LT_KERNEL(embedding_apply, EmbeddingArguments, embedding_threads) {
  const uint32_t number = blockIdx.x;
  if (number >= static_cast<uint32_t>(*a.count)) return;
  const uint64_t word = static_cast<uint64_t>(a.word_of[number]);
  const float* const sums = a.sums + uint64_t{number} * a.features;
  if (a.dweight != nullptr) {
    for (uint32_t f = threadIdx.x; f < a.features; f += blockDim.x) {
      float& dweight = a.dweight[word * a.features + f];
      dweight = a.accumulate != 0 ? dweight + sums[f] : sums[f];
    }
    return;
  }
  if (a.step->halted != 0 || (a.statistics != nullptr && a.statistics->non_finite != 0)) return;
  LT_SHARED(of_block, AdamRates);
  if (threadIdx.x == 0) {
    of_block = adam_rates(*a.step, a.step->step);
    a.last_steps[word] = static_cast<int32_t>(a.step->step);
  }
  __syncthreads();
  const AdamRates rates = of_block;
  const AdamNumber adam(*a.step);
  for (uint32_t f = threadIdx.x; f < a.features; f += blockDim.x) {
    const uint64_t i = word * a.features + f;
    adam.step(rates, sums[f], a.weight + i, a.state + i, a.state2 + i);
  }
}

LT_KERNEL(embedding_catch_up, EmbeddingArguments, embedding_threads) {
  const bool numbered = a.word_of != nullptr;
  if (numbered && blockIdx.x >= static_cast<uint32_t>(*a.count)) return;
  catch_up(a, numbered ? static_cast<uint64_t>(a.word_of[blockIdx.x]) : blockIdx.x);
}

template <class T>
LT_DEVICE void segment_sums(const SegmentSumsArguments& a) {
  constexpr uint32_t warps = segment_threads / 32, words = segment_chunk / 32;
  LT_SHARED(masks, uint32_t[words]);
  LT_SHARED(chosen, uint32_t[segment_chunk]);  // positions of this row, in order
  const uint32_t row = blockIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32, end = count_of(a.positions);
  const T* const values = static_cast<const T*>(a.values);
  const bool is_there = row < static_cast<uint32_t>(a.rows[end]);
  const uint32_t rounds = is_there ? (end + segment_chunk - 1) / segment_chunk : 0;
  for (uint32_t from = 0; from < a.features; from += blockDim.x) {
    const uint32_t feature = from + threadIdx.x;
    double sum = 0;
    for (uint32_t round = 0; round < rounds; ++round) {
      for (uint32_t w = warp; w < words; w += warps) {
        const uint32_t position = round * segment_chunk + w * 32 + lane;
        const bool is_mine =
            position < end && a.rows[position] == static_cast<int32_t>(row) && counts(a.positions, position);
        const uint32_t mask = __ballot_sync(~0u, is_mine);
        if (lane == 0) masks[w] = mask;
      }
      __syncthreads();
      uint32_t total = 0;
      for (uint32_t w = 0; w < words; ++w) {
        const uint32_t mask = masks[w];
        if (w % warps == warp && (mask >> lane & 1) != 0)
          chosen[total + static_cast<uint32_t>(__popc(mask & ((1u << lane) - 1)))] = round * segment_chunk + w * 32 + lane;
        total += static_cast<uint32_t>(__popc(mask));
      }
      __syncthreads();
      if (feature < a.features) {
        constexpr uint32_t ahead = 8;  // loads in flight
        uint32_t i = 0;
        for (; i + ahead <= total; i += ahead) {
          float eight[ahead];
          LT_UNROLL
          for (uint32_t k = 0; k < ahead; ++k) eight[k] = to_float(values[uint64_t{chosen[i + k]} * a.features + feature]);
          LT_UNROLL
          for (uint32_t k = 0; k < ahead; ++k) sum += static_cast<double>(eight[k]);
        }
        for (; i < total; ++i) sum += static_cast<double>(to_float(values[uint64_t{chosen[i]} * a.features + feature]));
      }
      __syncthreads();
    }
    if (feature < a.features) a.sums[uint64_t{row} * a.features + feature] = static_cast<float>(sum);
  }
}

LT_KERNEL(segment_sums_f32, SegmentSumsArguments, segment_threads) { segment_sums<float>(a); }
LT_KERNEL(segment_sums_bf16, SegmentSumsArguments, segment_threads) { segment_sums<Bf16>(a); }

}  // namespace lt::cuda
