// Copies between places that lie apart, such as a layer's weights and the one block that a library wants them in.
#pragma once

#include <cstdint>

// K(module, kernel, Arguments)
#define LT_CUDA_PIECES_KERNELS(K) K(pieces, copy_pieces, PiecesArguments)

namespace lt::cuda {

struct Piece {
  const float* from;
  float* to;
  uint64_t elements;
};
inline constexpr uint32_t most_pieces = 32;  // of one launch: blockIdx.y
inline constexpr uint32_t pieces_threads = 256;
struct PiecesArguments {
  Piece pieces[most_pieces];
  uint32_t accumulate;  // to what is there
};

}  // namespace lt::cuda
