// GRU and LSTM over sequences, sample by sample and step by step, and the way back through time. See ops.h for memory and
// threads.
//
// `saved`, in floats, for each direction, sample and step: GRU r, z, n, j_n, h; LSTM i, f, g, o, c, h, each of `units`; the
// steps in the order of time. j_n is the recurrent sum that r multiplies.
#include <cmath>
#include <cstring>

#include "backends/reference/ops.h"

namespace lt::reference {
namespace {

constexpr uint64_t saved_parts(Cell cell) { return cell == Cell::gru ? 5 : 6; }

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// One sample's walk in one direction.
struct Walk {
  uint32_t length;  // of the sample
  uint32_t count;   // of steps that the walk takes
  bool reverse;
  uint64_t step(uint64_t i) const { return reverse ? length - 1 - i : i; }
};

class Recurrent {
 public:
  Recurrent(const Op& op, const Context& context)
      : op_(op),
        context_(context),
        steps_(op.x_extent.height),
        features_(op.x_extent.channels),
        units_(op.units),
        outputs_(gates_of(op.cell) * units_),
        ih_(weight_strides(context.program->weight_layout, features_, outputs_)),
        hh_(weight_strides(context.program->weight_layout, units_, outputs_)) {}

  Walk walk(uint32_t sample, uint32_t direction) const {
    const uint32_t* lengths = op_.has_lengths ? context_.arguments->lengths : nullptr;
    const uint32_t length = lengths != nullptr ? lengths[sample] : static_cast<uint32_t>(steps_);
    return {length, op_.only_last_step && direction == 1 ? 1 : length, direction == 1};
  }

  // A row of x, y and their gradients.
  template <class T = float>
  T* at(TensorId id, uint64_t t, uint32_t sample, uint64_t features) const {
    return context_.at<T>(id) + (t * context_.arguments->samples + sample) * features;
  }
  // The same of x, whose rows steps may share.
  float* x_at(TensorId id, uint64_t t, uint32_t sample) const {
    const uint64_t place = t * context_.arguments->samples + sample;
    const int32_t* rows = context_.at<int32_t>(op_.rows);
    return context_.at<float>(id) + (rows != nullptr ? static_cast<uint64_t>(rows[place]) : place) * features_;
  }
  // Rows of x.
  uint64_t x_rows() const {
    const uint64_t places = steps_ * context_.arguments->samples;
    const int32_t* rows = context_.at<int32_t>(op_.rows);
    return rows != nullptr ? static_cast<uint64_t>(rows[places]) : places;
  }
  uint64_t y_features() const { return op_.directions * units_; }
  // Where a step of a direction has its h in y, or its gradient in dy; null where it is not put out.
  float* output(TensorId id, const Walk& walk, uint64_t t, uint32_t sample, uint32_t direction) const {
    if (op_.only_last_step && t + 1 != walk.length) return nullptr;
    return at(id, op_.only_last_step ? 0 : t, sample, y_features()) + direction * units_;
  }
  float* saved(uint64_t t, uint32_t sample, uint32_t direction) const {
    const uint64_t row = (direction * uint64_t{context_.program->micro_batch} + sample) * steps_ + t;
    return context_.at<float>(op_.saved) + row * saved_parts(op_.cell) * units_;
  }
  // The part of the step before in the walk; null in front of the first, where all is zero.
  const float* saved_before(const Walk& walk, uint64_t i, uint32_t sample, uint32_t direction, uint64_t part) const {
    return i == 0 ? nullptr : saved(walk.step(i - 1), sample, direction) + part * units_;
  }
  uint64_t h_part() const { return saved_parts(op_.cell) - 1; }

  // sums = bias + row * weight; row may be null for zeros.
  void product(const float* row, uint64_t in, TensorId weight, const WeightStrides& strides, TensorId bias,
               double* sums) const {
    const float* w = context_.at<float>(weight);
    const float* b = context_.at<float>(bias);
    for (uint64_t o = 0; o < outputs_; ++o) sums[o] = b != nullptr ? static_cast<double>(b[o]) : 0;
    for (uint64_t k = 0; row != nullptr && k < in; ++k)
      add_scaled(sums, 1, static_cast<double>(row[k]), w + k * strides.input, strides.output, outputs_);
  }

