// See pieces.h.
#include "backends/cuda/kernels/pieces.h"

#include "backends/cuda/kernels/device.h"

namespace lt::cuda {

LT_KERNEL(copy_pieces, PiecesArguments, pieces_threads) {
  const Piece& piece = a.pieces[blockIdx.y];
  const uint64_t step = uint64_t{gridDim.x} * blockDim.x;
  for (uint64_t i = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < piece.elements; i += step)
    piece.to[i] = a.accumulate != 0 ? piece.to[i] + piece.from[i] : piece.from[i];
}

}  // namespace lt::cuda
