// The list of cases, kind by kind, then shapes drawn at random. A case costs milliseconds on the reference device, so that
// sizes are those around the widths of vectors and blocks, and one of each product is as large as in a real model.
#include "tools/selftest/op_cases.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "src/base/philox.h"

namespace lt::ops {
namespace {

constexpr Window no_pool = {0, 0, 0};

struct Cases {
  std::vector<OpCase> list;

  void add(OpCase c, const char* suffix = "") {
    c.name += suffix;
    list.push_back(std::move(c));
  }
  // Forward and backward, with uniform numbers and with whole ones.
  void add_both(OpCase c, const char* suffix = "") {
    c.name += suffix;
    for (Fill fill : {Fill::uniform, Fill::integers}) {
      OpCase filled = c;
      filled.fill = fill;
      if (fill == Fill::integers) filled.name += "_integers";
      list.push_back(filled);
      list.push_back(backward_case(filled));
    }
  }
  // What may follow a sum, by the bits of `parts`: bias, ReLU, dropout.
  void add_parts(OpCase c, unsigned parts) {
    const bool product = c.op.kind != OpKind::activation;
    c.op.has_bias = product && (parts & 1);
    c.op.has_relu = parts & 2;
    c.op.dropout = parts & 4 ? 0.5f : 0;
    std::string suffix;
    if (c.op.has_bias) suffix += "_bias";
    if (c.op.has_relu) suffix += "_relu";
    if (c.op.dropout != 0) suffix += "_dropout";
    add_both(std::move(c), suffix.c_str());
  }
  // What a run may ask for, on one shape.
  void add_runs(OpCase c) {
    c.op.dropout = 0.4f;
    c.op.has_relu = true;
    c.op.has_bias = c.op.kind != OpKind::activation;
    OpCase changed = c;
    changed.training = false;
    add(changed, "_evaluation");
    changed.samples = 1;
    add(changed, "_evaluation_of_one");
    changed = c;
    changed.dropout = false;
    add_both(changed, "_no_dropout");
    changed = c;
    changed.accumulate = true;
    changed.sample_offset = 5;
    changed.batch_samples = 10;
    add_both(changed, "_accumulate");
    changed = c;
    changed.samples = 1;
    add_both(changed, "_one_sample");
    changed.samples = 3;
    changed.sample_offset = 64;
    changed.seed = 0x123456789abcdefull;
    add_both(changed, "_three_samples");
    changed = c;
    changed.needs_dx = false;
    if (c.op.kind != OpKind::activation) add_both(changed, "_no_dx");
    for (Poison poison : {Poison::nan, Poison::infinity}) {
      changed = c;
      changed.op.dropout = 0;
      changed.poison = poison;
      add(changed, poison == Poison::nan ? "_nan" : "_infinity");
      add(backward_case(changed), poison == Poison::nan ? "_nan" : "_infinity");
    }
  }
  // For a shape so large that kernels which convert some samples at a time do so more than once.
  void add_chunks(OpCase c) {
    c.micro_batch = c.samples = c.batch_samples = 18;
    c.sample_offset = 7;
    c.op.has_bias = c.op.kind != OpKind::activation;
    c.op.has_relu = c.accumulate = true;
    c.op.dropout = 0.4f;
    add(backward_case(c), "_chunks");
  }
};

void add_linear(Cases* cases) {
  const std::pair<uint32_t, uint32_t> shapes[] = {{1, 1},   {3, 17},  {17, 3},  {50, 64},   {64, 50}, {65, 65},
                                                  {64, 10}, {100, 1}, {1, 100}, {127, 129}, {784, 10}};
  unsigned parts = 0;
  for (const auto& [in, out] : shapes) cases->add_parts(linear_case(in, out), parts++ & 7);
  for (parts = 0; parts < 8; ++parts) cases->add_parts(linear_case(33, 31), parts);
  cases->add_runs(linear_case(40, 37));
  OpCase many = linear_case(70, 33);
  many.micro_batch = many.samples = many.batch_samples = 67;
  many.op.has_relu = true;
  cases->add_both(many, "_67_samples");
  many.samples = 13;
  cases->add_both(many, "_13_of_67_samples");
  // More inputs and outputs than any block of a product takes at once.
  OpCase large = linear_case(1601, 520);
  large.micro_batch = large.samples = large.batch_samples = 9;
  large.op.has_bias = large.op.has_relu = true;
  large.op.dropout = 0.4f;
  cases->add(backward_case(large));
  OpCase logits = linear_case(48, 10);
  logits.logits = logits.op.has_bias = true;
  cases->add_both(logits, "_logits");
  cases->add_chunks(linear_case(33000, 3));
}

void add_conv2d(Cases* cases) {
  struct Shape {
    Extent x;
    uint32_t out;
    Window conv, pool;
  };
  const Shape shapes[] = {
      {{1, 1, 1}, 1, {1, 1, 0}, no_pool},       {{7, 5, 3}, 17, {3, 1, 1}, no_pool},
      {{9, 8, 1}, 32, {5, 1, 2}, {2, 2, 0}},    {{28, 28, 1}, 32, {5, 1, 2}, {2, 2, 0}},
      {{12, 12, 1}, 6, {5, 1, 0}, {2, 2, 0}},   {{14, 14, 32}, 64, {5, 1, 2}, {2, 2, 0}},
      {{12, 12, 32}, 64, {5, 1, 0}, {2, 2, 0}}, {{6, 7, 17}, 50, {3, 1, 1}, no_pool},
      {{8, 8, 50}, 50, {3, 1, 1}, {2, 2, 0}},   {{5, 5, 64}, 65, {1, 1, 0}, no_pool},
      {{6, 6, 65}, 3, {2, 1, 0}, no_pool},      {{6, 6, 3}, 64, {2, 2, 1}, no_pool},
      {{11, 9, 3}, 20, {3, 2, 1}, {2, 2, 0}},   {{11, 11, 2}, 8, {5, 3, 2}, no_pool},
      {{10, 7, 4}, 33, {3, 1, 2}, {3, 2, 0}},   {{9, 9, 5}, 16, {3, 1, 1}, {2, 1, 0}},
      {{9, 9, 5}, 16, {3, 1, 1}, {3, 2, 1}},    {{7, 7, 3}, 1, {3, 1, 1}, {3, 3, 0}},
      {{4, 4, 100}, 100, {3, 1, 1}, {2, 2, 0}}, {{3, 2, 7}, 9, {2, 1, 0}, no_pool},
  };
  // Winograd's borders: other paddings, odd sizes, pools that leave a row over, and channels on both sides of whole
  // vectors.
  const Shape tiled[] = {
      {{9, 7, 18}, 20, {3, 1, 0}, no_pool},      {{10, 11, 16}, 35, {3, 1, 0}, {2, 2, 0}},
      {{5, 6, 33}, 34, {3, 1, 2}, no_pool},      {{5, 9, 49}, 51, {3, 1, 2}, {2, 2, 0}},
      {{7, 9, 50}, 100, {3, 1, 1}, no_pool},     {{11, 5, 36}, 52, {3, 1, 1}, {2, 2, 0}},
      {{3, 3, 100}, 50, {3, 1, 1}, no_pool},     {{8, 7, 17}, 33, {5, 1, 2}, no_pool},
      {{9, 6, 50}, 18, {5, 1, 0}, no_pool},      {{4, 5, 20}, 66, {5, 1, 4}, no_pool},
      {{13, 13, 64}, 128, {3, 1, 1}, {2, 2, 0}}, {{6, 5, 21}, 16, {3, 1, 3}, no_pool},
  };
  unsigned parts = 3;
  for (const Shape& shape : tiled) cases->add_parts(conv2d_case(shape.x, shape.out, shape.conv, shape.pool), parts++ & 7);
  // The layers of a model of CIFAR-10.
  const Shape layers[] = {{{32, 32, 3}, 50, {3, 1, 1}, no_pool},
                          {{32, 32, 50}, 50, {3, 1, 1}, {2, 2, 0}},
                          {{16, 16, 50}, 100, {3, 1, 1}, no_pool},
                          {{16, 16, 100}, 100, {3, 1, 1}, {2, 2, 0}}};
  for (const Shape& shape : layers) {
    OpCase c = conv2d_case(shape.x, shape.out, shape.conv, shape.pool);
    c.op.has_bias = c.op.has_relu = true;
    c.op.dropout = shape.pool.kernel != 0 ? 0.25f : 0;
    c.needs_dx = shape.x.channels != 3;
    c.micro_batch = c.samples = c.batch_samples = 2;
    cases->add(backward_case(c));
  }
  // Samples enough for several parts of the weights' sums, and for blocks of several samples.
  OpCase many = conv2d_case({6, 5, 18}, 34, {3, 1, 1}, {2, 2, 0});
  many.op.has_bias = many.op.has_relu = true;
  many.op.dropout = 0.25f;
  many.micro_batch = many.samples = many.batch_samples = 37;
  cases->add_both(many, "_37_samples");
  // First layers without a pool: dweight and dbias alone.
  const Shape first[] = {{{9, 7, 3}, 50, {3, 1, 1}, no_pool},  {{7, 8, 1}, 17, {5, 2, 2}, no_pool},
                         {{6, 5, 4}, 100, {3, 1, 0}, no_pool}, {{11, 11, 3}, 64, {7, 2, 3}, no_pool},
                         {{5, 5, 15}, 2, {2, 1, 1}, no_pool},  {{8, 33, 2}, 36, {1, 3, 0}, no_pool},
                         {{6, 37, 3}, 35, {3, 1, 1}, no_pool}};
  for (const Shape& shape : first) {
    OpCase c = conv2d_case(shape.x, shape.out, shape.conv, shape.pool);
    c.needs_dx = false;
    cases->add_parts(c, parts++ & 7);
    c.micro_batch = c.batch_samples = 35;
    c.samples = 34;
    c.accumulate = true;
    c.name += "_34_samples";
    cases->add_parts(c, parts++ & 7);
  }
  cases->add_runs(conv2d_case({7, 6, 18}, 20, {3, 1, 1}, {2, 2, 0}));
  cases->add_runs(conv2d_case({6, 6, 17}, 50, {3, 1, 1}));
  for (const Shape& shape : shapes) cases->add_parts(conv2d_case(shape.x, shape.out, shape.conv, shape.pool), parts++ & 7);
  for (parts = 0; parts < 8; ++parts) {
    cases->add_parts(conv2d_case({6, 6, 3}, 18, {3, 1, 1}), parts);
    cases->add_parts(conv2d_case({6, 6, 3}, 18, {3, 1, 1}, {2, 2, 0}), parts);
  }
  cases->add_runs(conv2d_case({8, 8, 3}, 10, {3, 1, 1}, {2, 2, 0}));
  cases->add_runs(conv2d_case({6, 5, 1}, 20, {5, 1, 2}));
  cases->add_chunks(conv2d_case({56, 48, 9}, 17, {1, 1, 0}));
}

// Convolutions as programs for inference have them: weights prepared once, by batches of 8 and more, and residuals.
void add_inference(Cases* cases) {
  struct Shape {
    Extent x;
    uint32_t out;
    Window conv, pool;
  };
  using Residual = OpCase::Residual;
  const Shape shapes[] = {{{7, 5, 16}, 64, {1, 1, 0}, no_pool},   {{9, 7, 33}, 50, {1, 2, 0}, no_pool},
                          {{1, 1, 130}, 17, {1, 1, 0}, no_pool},  {{14, 13, 64}, 256, {1, 1, 0}, no_pool},
                          {{15, 30, 40}, 48, {1, 3, 0}, no_pool}, {{10, 9, 35}, 64, {3, 1, 1}, no_pool},
                          {{9, 11, 32}, 33, {3, 2, 1}, no_pool},  {{7, 7, 128}, 128, {3, 1, 1}, no_pool},
                          {{5, 4, 256}, 130, {3, 1, 1}, no_pool}, {{21, 19, 3}, 64, {7, 2, 3}, {3, 2, 1}}};
  for (const Shape& shape : shapes)
    for (const Residual residual : {Residual::none, Residual::apart, Residual::in_y})
      for (const uint32_t samples : {1u, 9u}) {
        if (residual != Residual::none && shape.pool.kernel != 0) continue;
        OpCase c = conv2d_case(shape.x, shape.out, shape.conv, shape.pool);
        c.inference = c.op.has_bias = true;
        c.training = false;
        c.op.has_relu = residual != Residual::none || samples == 1;
        c.residual = residual;
        c.x_zero = samples == 1 ? 128 : 0;
        c.residual_zero = residual == Residual::in_y ? 128 : 0;
        c.micro_batch = c.samples = c.batch_samples = samples;
        const char* const sums[] = {"", "_residual", "_residual_in_y"};
        c.name += std::string("_inference_of") + std::to_string(samples) + sums[static_cast<int>(residual)];
        cases->add(c);
        c.fill = Fill::integers;
        cases->add(c, "_integers");
      }
  for (const Extent& x : {Extent{1, 1, 1}, Extent{7, 7, 2048}, Extent{3, 5, 37}}) cases->add(average_pool_case(x));
  OpCase features = average_pool_case({4, 4, 24});
  features.logits = true;
  features.x_zero = 128;
  cases->add(features, "_logits");
}

void add_activation(Cases* cases) {
  const std::pair<Extent, Window> shapes[] = {
      {{1, 1, 1}, no_pool},    {{1, 1, 17}, no_pool},     {{3, 5, 65}, no_pool},   {{4, 4, 64}, {2, 2, 0}},
      {{7, 5, 3}, {2, 2, 0}},  {{7, 7, 50}, {3, 2, 0}},   {{5, 6, 17}, {2, 1, 0}}, {{6, 6, 1}, {3, 3, 0}},
      {{7, 7, 10}, {3, 2, 1}}, {{24, 24, 32}, {2, 2, 0}},
  };
  unsigned parts = 2;
  for (const auto& [x, pool] : shapes) cases->add_parts(activation_case(x, pool), (parts += 2) & 6);
  for (parts = 0; parts < 8; parts += 2) {
    cases->add_parts(activation_case({5, 5, 33}, {2, 2, 0}), parts);
    if (parts != 0) cases->add_parts(activation_case({3, 3, 33}), parts);
  }
  cases->add_runs(activation_case({6, 5, 19}, {2, 2, 0}));
  cases->add_runs(activation_case({1, 1, 130}));
  cases->add_chunks(activation_case({64, 56, 16}, {2, 2, 0}));
}

void add_input(Cases* cases) {
  const Extent shapes[] = {{1, 1, 1}, {28, 28, 1}, {5, 7, 3}, {3, 3, 17}, {32, 32, 3}};
  for (const Extent& x : shapes)
    for (DType type : {DType::u8, DType::f32}) {
      OpCase c = input_case(x, type);
      c.samples = 3;
      cases->add(c);
      c.op.scale = 1.0f / 255;
      c.op.mean.resize(x.channels);
      c.op.deviation.resize(x.channels);
      for (uint32_t channel = 0; channel < x.channels; ++channel) {
        c.op.mean[channel] = 0.1307f + 0.01f * static_cast<float>(channel);
        c.op.deviation[channel] = 0.3081f + 0.02f * static_cast<float>(channel);
      }
      cases->add(c, "_normalised");
      c.training = false;
      cases->add(c, "_evaluation");
    }
  for (uint32_t steps : {1u, 7u, 150u}) {
    OpCase c = input_case({steps, 1, 1}, DType::i32);
    c.samples = 3;
    cases->add(c);
  }
}

void add_sequences(Cases* cases) {
  for (DType type : {DType::u8, DType::f32}) {
    OpCase c = input_case({7, 1, 123}, type);
    c.time_steps = 7;
    c.samples = 3;
    cases->add(c, "_steps");
    c.op.mean.assign(123, 0.25f);
    c.op.deviation.assign(123, 0.75f);
    c.op.mean[122] = -1;
    cases->add(c, "_steps_normalised");
  }
  for (const auto& [steps, in, out] : {std::tuple(1u, 9u, 5u), std::tuple(7u, 33u, 17u), std::tuple(20u, 64u, 59u)}) {
    OpCase c = sequence_linear_case(steps, in, out);
    cases->add_both(c);
    c.op.has_bias = true;
    c.samples = 3;
    cases->add_both(c, "_bias_three_samples");
    c.accumulate = true;
    c.op.has_relu = true;
    cases->add_both(c, "_relu_accumulate");
  }
}

// Each on four things that change what a kernel does with its steps: lengths, the last step alone, biases, samples.
void add_recurrent(Cases* cases) {
  const auto add = [&](OpCase c, const char* suffix = "") {
    c.name += suffix;
    cases->add(c);
    cases->add(backward_case(c));
  };
  const auto last = [](OpCase c) {
    c.op.only_last_step = true;
    c.op.y_extent.height = 1;
    return c;
  };
  for (const Cell cell : {Cell::gru, Cell::lstm})
    for (const uint32_t directions : {1u, 2u}) {
      for (const auto& [steps, features, units, samples] :
           {std::tuple(1u, 1u, 1u, 1u), std::tuple(2u, 3u, 5u, 2u), std::tuple(9u, 17u, 16u, 13u),
            std::tuple(12u, 40u, 33u, 5u), std::tuple(7u, 123u, 48u, 25u), std::tuple(5u, 20u, 100u, 8u)}) {
        OpCase c = recurrent_case(cell, steps, features, units, directions);
        c.micro_batch = c.samples = c.batch_samples = samples;
        add(c);
        add(last(c), "_last");
        c.op.has_lengths = true;
        add(c, "_lengths");
        add(last(c), "_last_lengths");
        c.rows_once = true;
        add(last(c), "_last_lengths_rows");
        c.op.has_lengths = false;
        add(c, "_rows");
      }
      OpCase c = recurrent_case(cell, 11, 19, 37, directions);
      c.op.has_bias = false;
      add(c, "_no_bias");
      c.op.has_lengths = true;
      c.needs_dx = false;
      add(c, "_no_bias_no_dx");
      c.op.has_bias = true;
      c.accumulate = true;
      add(c, "_accumulate_no_dx");
      add(last(c), "_accumulate_last_no_dx");
      c.accumulate = false;
      c.needs_dx = true;
      c.micro_batch = 13;
      c.samples = 6;
      add(c, "_six_of_thirteen");
      add(last(c), "_last_six_of_thirteen");
      c.samples = 1;
      add(c, "_one_of_thirteen");
      c.training = false;
      cases->add(c, "_evaluation");
      cases->add(last(c), "_last_evaluation");
    }
  // One as large as a real layer.
  OpCase c = recurrent_case(Cell::gru, 6, 123, 320, 1);
  c.micro_batch = c.samples = c.batch_samples = 25;
  add(c);
  c = recurrent_case(Cell::lstm, 5, 640, 320, 2);
  c.micro_batch = c.samples = c.batch_samples = 25;
  c.op.has_lengths = true;
  add(c, "_lengths");
}

void add_loss(Cases* cases) {
  for (uint32_t classes : {1u, 2u, 3u, 10u, 17u, 50u, 64u, 65u, 1000u}) {
    OpCase c = loss_case(classes);
    cases->add(c);
    c.batch_samples = 64;
    c.accumulate = true;
    cases->add(c, "_accumulate");
    c.fill = Fill::integers;  // equal logits
    c.samples = 3;
    cases->add(c, "_ties");
    c.training = false;
    cases->add(c, "_evaluation");
    c.needs_dx = false;
    cases->add(c, "_evaluation_no_dx");
  }
  for (Poison poison : {Poison::nan, Poison::infinity}) {
    OpCase c = loss_case(10);
    c.poison = poison;
    c.micro_batch = c.samples = c.batch_samples = 20;
    cases->add(c, poison == Poison::nan ? "_nan" : "_infinity");
  }
  OpCase many = loss_case(10);
  many.micro_batch = many.samples = many.batch_samples = 500;
  cases->add(many, "_500_samples");
}

void add_updates(Cases* cases) {
  for (OpKind kind : {OpKind::update_sgd, OpKind::update_momentum, OpKind::update_adam})
    for (uint64_t elements : {1u, 3u, 16u, 17u, 64u, 65u, 4096u, 100003u}) {
      OpCase c = update_case(kind, elements);
      cases->add(c);
      c.loss_is_finite = false;
      cases->add(c, "_not_finite");
      c.loss_is_finite = true;
      c.step = 1;
      cases->add(c, "_first_step");
    }
}

// Shapes that nobody thought of: the same ones every time.
class Draw {
 public:
  explicit Draw(uint32_t stream) : stream_(stream) {}
  // Between `least` and `most`, both included.
  uint32_t operator()(uint32_t least, uint32_t most) {
    return least + philox4x32({{count_++, 0, 0, stream_}}, 2024).v[0] % (most - least + 1);
  }
  // Vectors' widths and their neighbours are more interesting than what lies between.
  uint32_t size(uint32_t most) {
    constexpr uint32_t edges[] = {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65};
    const uint32_t size = (*this)(0, 1) ? edges[(*this)(0, std::size(edges) - 1)] : (*this)(1, most);
    return std::min(size, most);
  }

