// Products of matrices of random numbers: see bench_gemm.h.
#include "tools/bench_gemm.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>

#include "backends/cpu/highway/gemm.h"
#include "backends/cpu/thread_pool.h"
#include "src/base/checked.h"
#include "src/base/clock.h"
#include "src/base/philox.h"
#include "src/run/region.h"
#include "tools/machine_peak.h"
#include "tools/terminal.h"

namespace lt::tool {
namespace {

using cpu::ThreadPool;
using cpu::highway::GemmOperands;
using cpu::highway::GemmShape;
using cpu::highway::Target;

struct Product {
  GemmShape shape;
  bool b_packed;
};

constexpr Product products[] = {
    {{1024, 1024, 1024, false, false}, false}, {{1024, 1024, 1024, true, false}, false},
    {{1024, 1024, 1024, false, true}, false},  {{1024, 1024, 1024, true, true}, false},
    {{25, 960, 320, false, false}, false},  // a step of a GRU, of an LSTM: samples x (gates x units) from so many units
    {{25, 960, 320, false, false}, true},      {{25, 1280, 320, false, false}, true},
    {{64, 300, 100, false, false}, true},      {{64, 1280, 320, false, false}, true},
};

void fill(float* values, uint64_t count, uint64_t seed) {
  for (uint64_t i = 0; i < count; ++i)
    values[i] = philox_uniform(philox4x32({{static_cast<uint32_t>(i), 0, 0, 0}}, seed).v[0]) * 2 - 1;
}

// Relative to sums in double, over all of C. Row-major, no gaps between rows.
double error_of(const GemmShape& s, const float* a, const float* b, const float* c) {
  std::vector<double> b_plain(uint64_t{s.k} * s.n), sums(s.n);
  for (uint64_t k = 0; k < s.k; ++k)
    for (uint64_t j = 0; j < s.n; ++j) b_plain[k * s.n + j] = double{b[s.b_transposed ? j * s.k + k : k * s.n + j]};
  double differences = 0, squares = 0;
  for (uint64_t i = 0; i < s.m; ++i) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (uint64_t k = 0; k < s.k; ++k) {
      const double factor = double{a[s.a_transposed ? k * s.m + i : i * s.k + k]};
      for (uint64_t j = 0; j < s.n; ++j) sums[j] += factor * b_plain[k * s.n + j];
    }
    for (uint64_t j = 0; j < s.n; ++j) {
      const double difference = double{c[i * s.n + j]} - sums[j];
      differences += difference * difference;
      squares += sums[j] * sums[j];
    }
  }
  const double relative = std::sqrt(differences / squares);
  return std::isnan(relative) ? INFINITY : relative;
}

Status bench_product(const BenchOps& what, const Product& product, ThreadPool* pool, Target target, OpTime* row) {
  const GemmShape& s = product.shape;
  // One region for all: A, B, C, the packed B, scratch.
  const uint64_t sizes[] = {uint64_t{s.m} * s.k * sizeof(float), uint64_t{s.k} * s.n * sizeof(float),
                            uint64_t{s.m} * s.n * sizeof(float), cpu::highway::gemm_packed_bytes(s, target),
                            cpu::highway::gemm_scratch_bytes(s, pool->threads(), target)};
  uint64_t offsets[std::size(sizes)], bytes = 0;
  for (size_t i = 0; i < std::size(sizes); ++i) {
    offsets[i] = bytes;
    bytes = align_up(bytes + sizes[i], 64);
  }
  Region region;
  LT_TRY(region.reserve(bytes));
  float* parts[std::size(sizes)];
  for (size_t i = 0; i < std::size(sizes); ++i) parts[i] = reinterpret_cast<float*>(region.bytes() + offsets[i]);
  const auto& [a, b, c, packed, scratch] = parts;
  fill(a, uint64_t{s.m} * s.k, 1);
  fill(b, uint64_t{s.k} * s.n, 2);

  GemmOperands operands{a, s.a_transposed ? s.m : s.k, b, s.b_transposed ? s.k : s.n, c, s.n};
  if (product.b_packed) {
    cpu::highway::gemm_pack(s, b, operands.ldb, pool, packed, target);
    operands.b = packed;
    operands.b_packed = true;
  }
  constexpr uint32_t warm_rounds = 2;
  std::vector<double> seconds, peaks, peaks_of_threads(pool->threads());
  for (uint32_t round = 0; round < what.rounds + warm_rounds; ++round) {
    const double begun = now_seconds();
    cpu::highway::gemm(s, operands, pool, reinterpret_cast<std::byte*>(scratch), target);
    if (round >= warm_rounds) seconds.push_back(now_seconds() - begun);
    pool->run(pool->threads(), [&](uint32_t block, uint32_t) { peaks_of_threads[block] = flops_per_second_now(); });
    peaks.push_back(std::accumulate(peaks_of_threads.begin(), peaks_of_threads.end(), 0.0));
  }
  std::sort(seconds.begin(), seconds.end());
  row->seconds = seconds[seconds.size() / 2];
  row->least_seconds = seconds.front();
  std::sort(peaks.begin(), peaks.end());
  row->flops_per_second_now = peaks[peaks.size() / 2];
  row->operations = 2.0 * s.m * s.n * s.k;
  if (what.check) row->error = error_of(s, a, b, c);
  return Status::ok;
}

Status bench_products(const BenchOps& what, std::vector<OpTime>* rows) {
  const Target target = cpu::highway::target_best();
  const uint32_t threads = what.threads != 0 ? what.threads : cpu::threads_allowed();
  std::unique_ptr<ThreadPool> pool;
  LT_TRY(ThreadPool::create(threads, &pool));
  for (uint32_t i = 0; i < std::size(products); ++i) {
    const auto& [s, b_packed] = products[i];
    OpTime row;
    row.model = bench_gemm_name;
    row.op = i;
    row.layer = "product";
    row.operation = std::string("A") + (s.a_transposed ? "^T" : "") + " B" + (s.b_transposed ? "^T" : "") +
                    (b_packed ? ", B packed" : "");
    row.shape = std::to_string(s.m) + " x " + std::to_string(s.k) + " -> " + std::to_string(s.n);
    row.kernels = "highway";
    row.kernel = std::string("highway gemm ") + cpu::highway::target_name(target);
    row.threads = threads;
    LT_TRY(bench_product(what, products[i], pool.get(), target, &row));
    rows->push_back(row);
  }
  return Status::ok;
}

}  // namespace

ExitCode bench_gemm(const BenchOps& what, std::vector<OpTime>* rows) {
  const Status status = bench_products(what, rows);
  if (ok(status)) return ExitCode::ok;
  complain("%s", last_error());
  return exit_code(static_cast<lt_status>(status), Stage::plan);
}

}  // namespace lt::tool
