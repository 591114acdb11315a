// Kernels of embeddings and of sequences. Positions are those of the words x, [time][sample]; those behind a sample's
// length do not count. Each different word of a run has a number, in the order in which they come first, so that sums and
// results do not depend on the order of the threads.
#pragma once

#include <cstdint>

#include "backends/cuda/kernels/step_state.h"
#include "src/op.h"

// K(module, kernel, Arguments)
#define LT_CUDA_EMBEDDING_KERNELS(K)                             \
  K(embedding, embedding_first, WordsArguments)                  \
  K(embedding, embedding_number, WordsArguments)                 \
  K(embedding, embedding_rows, WordsArguments)                   \
  K(embedding, embedding_gather, EmbeddingArguments)             \
  K(embedding, embedding_apply, EmbeddingArguments)              \
  K(embedding, embedding_catch_up, EmbeddingArguments)           \
  K(embedding, segment_sums_f32, SegmentSumsArguments)           \
  K(embedding, segment_sums_bf16, SegmentSumsArguments)          \
  K(sequence_input, sequence_input_f32, SequenceInputArguments)  \
  K(sequence_input, sequence_input_bf16, SequenceInputArguments) \
  K(sequence_input, word_input, SequenceInputArguments)

namespace lt::cuda {

// Whose positions count.
struct Positions {
  const uint32_t* lengths;  // [sample]; null: all
  uint32_t steps, samples;
};

inline constexpr uint32_t words_threads = 1024;  // embedding_number is one block
struct WordsArguments {
  Positions positions;
  const int32_t* words;  // [position]
  uint32_t* first;       // [vocabulary]: zeros, then ~ of the word's first position
  int32_t* numbers;      // [vocabulary]: of the words that occur
  int32_t* word_of;      // [number]
  int32_t* rows;         // [position]: the word's number, 0 where none counts; and behind them how many there are
};

// A block for each row of y, a position (embedding_gather), for each number (embedding_apply), or for each number or,
// without word_of, each word (embedding_catch_up).
inline constexpr uint32_t embedding_threads = 128;
struct EmbeddingArguments {
  Positions positions;
  const int32_t* words;     // [position]
  const int32_t* word_of;   // [number]
  const int32_t* count;     // of numbers
  uint32_t features, bf16;  // bf16: type of y
  void* y;
  const float* sums;  // [number][feature]: gradients
  float* dweight;     // null: Adam's step instead
  uint32_t accumulate;
  // Adam, with steps put off: see Op::last_steps.
  int32_t* last_steps;  // null: none are
  float *weight, *state, *state2;
  const StepState* step;
  const Statistics* statistics;  // null: finite
};

// sums[row] = the sum of values[position] over the positions of that row, in their order; zeros for rows that have none.
// A block for each row; rows past those that there are get zeros too.
inline constexpr uint32_t segment_threads = 128, segment_chunk = 1024;
struct SegmentSumsArguments {
  Positions positions;
  const int32_t* rows;  // [position], and how many rows there are
  const void* values;   // [position][feature]
  float* sums;          // [row][feature]
  uint32_t features;
};

// y [time][sample][feature] = x [sample][time][feature] * factor[feature] + offset[feature].
inline constexpr uint32_t most_sequence_features = 440;  // with a factor each; without, one serves all
inline constexpr uint32_t sequence_input_threads = 256;
struct SequenceInputArguments {
  const void* x;  // of the rows, or a kept set, as in InputArguments
  void* y;
  uint32_t steps, samples, features, bytes;  // bytes: x are u8, else f32 (words: i32)
  uint32_t own_factors;
  const StepState* state;
  uint32_t sample_offset;
  const int32_t* labels;  // of the kept set, [sample][label_count]; null: none
  int32_t* staging_labels;
  uint32_t label_count;
  const uint32_t* lengths;  // of the kept set; null: none
  uint32_t* staging_lengths;
  float factor[most_sequence_features], offset[most_sequence_features];
};

}  // namespace lt::cuda
