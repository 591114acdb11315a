// A stream keeps its work until it is waited for. A graph keeps nodes in the order in which they were added, each with the
// node it depends on; a loop's node has a body and a condition that kernels set.
#include "tests/cuda/fake_streams.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <string>
#include <vector>

#include "tests/cuda/emulation/launch.h"
#include "tests/cuda/fake.h"
#include "tests/cuda/fake_driver.h"

struct CUgraphNode_st {
  std::function<void()> work;  // empty for a loop
  std::string what;
  uint64_t condition = 0;
  std::unique_ptr<CUgraph_st> body;
};
struct CUgraph_st {
  std::deque<CUgraphNode_st> nodes;
  CUgraph_st* root = nullptr;  // of a body: the graph that it is a part of
  std::vector<uint64_t> conditions;
  CUgraph output = nullptr;  // what the node's parameters point at
};
struct CUgraphExec_st {
  CUgraph graph;
};
struct CUstream_st {
  std::vector<std::function<void()>> pending;
  CUgraph capturing = nullptr;
  CUgraphNode last = nullptr;  // what captured work depends on
};

namespace lt::cuda::fake {
namespace {

constexpr uint64_t most_turns = 1'000'000;

std::vector<std::unique_ptr<CUstream_st>> streams;
std::vector<std::unique_ptr<CUgraph_st>> graphs;
std::map<uint64_t, uint32_t> conditions;  // the value of each handle
uint64_t next_condition = 1;
bool lost = false;

// See fake_driver.cpp.
#define LT_FAKE_RELEASE(name) \
  count_call(#name);          \
  const bool failing = fails(#name)

#define LT_FAKE_ENTRY(name)                                    \
  count_call(#name);                                           \
  if (fails(#name)) return CUDA_ERROR_UNKNOWN;                 \
  if (!has_context()) {                                        \
    complain("%s is called without a current context", #name); \
    return CUDA_ERROR_INVALID_CONTEXT;                         \
  }

bool known(CUstream stream) {
  return std::any_of(streams.begin(), streams.end(), [&](const auto& s) { return s.get() == stream; });
}

void run(CUgraph_st& graph) {
  for (CUgraphNode_st& node : graph.nodes) {
    if (lost) return;
    if (node.work) {
      node.work();
      continue;
    }
    uint64_t turns = 0;
    while (conditions[node.condition] != 0 && !lost) {
      if (++turns > most_turns) {
        complain("a loop of a graph does not end");
        lost = true;
      }
      run(*node.body);
    }
  }
}

void finish(CUstream stream) {
  const auto pending = std::exchange(stream->pending, {});
  for (const auto& work : pending)
    if (!lost) work();
}

CUgraphNode add_node(CUgraph graph, std::string what) {
  CUgraphNode_st& node = graph->nodes.emplace_back();
  node.what = std::move(what);
  return &node;
}

void set_condition(void*, uint64_t handle, uint32_t value) {
  const auto found = conditions.find(handle);
  if (found == conditions.end())
    complain("a kernel sets the condition %llu, which no graph has", static_cast<unsigned long long>(handle));
  else
    found->second = value;
}

CUresult stream_create(CUstream* stream, unsigned flags) {
  LT_FAKE_ENTRY(cuStreamCreate);
  if (flags != CU_STREAM_NON_BLOCKING) complain("a stream is made that waits for the default stream");
  streams.push_back(std::make_unique<CUstream_st>());
  *stream = streams.back().get();
  count_object(1);
  return CUDA_SUCCESS;
}

CUresult stream_destroy(CUstream stream) {
  LT_FAKE_RELEASE(cuStreamDestroy);
  if (!known(stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capturing != nullptr) complain("a stream is destroyed while it is captured");
  finish(stream);
  std::erase_if(streams, [&](const auto& s) { return s.get() == stream; });
  count_object(-1);
  return failing ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}

CUresult stream_synchronize(CUstream stream) {
  LT_FAKE_ENTRY(cuStreamSynchronize);
  if (!known(stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capturing != nullptr) {
    complain("a stream is waited for while it is captured");
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  finish(stream);
  return lost ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

CUresult begin_capture_to_graph(CUstream stream, CUgraph graph, const CUgraphNode* dependencies, const CUgraphEdgeData*,
                                size_t count, CUstreamCaptureMode) {
  LT_FAKE_ENTRY(cuStreamBeginCaptureToGraph);
  if (!known(stream) || graph == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capturing != nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (count != 0 || dependencies != nullptr) complain("a capture starts behind nodes, which the fake does not do");
  if (!graph->nodes.empty()) complain("a capture into a graph that has nodes already would run beside them");
  stream->capturing = graph;
  stream->last = nullptr;
  return CUDA_SUCCESS;
}

CUresult end_capture(CUstream stream, CUgraph* graph) {
  count_call("cuStreamEndCapture");
  if (!known(stream) || stream->capturing == nullptr) {
    complain("a capture ends that did not begin");
    return CUDA_ERROR_ILLEGAL_STATE;
  }
  *graph = std::exchange(stream->capturing, nullptr);
  return fails("cuStreamEndCapture") ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}

CUresult get_capture_info(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id, CUgraph* graph,
                          const CUgraphNode** dependencies, const CUgraphEdgeData** edges, size_t* count) {
  LT_FAKE_ENTRY(cuStreamGetCaptureInfo);
  if (!known(stream)) return CUDA_ERROR_INVALID_HANDLE;
  *status = stream->capturing != nullptr ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
  if (id != nullptr) *id = 1;
  *graph = stream->capturing;
  *dependencies = &stream->last;
  *edges = nullptr;
  *count = stream->last != nullptr ? 1 : 0;
  return CUDA_SUCCESS;
}

CUresult update_capture_dependencies(CUstream stream, CUgraphNode* dependencies, const CUgraphEdgeData*, size_t count,
                                     unsigned flags) {
  LT_FAKE_ENTRY(cuStreamUpdateCaptureDependencies);
  if (!known(stream) || stream->capturing == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (count != 1 || flags != CU_STREAM_SET_CAPTURE_DEPENDENCIES) return CUDA_ERROR_INVALID_VALUE;
  stream->last = dependencies[0];
  return CUDA_SUCCESS;
}

CUresult graph_create(CUgraph* graph, unsigned flags) {
  LT_FAKE_ENTRY(cuGraphCreate);
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  graphs.push_back(std::make_unique<CUgraph_st>());
  *graph = graphs.back().get();
  count_object(1);
  return CUDA_SUCCESS;
}

CUresult graph_destroy(CUgraph graph) {
  LT_FAKE_RELEASE(cuGraphDestroy);
  for (const uint64_t condition : graph->conditions) conditions.erase(condition);
  if (std::erase_if(graphs, [&](const auto& g) { return g.get() == graph; }) != 1) complain("no such graph is destroyed");
  count_object(-1);
  return failing ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}

CUresult conditional_handle_create(CUgraphConditionalHandle* handle, CUgraph graph, CUcontext, unsigned value,
                                   unsigned flags) {
  LT_FAKE_ENTRY(cuGraphConditionalHandleCreate);
  if (graph == nullptr || value != 0 || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  *handle = next_condition++;
  conditions[*handle] = 0;
  graph->conditions.push_back(*handle);
  return CUDA_SUCCESS;
}

CUresult graph_add_node(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies, const CUgraphEdgeData*,
                        size_t count, CUgraphNodeParams* parameters) {
  LT_FAKE_ENTRY(cuGraphAddNode);
  if (graph == nullptr || parameters->type != CU_GRAPH_NODE_TYPE_CONDITIONAL) return CUDA_ERROR_INVALID_VALUE;
  CUDA_CONDITIONAL_NODE_PARAMS& loop = parameters->conditional;
  if (loop.type != CU_GRAPH_COND_TYPE_WHILE || loop.size != 1) return CUDA_ERROR_INVALID_VALUE;
  if (std::find(graph->conditions.begin(), graph->conditions.end(), loop.handle) == graph->conditions.end()) {
    complain("a loop has a condition of another graph");
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (!graph->nodes.empty() && (count != 1 || dependencies[0] != &graph->nodes.back()))
    complain("a loop does not wait for what stands in front of it");
  CUgraphNode made = add_node(graph, "loop");
  made->condition = loop.handle;
  made->body = std::make_unique<CUgraph_st>();
  made->body->root = graph;
  made->body->output = made->body.get();
  loop.phGraph_out = &made->body->output;
  *node = made;
  return CUDA_SUCCESS;
}

CUresult graph_instantiate(CUgraphExec* executable, CUgraph graph, unsigned long long) {
  LT_FAKE_ENTRY(cuGraphInstantiateWithFlags);
  forbid_in_capture("cuGraphInstantiate");
  *executable = new CUgraphExec_st{graph};
  count_object(1);
  return CUDA_SUCCESS;
}

CUresult graph_exec_destroy(CUgraphExec executable) {
  LT_FAKE_RELEASE(cuGraphExecDestroy);
  delete executable;
  count_object(-1);
  return failing ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}

CUresult graph_launch(CUgraphExec executable, CUstream stream) {
  LT_FAKE_ENTRY(cuGraphLaunch);
  if (!known(stream) || executable == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  CUgraph const graph = executable->graph;
  enqueue(
      stream,
      [graph] {
        for (const uint64_t condition : graph->conditions) conditions[condition] = 0;  // their default value
        emulation::set_graph_condition_hook(set_condition, nullptr);
        run(*graph);
      },
      "cuGraphLaunch");
  return CUDA_SUCCESS;
}

}  // namespace

void fill_streams(DriverTable* table) {
  table->cuStreamCreate = stream_create;
  table->cuStreamDestroy = stream_destroy;
  table->cuStreamSynchronize = stream_synchronize;
  table->cuStreamBeginCaptureToGraph = begin_capture_to_graph;
  table->cuStreamEndCapture = end_capture;
  table->cuStreamGetCaptureInfo = get_capture_info;
  table->cuStreamUpdateCaptureDependencies = update_capture_dependencies;
  table->cuGraphCreate = graph_create;
  table->cuGraphDestroy = graph_destroy;
  table->cuGraphAddNode = graph_add_node;
  table->cuGraphConditionalHandleCreate = conditional_handle_create;
  table->cuGraphInstantiateWithFlags = graph_instantiate;
  table->cuGraphExecDestroy = graph_exec_destroy;
  table->cuGraphLaunch = graph_launch;
}

void finish_all_streams() {
  for (const auto& stream : streams) finish(stream.get());
}

void forbid_in_capture(const char* function) {
  for (const auto& stream : streams)
    if (stream->capturing != nullptr) complain("%s is called while a stream is captured", function);
}

void lose_device(bool is_lost) { lost = is_lost; }

void enqueue(CUstream stream, std::function<void()> work, const char* what) {
  if (!known(stream)) {
    complain("%s is put on a stream that there is not", what);
    return;
  }
  if (stream->capturing == nullptr) {
    stream->pending.push_back(std::move(work));
    return;
  }
  CUgraphNode node = add_node(stream->capturing, what);
  node->work = std::move(work);
  stream->last = node;
}

}  // namespace lt::cuda::fake
