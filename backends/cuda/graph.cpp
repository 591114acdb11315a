#include "backends/cuda/graph.h"

namespace lt::cuda {
namespace {

// Captures what `work` puts on the stream into an existing graph. A capture that fails is ended all the same, so that the
// stream can be used again; the first failure is the one told.
Status capture_into(const DriverTable& driver, CUstream stream, CUgraph graph, const std::function<Status()>& work) {
  LT_TRY(check(driver,
               driver.cuStreamBeginCaptureToGraph(stream, graph, nullptr, nullptr, 0, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
               "cuStreamBeginCaptureToGraph"));
  const Status status = work();
  CUgraph captured = nullptr;
  const CUresult ended = driver.cuStreamEndCapture(stream, &captured);
  LT_TRY(status);
  return check(driver, ended, "cuStreamEndCapture");
}

}  // namespace

LoopGraph::~LoopGraph() { release(); }

void LoopGraph::release() {
  if (context_ == nullptr) return;
  context_->enter_quietly();
  if (executable_ != nullptr) (void)context_->driver().cuGraphExecDestroy(executable_);
  if (graph_ != nullptr) (void)context_->driver().cuGraphDestroy(graph_);
  executable_ = nullptr;
  graph_ = nullptr;
}

Status LoopGraph::add_loop(CUstream stream, CUstream body_stream, uint64_t handle,
                           const std::function<Status(CUstream, uint64_t)>& body) {
  const DriverTable& driver = context_->driver();
  CUstreamCaptureStatus status{};
  CUgraph graph = nullptr;
  const CUgraphNode* dependencies = nullptr;
  const CUgraphEdgeData* edges = nullptr;
  size_t count = 0;
  LT_TRY(check(driver, driver.cuStreamGetCaptureInfo(stream, &status, nullptr, &graph, &dependencies, &edges, &count),
               "cuStreamGetCaptureInfo"));
  CUgraphNodeParams loop{};
  loop.type = CU_GRAPH_NODE_TYPE_CONDITIONAL;
  loop.conditional.handle = handle;
  loop.conditional.type = CU_GRAPH_COND_TYPE_WHILE;
  loop.conditional.size = 1;
  loop.conditional.ctx = context_->handle();
  CUgraphNode node = nullptr;
  LT_TRY(check(driver, driver.cuGraphAddNode(&node, graph, dependencies, edges, count, &loop), "cuGraphAddNode"));
  LT_TRY(check(driver,
               driver.cuStreamUpdateCaptureDependencies(stream, &node, nullptr, 1, CU_STREAM_SET_CAPTURE_DEPENDENCIES),
               "cuStreamUpdateCaptureDependencies"));
  return capture_into(driver, body_stream, loop.conditional.phGraph_out[0], [&] { return body(body_stream, handle); });
}

Status LoopGraph::capture(CUstream stream, CUstream body_stream, const Parts& parts) {
  const DriverTable& driver = context_->driver();
  LT_TRY(check(driver, driver.cuGraphCreate(&graph_, 0), "cuGraphCreate"));
  Handles handles{};
  for (uint32_t i = 0; i < graph_loops; ++i) {
    if (!parts.bodies[i]) continue;
    CUgraphConditionalHandle handle = 0;
    LT_TRY(check(driver, driver.cuGraphConditionalHandleCreate(&handle, graph_, context_->handle(), 0, 0),
                 "cuGraphConditionalHandleCreate"));
    handles[i] = handle;
  }
  return capture_into(driver, stream, graph_, [&]() -> Status {
    LT_TRY(parts.begin(stream, handles));
    for (uint32_t i = 0; i < graph_loops; ++i)
      if (parts.bodies[i]) LT_TRY(add_loop(stream, body_stream, handles[i], parts.bodies[i]));
    return parts.end(stream);
  });
}

Status LoopGraph::build(const Context& context, CUstream stream, CUstream body_stream, const Parts& parts) {
  release();  // what an attempt that failed has left
  context_ = &context;
  LT_TRY(capture(stream, body_stream, parts));
  return check(context.driver(), context.driver().cuGraphInstantiateWithFlags(&executable_, graph_, 0),
               "cuGraphInstantiate");
}

Status LoopGraph::launch(CUstream stream) const {
  return check(context_->driver(), context_->driver().cuGraphLaunch(executable_, stream), "cuGraphLaunch");
}

}  // namespace lt::cuda
