// GRU and LSTM on every instruction set of this machine against plain loops in double: both cells, one and two directions,
// samples of one or many lengths, last steps alone, gates kept or computed again, added to gradients that are there;
// nothing written outside its place, and the same bits with any number of threads.
#include "backends/cpu/highway/recurrent.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "src/base/philox.h"

namespace lt::cpu::highway {
namespace {

constexpr float guard = -12345.5f;
constexpr size_t guard_floats = 64;

// Numbers with guards on both sides, aligned to a line.
class Guarded {
 public:
  explicit Guarded(size_t count, float value = std::numeric_limits<float>::quiet_NaN())
      : storage_(count + 3 * guard_floats, guard), count_(count) {
    void* at = storage_.data() + guard_floats;
    size_t space = (count + 2 * guard_floats) * sizeof(float);
    begin_ = static_cast<float*>(std::align(64, count * sizeof(float), at, space));
    std::fill_n(begin_, count, value);
  }
  Guarded(size_t count, uint64_t seed, float scale) : Guarded(count) {
    for (size_t i = 0; i < count; ++i)
      begin_[i] = (philox_uniform(philox4x32({{static_cast<uint32_t>(i), 0, 0, 0}}, seed).v[0]) * 2 - 1) * scale;
  }
  Guarded(const Guarded& other) : Guarded(other.count_) { std::copy_n(other.begin_, count_, begin_); }
  Guarded& operator=(const Guarded&) = delete;
  float* data() const { return begin_; }
  size_t size() const { return count_; }
  bool intact() const {
    return std::all_of(storage_.data(), static_cast<const float*>(begin_), [](float v) { return v == guard; }) &&
           std::all_of(static_cast<const float*>(begin_) + count_, storage_.data() + storage_.size(),
                       [](float v) { return v == guard; });
  }

