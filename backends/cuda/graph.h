// A CUDA graph that goes round by itself: a beginning, up to graph_loops loops one behind the other, and an end, captured
// once and launched as one. Each loop is a conditional node (CUDA 12.4) whose body, at its end, sets its condition by
// state_advance. Used with the context entered.
#pragma once

#include <functional>

#include "backends/cuda/context.h"

namespace lt::cuda {

class LoopGraph {
 public:
  LoopGraph() = default;
  ~LoopGraph();
  LoopGraph(const LoopGraph&) = delete;
  LoopGraph& operator=(const LoopGraph&) = delete;

  using Handles = uint64_t[graph_loops];
  struct Parts {
    std::function<Status(CUstream stream, const Handles& handles)> begin;
    // An empty function where there is no such loop: its handle is 0.
    std::function<Status(CUstream stream, uint64_t handle)> bodies[graph_loops];
    std::function<Status(CUstream stream)> end;
  };
  // Captures the parts through the two streams; the functions put their work on the stream they are given.
  Status build(const Context& context, CUstream stream, CUstream body_stream, const Parts& parts);
  bool built() const { return executable_ != nullptr; }
  Status launch(CUstream stream) const;

 private:
  void release();
  Status capture(CUstream stream, CUstream body_stream, const Parts& parts);
  Status add_loop(CUstream stream, CUstream body_stream, uint64_t handle,
                  const std::function<Status(CUstream, uint64_t)>& body);

  const Context* context_ = nullptr;
  CUgraph graph_ = nullptr;
  CUgraphExec executable_ = nullptr;
};

}  // namespace lt::cuda