  void forward() const {
    Scratch scratch = context_.scratch();
    double* i_sums = scratch.take<double>(outputs_);
    double* j_sums = scratch.take<double>(outputs_);
    const uint32_t samples = context_.arguments->samples;
    std::memset(context_.at<float>(op_.y), 0, op_.y_extent.elements() * samples * sizeof(float));
    for (uint32_t direction = 0; direction < op_.directions; ++direction)
      for (uint32_t sample = 0; sample < samples; ++sample) {
        const RecurrentWeights& w = op_.weights[direction];
        const Walk way = walk(sample, direction);
        for (uint64_t i = 0; i < way.count; ++i) {
          const uint64_t t = way.step(i);
          const float* h = saved_before(way, i, sample, direction, h_part());
          product(x_at(op_.x, t, sample), features_, w.ih, ih_, w.bias_ih, i_sums);
          product(h, units_, w.hh, hh_, w.bias_hh, j_sums);
          float* kept = saved(t, sample, direction);
          if (op_.cell == Cell::gru)
            gru(i_sums, j_sums, h, kept);
          else
            lstm(i_sums, j_sums, saved_before(way, i, sample, direction, 4), kept);
          if (float* y = output(op_.y, way, t, sample, direction))
            std::memcpy(y, kept + h_part() * units_, units_ * sizeof(float));
        }
      }
  }

  void gru(const double* i, const double* j, const float* h, float* kept) const {
    for (uint64_t u = 0; u < units_; ++u) {
      const double r = sigmoid(i[u] + j[u]), z = sigmoid(i[units_ + u] + j[units_ + u]);
      const double n = std::tanh(i[2 * units_ + u] + r * j[2 * units_ + u]);
      const double values[] = {r, z, n, j[2 * units_ + u],
                               (1 - z) * n + (h != nullptr ? z * static_cast<double>(h[u]) : 0)};
      for (uint64_t part = 0; part < 5; ++part) kept[part * units_ + u] = static_cast<float>(values[part]);
    }
  }

  void lstm(const double* i_sums, const double* j_sums, const float* c, float* kept) const {
    const auto sum = [&](uint64_t gate, uint64_t u) { return i_sums[gate * units_ + u] + j_sums[gate * units_ + u]; };
    for (uint64_t u = 0; u < units_; ++u) {
      const double i = sigmoid(sum(0, u)), f = sigmoid(sum(1, u)), g = std::tanh(sum(2, u)), o = sigmoid(sum(3, u));
      const double next = (c != nullptr ? f * static_cast<double>(c[u]) : 0) + i * g;
      const double values[] = {i, f, g, o, next, o * std::tanh(next)};
      for (uint64_t part = 0; part < 6; ++part) kept[part * units_ + u] = static_cast<float>(values[part]);
    }
  }

  // Of one direction: the gradients of the weights, and what comes through to x and to the h before.
  struct Sums {
    double *ih, *hh, *bias_ih, *bias_hh;  // like the weights
    double *di, *dj;                      // of the sums of one step
    double *dh, *dc;                      // that come from the step behind
  };

  void backward() const {
    Scratch scratch = context_.scratch();
    Sums s{};
    s.ih = scratch.take<double>(features_ * outputs_);
    s.hh = scratch.take<double>(units_ * outputs_);
    s.bias_ih = scratch.take<double>(outputs_);
    s.bias_hh = scratch.take<double>(outputs_);
    s.di = scratch.take<double>(outputs_);
    s.dj = scratch.take<double>(outputs_);
    s.dh = scratch.take<double>(units_);
    s.dc = scratch.take<double>(units_);
    const uint32_t samples = context_.arguments->samples;
    if (op_.dx != no_tensor) std::memset(context_.at<float>(op_.dx), 0, x_rows() * features_ * sizeof(float));
    for (uint32_t direction = 0; direction < op_.directions; ++direction) {
      std::memset(s.ih, 0, features_ * outputs_ * sizeof(double));
      std::memset(s.hh, 0, units_ * outputs_ * sizeof(double));
      std::memset(s.bias_ih, 0, outputs_ * sizeof(double));
      std::memset(s.bias_hh, 0, outputs_ * sizeof(double));
      for (uint32_t sample = 0; sample < samples; ++sample) backward_walk(direction, sample, s);
      const RecurrentWeights& d = op_.dweights[direction];
      const bool accumulate = context_.arguments->accumulate;
      store_sums(s.ih, features_ * outputs_, accumulate, context_.at<float>(d.ih));
      store_sums(s.hh, units_ * outputs_, accumulate, context_.at<float>(d.hh));
      if (!op_.has_bias) continue;
      store_sums(s.bias_ih, outputs_, accumulate, context_.at<float>(d.bias_ih));
      store_sums(s.bias_hh, outputs_, accumulate, context_.at<float>(d.bias_hh));
    }
  }