 private:
  std::vector<float> storage_;
  float* begin_;
  size_t count_;
};

struct Case {
  RecurrentShape shape;
  uint32_t samples = 0;  // of the run; 0: as many as the shape has
  std::vector<uint32_t> lengths;
  bool bias = true, dx = true, accumulate = false;
  uint32_t runs() const { return samples != 0 ? samples : shape.samples; }
  // With shared rows: how many there are, and which one a step has; no step has the last one.
  uint32_t rows() const { return 1 + shape.steps * runs() / 4; }
  uint64_t row(uint32_t time, uint32_t sample) const {
    if (!shape.shared_rows) return uint64_t{time} * runs() + sample;
    return rows() < 2 ? 0 : (time * 7 + sample * 3) % (rows() - 1);
  }
  uint64_t x_floats() const { return shape.shared_rows ? uint64_t{rows()} * shape.features : sequence(shape.features); }
  uint64_t sequence(uint64_t features) const { return uint64_t{shape.steps} * runs() * features; }
  uint64_t y_floats() const { return shape.only_last_step ? runs() * shape.y_features() : sequence(shape.y_features()); }
};

struct Weights {
  Guarded ih, hh, bias_ih, bias_hh;
  Weights(const RecurrentShape& s, uint64_t seed, float scale)
      : ih(size_t{s.features} * s.gate_columns(), seed, scale),
        hh(size_t{s.units} * s.gate_columns(), seed + 1, scale),
        bias_ih(s.gate_columns(), seed + 2, scale),
        bias_hh(s.gate_columns(), seed + 3, scale) {}
  const Guarded* list[4] = {&ih, &hh, &bias_ih, &bias_hh};
};

struct Results {
  std::vector<std::vector<float>> values;  // y, dx, then the gradients of each direction's weights
};

struct Inputs {
  Guarded x, dy;
  std::vector<std::unique_ptr<Weights>> weights, gradients;
  explicit Inputs(const Case& test) : x(test.x_floats(), 1, 1.0f), dy(test.y_floats(), 2, 1.0f) {
    const float scale = 1.5f / std::sqrt(static_cast<float>(test.shape.units));
    for (uint32_t d = 0; d < test.shape.directions; ++d) {
      weights.push_back(std::make_unique<Weights>(test.shape, 10 + 10 * d, scale));
      gradients.push_back(std::make_unique<Weights>(test.shape, 100 + 10 * d, 1.0f));
    }
  }
};

Results compute(const Case& test, ThreadPool* pool, Target target) {
  const RecurrentShape& s = test.shape;
  Inputs in(test);
  Guarded y(test.y_floats()), dx(test.dx ? in.x.size() : 0), saved(s.saved_bytes() / sizeof(float));
  RecurrentBackwardRun run{};
  run.forward = {test.runs(), test.lengths.empty() ? nullptr : test.lengths.data(), in.x.data(), y.data(), saved.data(),
                 {}};
  std::vector<int32_t> rows;
  for (uint32_t t = 0; s.shared_rows && t < s.steps; ++t)
    for (uint32_t b = 0; b < test.runs(); ++b) rows.push_back(static_cast<int32_t>(test.row(t, b)));
  rows.push_back(static_cast<int32_t>(test.rows()));
  run.forward.rows = s.shared_rows ? rows.data() : nullptr;
  run.dy = in.dy.data();
  run.dx = test.dx ? dx.data() : nullptr;
  run.accumulate = test.accumulate;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (uint32_t d = 0; d < s.directions; ++d) {
    const Weights &w = *in.weights[d], &g = *in.gradients[d];
    run.forward.weights[d] = {w.ih.data(), w.hh.data(), test.bias ? w.bias_ih.data() : nullptr,
                              test.bias ? w.bias_hh.data() : nullptr};
    run.dweights[d] = {g.ih.data(), g.hh.data(), test.bias ? g.bias_ih.data() : nullptr,
                       test.bias ? g.bias_hh.data() : nullptr};
    if (!test.accumulate)
      for (const Guarded* part : g.list) std::fill_n(part->data(), part->size(), nan);
  }
  const uint32_t threads = pool != nullptr ? pool->threads() : 1;
  const Guarded forward(recurrent_forward_scratch_bytes(s, threads, target) / sizeof(float));
  recurrent_forward(s, run.forward, pool, reinterpret_cast<std::byte*>(forward.data()), target);
  const Guarded backward(recurrent_backward_scratch_bytes(s, test.dx, threads, target) / sizeof(float));
  // Evaluation keeps nothing and gives the same.
  Guarded y_alone(test.y_floats());
  RecurrentRun alone = run.forward;
  alone.y = y_alone.data();
  alone.saved = nullptr;
  const Guarded scratch(forward.size());
  recurrent_forward(s, alone, pool, reinterpret_cast<std::byte*>(scratch.data()), target);
  EXPECT_EQ(std::memcmp(y_alone.data(), y.data(), y.size() * sizeof(float)), 0);
  recurrent_backward(s, run, pool, reinterpret_cast<std::byte*>(backward.data()), target);

  Results results;
  const auto keep = [&](const Guarded& part) {
    EXPECT_TRUE(part.intact());
    results.values.emplace_back(part.data(), part.data() + part.size());
  };
  keep(y);
  keep(dx);
  for (const auto& gradient : in.gradients)
    for (const Guarded* part : gradient->list)
      if (test.bias || (part != gradient->list[2] && part != gradient->list[3])) keep(*part);
  for (const Guarded* part :
       {&forward, &backward, &scratch, static_cast<const Guarded*>(&saved), static_cast<const Guarded*>(&y_alone)})
    EXPECT_TRUE(part->intact());
  return results;
}

double sigmoid(double v) { return 1 / (1 + std::exp(-v)); }

// The same in double, sample by sample.
std::vector<std::vector<double>> expected(const Case& test) {
  const RecurrentShape& s = test.shape;
  const uint32_t H = s.units, I = s.features, G = s.gates(), N = test.runs(), F = H * s.directions, GH = G * H;
  Inputs in(test);
  std::vector<double> y(test.y_floats()), dx(test.dx ? in.x.size() : 0);
  std::vector<std::vector<double>> result{{}, {}};
  for (uint32_t d = 0; d < s.directions; ++d) {
    const Weights& w = *in.weights[d];
    std::vector<std::vector<double>> dw;
    for (const Guarded* part : in.gradients[d]->list) {
      dw.emplace_back(part->size());
      if (test.accumulate) std::copy_n(part->data(), part->size(), dw.back().begin());
    }
    for (uint32_t b = 0; b < N; ++b) {
      const uint32_t length = test.lengths.empty() ? s.steps : test.lengths[b];
      const auto time = [&](uint32_t step) { return d == 1 ? length - 1 - step : step; };
      const auto x = [&](uint32_t t, uint32_t i) { return static_cast<double>(in.x.data()[test.row(t, b) * I + i]); };
      std::vector<std::vector<double>> h(length + 1, std::vector<double>(H)), c = h,
                                                                              gate(length, std::vector<double>(4 * H));
      for (uint32_t step = 0; step < length; ++step)
        for (uint32_t u = 0; u < H; ++u) {
          double from_x[4], from_h[4];
          for (uint32_t g = 0; g < G; ++g) {
            from_x[g] = test.bias ? static_cast<double>(w.bias_ih.data()[g * H + u]) : 0;
            from_h[g] = test.bias ? static_cast<double>(w.bias_hh.data()[g * H + u]) : 0;
            for (uint32_t i = 0; i < I; ++i)
              from_x[g] += x(time(step), i) * static_cast<double>(w.ih.data()[i * GH + g * H + u]);
            for (uint32_t i = 0; i < H; ++i) from_h[g] += h[step][i] * static_cast<double>(w.hh.data()[i * GH + g * H + u]);
          }
          double* const at = gate[step].data() + u;
          if (s.cell == Cell::lstm) {
            for (uint32_t g = 0; g < 4; ++g)
              at[g * H] = g == 2 ? std::tanh(from_x[g] + from_h[g]) : sigmoid(from_x[g] + from_h[g]);
            c[step + 1][u] = at[H] * c[step][u] + at[0] * at[2 * H];
            h[step + 1][u] = at[3 * H] * std::tanh(c[step + 1][u]);
          } else {
            at[0] = sigmoid(from_x[0] + from_h[0]);
            at[H] = sigmoid(from_x[1] + from_h[1]);
            at[2 * H] = std::tanh(from_x[2] + at[0] * from_h[2]);
            at[3 * H] = from_h[2];
            h[step + 1][u] = (1 - at[H]) * at[2 * H] + at[H] * h[step][u];
          }
        }
      const uint32_t steps = s.only_last_step && d == 1 ? 1 : length;
      for (uint32_t u = 0; u < H; ++u)
        if (s.only_last_step)
          y[b * F + d * H + u] = h[steps][u];
        else
          for (uint32_t step = 0; step < length; ++step) y[(uint64_t{time(step)} * N + b) * F + d * H + u] = h[step + 1][u];
      std::vector<double> dh(H), dc(H);
      for (uint32_t step = steps; step-- > 0;) {
        std::vector<double> to_x(GH), to_h(GH), next(H);
        for (uint32_t u = 0; u < H; ++u) {
          const double* const at = gate[step].data() + u;
          double v = dh[u];
          if (!s.only_last_step)
            v += static_cast<double>(in.dy.data()[(uint64_t{time(step)} * N + b) * F + d * H + u]);
          else if (step + 1 == steps)
            v += static_cast<double>(in.dy.data()[b * F + d * H + u]);
          if (s.cell == Cell::lstm) {
            const double t = std::tanh(c[step + 1][u]), i = at[0], f = at[H], g = at[2 * H], o = at[3 * H];
            const double dcell = dc[u] + v * o * (1 - t * t);
            to_x[u] = dcell * g * i * (1 - i);
            to_x[H + u] = dcell * c[step][u] * f * (1 - f);
            to_x[2 * H + u] = dcell * i * (1 - g * g);
            to_x[3 * H + u] = v * t * o * (1 - o);
            dc[u] = dcell * f;
            for (uint32_t g4 = 0; g4 < 4; ++g4) to_h[g4 * H + u] = to_x[g4 * H + u];
          } else {
            const double r = at[0], z = at[H], n = at[2 * H], dn = v * (1 - z) * (1 - n * n);
            to_x[2 * H + u] = dn;
            to_h[2 * H + u] = dn * r;
            to_x[u] = to_h[u] = dn * at[3 * H] * r * (1 - r);
            to_x[H + u] = to_h[H + u] = v * (h[step][u] - n) * z * (1 - z);
            next[u] = v * z;
          }
        }
        for (uint32_t k = 0; k < GH; ++k) {
          for (uint32_t i = 0; i < I; ++i) {
            dw[0][i * GH + k] += to_x[k] * x(time(step), i);
            if (test.dx) dx[test.row(time(step), b) * I + i] += to_x[k] * static_cast<double>(w.ih.data()[i * GH + k]);
          }
          for (uint32_t i = 0; i < H; ++i) {
            dw[1][i * GH + k] += to_h[k] * h[step][i];
            next[i] += to_h[k] * static_cast<double>(w.hh.data()[i * GH + k]);
          }
          dw[2][k] += to_x[k];
          dw[3][k] += to_h[k];
        }
        dh = next;
      }
    }
    for (uint32_t i = 0; i < (test.bias ? 4u : 2u); ++i) result.push_back(std::move(dw[i]));
  }
  result[0] = std::move(y);
  result[1] = std::move(dx);
  return result;
}

std::vector<Case> cases() {
  std::vector<Case> list;
  for (const Cell cell : {Cell::gru, Cell::lstm})
    for (const uint32_t directions : {1u, 2u})
      for (const bool last : {false, true})
        for (const bool recompute : {false, true}) {
          Case test;
          test.shape = {cell, 23, 5, 37, directions, 26, last, false, recompute};
          list.push_back(test);
          test.shape.has_lengths = true;
          test.accumulate = true;
          test.shape.steps = 21;
          for (uint32_t b = 0; b < 26; ++b) test.lengths.push_back(1 + b * 7 % 21);
          list.push_back(test);
          test.samples = 3;
          test.lengths = {4, 21, 17};
          test.dx = false;
          list.push_back(test);
          test.lengths = {21, 21, 21};
          test.bias = false;
          test.accumulate = false;
          list.push_back(test);
          test.shape.shared_rows = true;
          list.push_back(test);
          test.accumulate = test.bias = test.dx = true;
          test.samples = 26;
          test.lengths.clear();
          for (uint32_t b = 0; b < 26; ++b) test.lengths.push_back(1 + b * 7 % 21);
          list.push_back(test);
          test.shape.has_lengths = false;
          test.lengths.clear();
          list.push_back(test);
        }
  Case one;
  one.shape = {Cell::lstm, 1, 1, 1, 2, 1};
  list.push_back(one);
  one.shape.cell = Cell::gru;
  list.push_back(one);
  // More gates than a step of thirds is deep, more rows than a tile has, whole blocks of columns.
  one.shape = {Cell::lstm, 13, 33, 96, 1, 35};
  list.push_back(one);
  one.shape = {Cell::gru, 13, 300, 48, 2, 35, true};
  list.push_back(one);
  if (bf16x3::supported())
    for (size_t i = 0, count = list.size(); i < count; ++i)
      // All products in thirds, or gradients of weights by multiply-adds: see recurrent_bf16x3.
      for (const RecurrentProduct apart : {RecurrentProduct{}, RecurrentProduct::dweight}) {
        list.push_back(list[i]);
        list.back().shape.bf16x3 = static_cast<uint8_t>(all_recurrent_products - static_cast<uint8_t>(apart));
      }
  return list;
}

std::string describe(const Case& test) {
  const RecurrentShape& s = test.shape;
  return std::string(s.cell == Cell::gru ? "gru" : "lstm") + (s.directions == 2 ? " two directions" : "") +
         (s.only_last_step ? " last step" : "") + (test.lengths.empty() ? "" : " lengths") +
         (s.shared_rows ? " shared rows" : "") + (s.bf16x3 != 0 ? " bf16x3" : "") + (s.recompute ? " computed again" : "") +
         (test.accumulate ? " accumulated" : "") + ", " + std::to_string(test.runs()) + " samples";
}

TEST(Recurrent, AgreesWithSumsInDoubleOnEveryTarget) {
  for (const Case& test : cases()) {
    const auto wanted = expected(test);
    for (size_t t = 0; t < target_count; ++t) {
      const auto target = static_cast<Target>(t);
      if (!target_supported(target) || (test.shape.bf16x3 != 0 && target != target_best())) continue;
      SCOPED_TRACE(describe(test) + " on " + target_name(target));
      const Results got = compute(test, nullptr, target);
      ASSERT_EQ(got.values.size(), wanted.size());
      for (size_t i = 0; i < wanted.size(); ++i) {
        double largest = 0, error = 0;
        for (size_t k = 0; k < wanted[i].size(); ++k) {
          largest = std::max(largest, std::abs(wanted[i][k]));
          const double difference = std::abs(wanted[i][k] - static_cast<double>(got.values[i][k]));
          error = std::isnan(difference) ? difference : std::max(error, difference);
          ASSERT_FALSE(std::isnan(error)) << "result " << i << " element " << k;
        }
        EXPECT_LE(error, 2e-6 * std::max(largest, 1e-3)) << "result " << i;
      }
    }
  }
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

TEST(Recurrent, SameBitsWithAnyNumberOfThreads) {
  std::vector<Case> list = cases();
  for (Case& test : list) {
    test.shape.units = std::min(test.shape.units * 2u, 70u);
    SCOPED_TRACE(describe(test));
    const Results alone = compute(test, nullptr, target_best());
    for (const uint32_t threads : {2u, 3u, 5u}) {
      std::unique_ptr<ThreadPool> pool;
      ASSERT_EQ(ThreadPool::create(threads, &pool), Status::ok);
      const Results got = compute(test, pool.get(), target_best());
      for (size_t i = 0; i < alone.values.size(); ++i)
        EXPECT_TRUE(same_bits(alone.values[i], got.values[i])) << threads << " threads, result " << i;
    }
  }
}

TEST(Recurrent, GatesComputedAgainGiveTheSameBits) {
  std::vector<Case> list = cases();
  for (Case& test : list) {
    if (test.shape.recompute) continue;
    SCOPED_TRACE(describe(test));
    const Results kept = compute(test, nullptr, target_best());
    test.shape.recompute = true;
    const Results again = compute(test, nullptr, target_best());
    for (size_t i = 0; i < kept.values.size(); ++i)
      EXPECT_TRUE(same_bits(kept.values[i], again.values[i])) << "result " << i;
  }
}

}  // namespace
}  // namespace lt::cpu::highway
