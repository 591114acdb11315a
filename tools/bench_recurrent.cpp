// Layers of random weights and inputs: see bench_recurrent.h.
#include "tools/bench_recurrent.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>

#include "backends/cpu/highway/carver.h"
#include "backends/cpu/highway/recurrent.h"
#include "backends/cpu/thread_pool.h"
#include "src/base/clock.h"
#include "src/base/philox.h"
#include "src/run/region.h"
#include "tools/machine_peak.h"
#include "tools/terminal.h"

namespace lt::tool {
namespace {

using cpu::ThreadPool;
using cpu::highway::Carver;
using cpu::highway::RecurrentBackwardRun;
using cpu::highway::RecurrentShape;
using cpu::highway::Target;

struct Layer {
  const char* name;
  RecurrentShape shape;
  bool wants_dx;
};

// Of the suite's 1x320 and 4x320 models (a middle layer, then with its gates computed again) and of imdb. Cell, steps,
// features, units, directions, samples, the last step alone, lengths, gates computed again.
constexpr Layer layers[] = {
    {"gru", {Cell::gru, 100, 123, 320, 1, 25, true, false, false}, false},
    {"lstm", {Cell::lstm, 100, 123, 320, 1, 25, true, false, false}, false},
    {"bilstm", {Cell::lstm, 100, 640, 320, 2, 25, false, false, false}, true},
    {"frugal", {Cell::lstm, 100, 640, 320, 2, 25, false, false, true}, true},
    {"imdb", {Cell::gru, 150, 125, 100, 1, 64, true, false, false}, true},
};

void fill(float* values, uint64_t count, uint64_t seed, float scale) {
  for (uint64_t i = 0; i < count; ++i)
    values[i] = (philox_uniform(philox4x32({{static_cast<uint32_t>(i), 0, 0, 0}}, seed).v[0]) * 2 - 1) * scale;
}

// The layer's tensors in one block: from a null one, only their sizes.
RecurrentBackwardRun place(const Layer& layer, Carver* memory) {
  const RecurrentShape& s = layer.shape;
  const uint64_t rows = uint64_t{s.steps} * s.samples, columns = s.gate_columns();
  const uint64_t y = (s.only_last_step ? s.samples : rows) * s.y_features();
  RecurrentBackwardRun run{};
  run.forward.samples = s.samples;
  run.forward.x = memory->take<float>(rows * s.features);
  run.forward.y = memory->take<float>(y);
  run.forward.saved = memory->take<float>(s.saved_bytes() / sizeof(float));
  run.dy = memory->take<float>(y);
  run.dx = layer.wants_dx ? memory->take<float>(rows * s.features) : nullptr;
  for (uint32_t d = 0; d < s.directions; ++d) {
    run.forward.weights[d] = {memory->take<float>(s.features * columns), memory->take<float>(s.units * columns),
                              memory->take<float>(columns), memory->take<float>(columns)};
    run.dweights[d] = {memory->take<float>(s.features * columns), memory->take<float>(s.units * columns),
                       memory->take<float>(columns), memory->take<float>(columns)};
  }
  return run;
}

// What is asked for, not what a kernel may do twice.
double operations_of(const Layer& layer, bool backward) {
  const RecurrentShape& s = layer.shape;
  double products = 0;
  for (uint32_t d = 0; d < s.directions; ++d) {
    const double rows = static_cast<double>(s.direction_steps(d)) * s.samples * s.gate_columns();
    products += rows * (backward ? s.features * (layer.wants_dx ? 2.0 : 1.0) + 2.0 * s.units : s.features + s.units);
  }
  return 2 * products;
}

Status bench_layer(const BenchOps& what, const Layer& layer, ThreadPool* pool, Target target, OpTime (&rows)[2]) {
  const RecurrentShape& s = layer.shape;
  Carver sizes(nullptr);
  (void)place(layer, &sizes);
  const uint64_t scratch_bytes =
      std::max(cpu::highway::recurrent_forward_scratch_bytes(s, pool->threads(), target),
               cpu::highway::recurrent_backward_scratch_bytes(s, layer.wants_dx, pool->threads(), target));
  Region region;
  LT_TRY(region.reserve(sizes.bytes() + scratch_bytes));
  Carver memory(region.bytes());
  RecurrentBackwardRun run = place(layer, &memory);
  auto* const scratch = memory.take<std::byte>(scratch_bytes);
  // Inputs and weights of moderate size, all else of the block likewise.
  fill(reinterpret_cast<float*>(region.bytes()), sizes.bytes() / sizeof(float), 1, 0.05f);

  constexpr uint32_t warm_rounds = 2;
  std::vector<double> seconds[2], peaks[2], peaks_of_threads(pool->threads());
  const auto peak_now = [&] {
    pool->run(pool->threads(), [&](uint32_t block, uint32_t) { peaks_of_threads[block] = flops_per_second_now(); });
    return std::accumulate(peaks_of_threads.begin(), peaks_of_threads.end(), 0.0);
  };
  for (uint32_t round = 0; round < what.rounds + warm_rounds; ++round) {
    const double begun = now_seconds();
    cpu::highway::recurrent_forward(s, run.forward, pool, scratch, target);
    const double forward_seconds = now_seconds() - begun, forward_peak = peak_now(), begun_again = now_seconds();
    cpu::highway::recurrent_backward(s, run, pool, scratch, target);
    const double backward_seconds = now_seconds() - begun_again, backward_peak = peak_now();
    if (round < warm_rounds) continue;
    seconds[0].push_back(forward_seconds);
    seconds[1].push_back(backward_seconds);
    peaks[0].push_back(forward_peak);
    peaks[1].push_back(backward_peak);
  }
  for (uint32_t pass = 0; pass < 2; ++pass) {
    std::sort(seconds[pass].begin(), seconds[pass].end());
    rows[pass].seconds = seconds[pass][seconds[pass].size() / 2];
    rows[pass].least_seconds = seconds[pass].front();
    std::sort(peaks[pass].begin(), peaks[pass].end());
    rows[pass].flops_per_second_now = peaks[pass][peaks[pass].size() / 2];
    rows[pass].operations = operations_of(layer, pass == 1);
  }
  return Status::ok;
}

Status bench_layers(const BenchOps& what, std::vector<OpTime>* rows) {
  const Target target = cpu::highway::target_best();
  const uint32_t threads = what.threads != 0 ? what.threads : cpu::threads_allowed();
  std::unique_ptr<ThreadPool> pool;
  LT_TRY(ThreadPool::create(threads, &pool));
  for (Layer layer : layers) {
    layer.shape.bf16x3 = cpu::highway::recurrent_bf16x3(layer.shape, target);
    const RecurrentShape& s = layer.shape;
    OpTime passes[2];
    for (uint32_t pass = 0; pass < 2; ++pass) {
      OpTime& row = passes[pass];
      row.model = bench_recurrent_name;
      row.op = static_cast<uint32_t>(rows->size()) + pass;
      row.layer = layer.name;
      row.operation = pass == 0 ? "recurrent" : "recurrent_backward";
      row.shape = std::to_string(s.samples) + " x " + std::to_string(s.steps) + "x" + std::to_string(s.features) + " -> " +
                  std::to_string(s.directions) + "x" + std::to_string(s.units);
      row.kernels = "highway";
      row.kernel = std::string("highway ") + (pass == 0 ? "recurrent " : "recurrent backward ") +
                   cpu::highway::target_name(target) + (s.bf16x3 != 0 ? cpu::highway::bf16x3_suffix : "");
      row.threads = threads;
    }
    LT_TRY(bench_layer(what, layer, pool.get(), target, passes));
    rows->insert(rows->end(), std::begin(passes), std::end(passes));
  }
  return Status::ok;
}

}  // namespace

ExitCode bench_recurrent(const BenchOps& what, std::vector<OpTime>* rows) {
  const Status status = bench_layers(what, rows);
  if (ok(status)) return ExitCode::ok;
  complain("%s", last_error());
  return exit_code(static_cast<lt_status>(status), Stage::plan);
}

}  // namespace lt::tool