  void backward_walk(uint32_t direction, uint32_t sample, const Sums& s) const {
    const Walk way = walk(sample, direction);
    const RecurrentWeights& w = op_.weights[direction];
    std::memset(s.dh, 0, units_ * sizeof(double));
    std::memset(s.dc, 0, units_ * sizeof(double));
    for (uint64_t i = way.count; i-- > 0;) {
      const uint64_t t = way.step(i);
      if (const float* dy = output(op_.dy, way, t, sample, direction)) add_scaled(s.dh, 1, 1, dy, 1, units_);
      const float* kept = saved(t, sample, direction);
      const float* h = saved_before(way, i, sample, direction, h_part());
      if (op_.cell == Cell::gru)
        gru_backward(kept, h, s);
      else
        lstm_backward(kept, saved_before(way, i, sample, direction, 4), s);
      const float* x = x_at(op_.x, t, sample);
      for (uint64_t o = 0; o < outputs_; ++o) {
        s.bias_ih[o] += s.di[o];
        s.bias_hh[o] += s.dj[o];
      }
      for (uint64_t k = 0; k < features_; ++k)
        add_scaled(s.ih + k * ih_.input, ih_.output, static_cast<double>(x[k]), s.di, 1, outputs_);
      for (uint64_t k = 0; h != nullptr && k < units_; ++k)
        add_scaled(s.hh + k * hh_.input, hh_.output, static_cast<double>(h[k]), s.dj, 1, outputs_);
      const float* hh = context_.at<float>(w.hh);
      for (uint64_t k = 0; k < units_; ++k) s.dh[k] += back(s.dj, hh + k * hh_.input, hh_.output);
      if (op_.dx == no_tensor) continue;
      // The second direction adds to the first one's.
      const float* ih = context_.at<float>(w.ih);
      float* dx = x_at(op_.dx, t, sample);
      for (uint64_t k = 0; k < features_; ++k)
        dx[k] = static_cast<float>(static_cast<double>(dx[k]) + back(s.di, ih + k * ih_.input, ih_.output));
    }
  }

  double back(const double* sums, const float* weights, uint64_t stride) const {
    double sum = 0;
    for (uint64_t o = 0; o < outputs_; ++o) sum += sums[o] * static_cast<double>(weights[o * stride]);
    return sum;
  }

  // From dh of the step to di and dj, and to the part of the dh in front that does not come through the product.
  void gru_backward(const float* kept, const float* h, const Sums& s) const {
    for (uint64_t u = 0; u < units_; ++u) {
      const auto part = [&](uint64_t p) { return static_cast<double>(kept[p * units_ + u]); };
      const double r = part(0), z = part(1), n = part(2), j_n = part(3), dh = s.dh[u];
      const double before = h != nullptr ? static_cast<double>(h[u]) : 0;
      const double dn = dh * (1 - z) * (1 - n * n);
      s.di[u] = s.dj[u] = dn * j_n * r * (1 - r);
      s.di[units_ + u] = s.dj[units_ + u] = dh * (before - n) * z * (1 - z);
      s.di[2 * units_ + u] = dn;
      s.dj[2 * units_ + u] = dn * r;
      s.dh[u] = dh * z;
    }
  }

  void lstm_backward(const float* kept, const float* c, const Sums& s) const {
    for (uint64_t u = 0; u < units_; ++u) {
      const auto part = [&](uint64_t p) { return static_cast<double>(kept[p * units_ + u]); };
      const double i = part(0), f = part(1), g = part(2), o = part(3), tanh_c = std::tanh(part(4));
      const double dc = s.dc[u] + s.dh[u] * o * (1 - tanh_c * tanh_c);
      const double d[] = {dc * g * i * (1 - i), c != nullptr ? dc * static_cast<double>(c[u]) * f * (1 - f) : 0,
                          dc * i * (1 - g * g), s.dh[u] * tanh_c * o * (1 - o)};
      for (uint64_t gate = 0; gate < 4; ++gate) s.di[gate * units_ + u] = s.dj[gate * units_ + u] = d[gate];
      s.dc[u] = dc * f;
      s.dh[u] = 0;
    }
  }

  static uint64_t forward_scratch_bytes(const Op& op) {
    return 2 * Scratch::bytes<double>(gates_of(op.cell) * uint64_t{op.units});
  }
  static uint64_t backward_scratch_bytes(const Op& op) {
    const uint64_t units = op.units, outputs = gates_of(op.cell) * units, features = op.x_extent.channels;
    return Scratch::bytes<double>(features * outputs) + Scratch::bytes<double>(units * outputs) +
           4 * Scratch::bytes<double>(outputs) + 2 * Scratch::bytes<double>(units);
  }

 private:
  const Op& op_;
  const Context& context_;
  const uint64_t steps_, features_, units_, outputs_;
  const WeightStrides ih_, hh_;
};

}  // namespace

void recurrent(const Op& op, const Context& context) { Recurrent(op, context).forward(); }
void recurrent_backward(const Op& op, const Context& context) { Recurrent(op, context).backward(); }

uint64_t recurrent_scratch_bytes(const Op& op) { return Recurrent::forward_scratch_bytes(op); }
uint64_t recurrent_backward_scratch_bytes(const Op& op) { return Recurrent::backward_scratch_bytes(op); }
uint64_t recurrent_saved_bytes(const Op& op, uint32_t micro_batch) {
  return op.directions * uint64_t{micro_batch} * op.x_extent.height * saved_parts(op.cell) * op.units * sizeof(float);
}

}  // namespace lt::reference
