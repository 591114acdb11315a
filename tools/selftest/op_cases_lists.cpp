// Cases of embeddings and of CTC, whose inputs are lists of whole numbers.
#include "tools/selftest/op_cases.h"

namespace lt::ops {
namespace {

void add(std::vector<OpCase>* cases, OpCase c, const char* suffix = "") {
  c.name += suffix;
  cases->push_back(std::move(c));
}

void add_embedding(std::vector<OpCase>* cases) {
  struct Shape {
    uint32_t steps, vocabulary, features;
  };
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{3, 40, 17}, Shape{9, 100, 125}, Shape{40, 300, 33}})
    for (unsigned parts = 0; parts < 8; ++parts) {
      OpCase c = embedding_case(shape.steps, shape.vocabulary, shape.features);
      c.op.has_lengths = parts & 1;
      c.rows_once = parts & 2;
      c.deferred = parts & 4;
      if (c.deferred) c.step = 20;
      if (c.op.has_lengths) c.name += "_lengths";
      if (c.rows_once) c.name += "_rows";
      if (c.deferred) c.name += "_deferred";
      if (shape.steps == 9) c.samples = 3;
      add(cases, c);
      add(cases, backward_case(c));
      c.loss_is_finite = false;
      if (c.deferred) add(cases, backward_case(c), "_not_finite");
      c.accumulate = true;
      if (!c.deferred) add(cases, backward_case(c), "_accumulate");
      c.training = false;
      add(cases, c, "_evaluation");
    }
  for (const Shape& shape : {Shape{0, 1, 1}, Shape{0, 100, 125}, Shape{0, 33, 16}}) {
    OpCase c = embedding_catch_up_case(shape.vocabulary, shape.features);
    c.step = 12;
    add(cases, c);
  }
}

void add_ctc(std::vector<OpCase>* cases) {
  struct Shape {
    uint32_t steps, classes, labels;
  };
  const Shape shapes[] = {{1, 2, 1}, {2, 3, 1}, {5, 4, 3}, {9, 2, 4}, {40, 17, 8}, {61, 33, 30}, {150, 59, 40}};
  for (const Shape& shape : shapes) {
    OpCase c = ctc_case(shape.steps, shape.classes, shape.labels);
    add(cases, c);
    c.op.has_lengths = true;
    add(cases, c, "_lengths");
    c.samples = 3;
    c.batch_samples = 64;
    c.accumulate = true;
    add(cases, c, "_lengths_accumulate");
    c.fill = Fill::integers;
    add(cases, c, "_lengths_integers");
    c.training = false;
    add(cases, c, "_evaluation");
    c.needs_dx = false;
    add(cases, c, "_evaluation_no_dx");
  }
  for (Poison poison : {Poison::nan, Poison::infinity}) {
    OpCase c = ctc_case(12, 5, 3);
    c.poison = poison;
    add(cases, c, poison == Poison::nan ? "_nan" : "_infinity");
  }
}

}  // namespace

void add_list_cases(std::vector<OpCase>* cases) {
  add_embedding(cases);
  add_ctc(cases);
}

}  // namespace lt::ops
