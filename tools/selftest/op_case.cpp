// Cases made from shapes: the extents that follow, and names that tell a test's log what failed.
#include "tools/selftest/op_fixture.h"

namespace lt::ops {
namespace {

Extent after_window(Extent x, Window window, uint32_t channels) {
  return {(x.height + 2 * window.padding - window.kernel) / window.stride + 1,
          (x.width + 2 * window.padding - window.kernel) / window.stride + 1, channels};
}

std::string text(Extent e) {
  return std::to_string(e.height) + "x" + std::to_string(e.width) + "x" + std::to_string(e.channels);
}

std::string text(const char* what, Window w) {
  return std::string("_") + what + std::to_string(w.kernel) + "s" + std::to_string(w.stride) + "p" +
         std::to_string(w.padding);
}

void set_pool(Op* op, Window pool, Extent from, std::string* name) {
  op->y_extent = from;
  if (pool.kernel == 0) return;
  op->has_pool = true;
  op->pool = pool;
  op->y_extent = after_window(from, pool, from.channels);
  *name += text("pool", pool);
}

}  // namespace

OpCase conv2d_case(Extent x, uint32_t out_channels, Window conv, Window pool) {
  OpCase c;
  c.op.kind = OpKind::conv2d;
  c.op.x_extent = x;
  c.op.conv = conv;
  c.op.conv_extent = after_window(x, conv, out_channels);
  c.name = "conv2d_" + text(x) + "_to" + std::to_string(out_channels) + text("k", conv);
  set_pool(&c.op, pool, c.op.conv_extent, &c.name);
  return c;
}

OpCase linear_case(uint32_t in, uint32_t out) {
  OpCase c;
  c.op.kind = OpKind::linear;
  c.op.x_extent = {1, 1, in};
  c.op.y_extent = {1, 1, out};
  c.name = "linear_" + std::to_string(in) + "_to" + std::to_string(out);
  return c;
}

OpCase activation_case(Extent x, Window pool) {
  OpCase c;
  c.op.kind = OpKind::activation;
  c.op.x_extent = x;
  c.name = "activation_" + text(x);
  set_pool(&c.op, pool, x, &c.name);
  return c;
}

OpCase backward_case(OpCase c) {
  c.name = "backward_" + c.name;
  c.op.kind = c.op.kind == OpKind::conv2d      ? OpKind::conv2d_backward
              : c.op.kind == OpKind::linear    ? OpKind::linear_backward
              : c.op.kind == OpKind::recurrent ? OpKind::recurrent_backward
              : c.op.kind == OpKind::embedding ? OpKind::embedding_backward
                                               : OpKind::activation_backward;
  return c;
}

OpCase input_case(Extent x, DType x_dtype) {
  OpCase c;
  c.op.kind = OpKind::input;
  c.op.x_extent = c.op.y_extent = x;
  c.op.x_dtype = x_dtype;
  c.name = "input_" + text(x) + (x_dtype == DType::u8 ? "_u8" : x_dtype == DType::i32 ? "_i32" : "_f32");
  return c;
}

OpCase average_pool_case(Extent x) {
  OpCase c;
  c.op.kind = OpKind::average_pool;
  c.op.x_extent = x;
  c.op.y_extent = {1, 1, x.channels};
  c.inference = true;
  c.training = false;
  c.name = "average_pool_" + text(x);
  return c;
}

OpCase sequence_linear_case(uint32_t time_steps, uint32_t in, uint32_t out) {
  OpCase c = linear_case(in, out);
  c.time_steps = c.op.rows_per_sample = time_steps;
  c.name += "_steps" + std::to_string(time_steps);
  return c;
}

OpCase recurrent_case(Cell cell, uint32_t time_steps, uint32_t features, uint32_t units, uint32_t directions) {
  OpCase c;
  c.op.kind = OpKind::recurrent;
  c.op.cell = cell;
  c.op.units = units;
  c.op.directions = directions;
  c.op.has_bias = true;
  c.op.x_extent = {time_steps, 1, features};
  c.op.y_extent = {time_steps, 1, directions * units};
  c.time_steps = time_steps;
  c.name = std::string(cell == Cell::gru ? "gru_" : "lstm_") + std::to_string(time_steps) + "x" + std::to_string(features) +
           "_to" + std::to_string(units) + (directions == 2 ? "_both_ways" : "");
  return c;
}

OpCase loss_case(uint32_t classes) {
  OpCase c;
  c.op.kind = OpKind::softmax_cross_entropy;
  c.op.x_extent = c.op.y_extent = {1, 1, classes};
  c.name = "loss_" + std::to_string(classes);
  return c;
}

OpCase update_case(OpKind kind, uint64_t parameter_elements) {
  OpCase c;
  c.op.kind = kind;
  c.op.parameter_elements = parameter_elements;
  c.name = std::string(op_kind_name(kind)) + "_" + std::to_string(parameter_elements);
  return c;
}

OpCase embedding_case(uint32_t steps, uint32_t vocabulary, uint32_t features) {
  OpCase c;
  c.op.kind = OpKind::embedding;
  c.op.x_extent = {steps, 1, 1};
  c.op.y_extent = {steps, 1, features};
  c.op.vocabulary = vocabulary;
  c.name = "embedding_" + std::to_string(vocabulary) + "x" + std::to_string(features) + "_steps" + std::to_string(steps);
  return c;
}

OpCase embedding_catch_up_case(uint32_t vocabulary, uint32_t features) {
  OpCase c = embedding_case(1, vocabulary, features);
  c.op.kind = OpKind::embedding_catch_up;
  c.deferred = true;
  c.name = "embedding_catch_up_" + std::to_string(vocabulary) + "x" + std::to_string(features);
  return c;
}

OpCase ctc_case(uint32_t steps, uint32_t classes, uint32_t label_count) {
  OpCase c;
  c.op.kind = OpKind::ctc;
  c.op.x_extent = c.op.y_extent = {steps, 1, classes};
  c.op.label_count = label_count;
  c.name = "ctc_" + std::to_string(steps) + "x" + std::to_string(classes) + "_labels" + std::to_string(label_count);
  return c;
}

}  // namespace lt::ops
