// Embeddings: rows of a table by the numbers of words, the sums of their gradients, and Adam's steps of the rows alone that
// a batch has (Op::last_steps). See ops.h for memory and threads.
#include <algorithm>

#include "backends/reference/ops.h"

namespace lt::reference {
namespace {

// Where a run's words stand: position [time][sample], of which those within their sample's length count.
struct Words {
  const Op& op;
  const RunArguments& arguments;
  const int32_t* words;

  Words(const Op& of, const Context& context) : op(of), arguments(*context.arguments), words(context.at<int32_t>(of.x)) {}
  uint64_t positions() const { return uint64_t{op.x_extent.height} * arguments.samples; }
  bool counts(uint64_t position) const {
    if (!op.has_lengths || arguments.lengths == nullptr) return true;
    return position / arguments.samples < arguments.lengths[position % arguments.samples];
  }
};

// Gives words numbers in the order in which they come first. `numbers` has a place for each word of the vocabulary.
class Numbering {
 public:
  Numbering(int32_t* numbers, uint32_t vocabulary) : numbers_(numbers) { std::fill(numbers, numbers + vocabulary, -1); }
  int32_t of(int32_t word) {
    int32_t& number = numbers_[word];
    if (number < 0) number = count_++;
    return number;
  }
  int32_t count() const { return count_; }

 private:
  int32_t* numbers_;
  int32_t count_ = 0;
};

// A row's steps up to `step`, with gradients of 0: `zeros` has a row of them.
void catch_up(const Op& op, const Context& context, uint64_t row, uint64_t step, const float* zeros) {
  int32_t& last = context.at<int32_t>(op.last_steps)[row];
  const uint64_t features = op.y_extent.channels, first = row * features;
  RunArguments arguments = *context.arguments;
  for (; static_cast<uint64_t>(last) < step; ++last) {
    arguments.step = static_cast<uint64_t>(last) + 1;
    update_piece(OpKind::update_adam, arguments,
                 {context.at<float>(op.parameters) + first, context.at<float>(op.state) + first,
                  context.at<float>(op.state2) + first, zeros, features, 1});
  }
}

float* zero_row(const Op& op, Scratch* scratch) {
  float* zeros = scratch->take<float>(op.y_extent.channels);
  std::fill(zeros, zeros + op.y_extent.channels, 0.0f);
  return zeros;
}

}  // namespace

uint64_t embedding_scratch_bytes(const Op& op) {
  return Scratch::bytes<int32_t>(op.vocabulary) + Scratch::bytes<float>(op.y_extent.channels);
}

void embedding(const Op& op, const Context& context) {
  const Words words(op, context);
  const uint64_t features = op.y_extent.channels;
  Scratch scratch = context.scratch();
  Numbering numbering(scratch.take<int32_t>(op.vocabulary), op.vocabulary);
  const float* zeros = zero_row(op, &scratch);
  const float* weight = context.at<float>(op.weight);
  float* y = context.at<float>(op.y);
  int32_t* rows = context.at<int32_t>(op.rows);
  for (uint64_t position = 0; position < words.positions(); ++position) {
    const int32_t word = words.words[position];
    if (!words.counts(position)) {
      if (rows != nullptr)
        rows[position] = 0;
      else
        std::fill_n(y + position * features, features, 0.0f);
      continue;
    }
    if (op.last_steps != no_tensor) catch_up(op, context, static_cast<uint64_t>(word), context.arguments->step - 1, zeros);
    const uint64_t to = rows != nullptr ? static_cast<uint64_t>(numbering.of(word)) : position;
    if (rows != nullptr) rows[position] = static_cast<int32_t>(to);
    std::copy_n(weight + static_cast<uint64_t>(word) * features, features, y + to * features);
  }
  if (rows != nullptr) rows[words.positions()] = numbering.count();
}

uint64_t embedding_backward_scratch_bytes(const Op& op, uint32_t micro_batch) {
  const uint64_t most_rows = uint64_t{op.x_extent.height} * micro_batch;
  return Scratch::bytes<int32_t>(op.vocabulary) + Scratch::bytes<int32_t>(most_rows) +
         Scratch::bytes<double>(most_rows * op.y_extent.channels) + Scratch::bytes<float>(op.y_extent.channels);
}

void embedding_backward(const Op& op, const Context& context) {
  const Words words(op, context);
  const RunArguments& arguments = *context.arguments;
  const uint64_t features = op.y_extent.channels, most_rows = uint64_t{op.x_extent.height} * context.program->micro_batch;
  Scratch scratch = context.scratch();
  Numbering numbering(scratch.take<int32_t>(op.vocabulary), op.vocabulary);
  int32_t* word_of = scratch.take<int32_t>(most_rows);
  double* sums = scratch.take<double>(most_rows * features);
  float* gradient = scratch.take<float>(features);

  const float* dy = context.at<float>(op.dy);
  const int32_t* rows = context.at<int32_t>(op.rows);
  for (uint64_t position = 0; position < words.positions(); ++position) {
    if (!words.counts(position)) continue;
    const int32_t word = words.words[position], known = numbering.count(), number = numbering.of(word);
    double* sum = sums + static_cast<uint64_t>(number) * features;
    if (number == known) {
      word_of[number] = word;
      std::fill_n(sum, features, 0.0);
    } else if (rows != nullptr) {
      continue;  // dy has each word once, summed
    }
    const float* row = dy + (rows != nullptr ? static_cast<uint64_t>(rows[position]) : position) * features;
    for (uint64_t i = 0; i < features; ++i) sum[i] += static_cast<double>(row[i]);
  }

  if (op.folded_update) {
    if (!loss_was_finite(op, context)) return;
    for (int32_t number = 0; number < numbering.count(); ++number) {
      const uint64_t word = static_cast<uint64_t>(word_of[number]), first = word * features;
      for (uint64_t i = 0; i < features; ++i)
        gradient[i] = static_cast<float>(sums[static_cast<uint64_t>(number) * features + i]);
      update_piece(*op.folded_update, arguments,
                   {context.at<float>(op.parameters) + first, context.at<float>(op.state) + first,
                    context.at<float>(op.state2) + first, gradient, features, 1});
      context.at<int32_t>(op.last_steps)[word] = static_cast<int32_t>(arguments.step);
    }
    return;
  }
  float* dweight = context.at<float>(op.dweight);
  if (!arguments.accumulate) std::fill_n(dweight, op.vocabulary * features, 0.0f);
  for (int32_t number = 0; number < numbering.count(); ++number)
    store_sums(sums + static_cast<uint64_t>(number) * features, features, arguments.accumulate,
               dweight + static_cast<uint64_t>(word_of[number]) * features);
}

void embedding_catch_up(const Op& op, const Context& context) {
  Scratch scratch = context.scratch();
  const float* zeros = zero_row(op, &scratch);
  for (uint64_t row = 0; row < op.vocabulary; ++row) catch_up(op, context, row, context.arguments->step - 1, zeros);
}

}  // namespace lt::reference