 private:
  uint32_t stream_, count_ = 0;
};

void add_random(Cases* cases) {
  for (uint32_t i = 0; i < 90; ++i) {
    Draw draw(i);
    const Extent x = {draw(1, 11), draw(1, 11), draw.size(i % 3 == 0 ? 33 : 65)};
    Window pool = {draw(1, 3), draw(1, 3), 0};
    OpCase c;
    switch (i % 3) {
      case 0: {
        Window conv = {draw(1, 5), draw(1, 2), draw(0, 2)};
        conv.kernel = std::min({conv.kernel, x.height + 2 * conv.padding, x.width + 2 * conv.padding});
        const uint32_t out = draw.size(65);
        c = conv2d_case(x, out, conv);
        const bool pools = draw(0, 1) && std::min(c.op.conv_extent.height, c.op.conv_extent.width) >= pool.kernel;
        if (pools) c = conv2d_case(x, out, conv, pool);
        break;
      }
      case 1: c = linear_case(draw.size(140), draw.size(140)); break;
      default: c = std::min(x.height, x.width) >= pool.kernel ? activation_case(x, pool) : activation_case(x); break;
    }
    c.micro_batch = draw(1, 19);
    c.samples = draw(1, c.micro_batch);
    c.batch_samples = c.micro_batch;
    c.accumulate = draw(0, 3) == 0;
    c.seed = i;
    c.name = "random" + std::to_string(i) + "_" + c.name;
    cases->add_parts(c, draw(0, 7));
  }
}

}  // namespace

std::vector<OpCase> all_cases() {
  Cases cases;
  add_input(&cases);
  add_linear(&cases);
  add_conv2d(&cases);
  add_inference(&cases);
  add_activation(&cases);
  add_sequences(&cases);
  add_recurrent(&cases);
  add_loss(&cases);
  add_updates(&cases);
  add_list_cases(&cases.list);
  add_random(&cases);
  return cases.list;
}

}  // namespace lt::ops
