// Operations and tensors: what the plan hands to a backend. Plain data, decided once for all devices: which layers are
// joined, which gradients exist, where every tensor lies. Immutable once the plan is made; any thread may read it.
//
// Layouts. Activations are [sample, height, width, channel] (NHWC), vectors [sample, feature]; the flattening in front of
// a linear layer keeps that order. Weights are matrices of `fan_in` x `out` where fan_in runs over (kernel row, kernel
// column, input channel); WeightLayout says which index runs fastest. All numbers are float unless said otherwise.
//
// Sequences (Tensor::time_steps != 0) are [time, sample, feature], where `sample` runs over RunArguments::samples: the rows
// of one time step are one block. RunArguments::lengths says how many steps each sample has. What lies behind them is
// padding: any finite numbers in the x of an operation, which nothing but the padding of its y may depend on; zeros in the
// gradients that operations write (dx), and in the y of recurrent ones. As an Extent a sequence is {time steps, 1,
// features}, raw it is [sample][time][feature].
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lt {

enum class Segment : uint8_t { parameters, state, activations, scratch, staging };
inline constexpr uint32_t segment_count = 5;

enum class DType : uint8_t { f32, u8, i32, bf16 };
constexpr uint32_t dtype_bytes(DType type) { return type == DType::u8 ? 1 : type == DType::bf16 ? 2 : 4; }

enum class WeightLayout : uint8_t {
  in_out,  // [kernel row][kernel column][input channel][output channel]; linear: [in][out]
  out_in,  // [output channel][kernel row][kernel column][input channel]; linear: [out][in]
};

// Every tensor starts at a multiple of this many bytes, and so do the segments.
inline constexpr uint64_t tensor_alignment = 64;

using TensorId = uint32_t;
inline constexpr TensorId no_tensor = UINT32_MAX;

struct Tensor {
  std::string name;  // "conv1.weight", "conv1" (an output), "conv1.gradient" (of that output) ...
  Segment segment = Segment::activations;
  DType dtype = DType::f32;
  uint64_t sample_elements = 0;        // elements of one sample; 0 for tensors that do not grow with the batch
  uint32_t time_steps = 0;             // of a sequence [time, sample, feature]; 0: [sample, ...]
  uint64_t bytes = 0;                  // for the whole micro-batch
  uint64_t offset = 0;                 // from the start of the region
  uint32_t first_op = 0, last_op = 0;  // lifetime, as indices into Program::ops
  TensorId part_of = UINT32_MAX;       // the block that this tensor is a part of: no place of its own
};

// Height, width and channels of one sample. A vector of n features is {1, 1, n}, a sequence of them {time steps, 1, n}.
struct Extent {
  uint32_t height = 1, width = 1, channels = 1;
  uint64_t elements() const { return uint64_t{height} * width * channels; }
  bool operator==(const Extent&) const = default;
};

// A square window: the kernel of a convolution or of a pool. The same stride both ways; padding on all four sides.
struct Window {
  uint32_t kernel = 1, stride = 1, padding = 0;
};

// The forms of cuDNN and PyTorch: the rows of weights and biases are gate after gate, GRU's r, z, n and LSTM's i, f, g, o;
// GRU's reset gate acts after the recurrent product.
enum class Cell : uint8_t { gru, lstm };

// The weights of one direction of a recurrent layer, or their gradients. With G = 3 (GRU) or 4 (LSTM) gates of H units: ih
// has fan_in = features of x, hh has fan_in = H, both have G * H outputs, as have the biases; no_tensor where a layer has
// no biases.
struct RecurrentWeights {
  TensorId ih = no_tensor, hh = no_tensor, bias_ih = no_tensor, bias_hh = no_tensor;
};
constexpr uint32_t gates_of(Cell cell) { return cell == Cell::gru ? 3 : 4; }

// Of a tensor of bytes in a program of Precision::int8: number = scale * (byte - zero), the scale at `place` in Op::scales.
struct ByteScale {
  uint32_t place = 0;
  uint8_t zero = 0;  // 0 behind a ReLU, else 128
};

enum class OpKind : uint8_t {
  input,   // raw samples -> y: (value * scale - mean[c]) / deviation[c], planar [channel][row][column] bytes or floats to
           // NHWC; where y is a sequence, [sample][time][feature] to [time][sample][feature]. The samples are
           // RunArguments::x, or those that a kept data set has at RunArguments::position
  conv2d,  // y = dropout(relu(max_pool(x * weight + bias))), each part after the sum only where the op says so; or
           // y = relu(x * weight + bias + residual)
  conv2d_backward,
  linear,  // y = dropout(relu(x weight + bias))
  linear_backward,
  activation,  // y = dropout(relu(max_pool(x))), what could not be joined to a product
  activation_backward,
  average_pool,  // y = the mean of x over all its pixels, channel by channel; of inference programs alone
  recurrent,     // y = a GRU's or LSTM's outputs over the sequence x, of one direction or both
  recurrent_backward,
  embedding,              // y[time][sample] = the weight's row of the word x[time][sample]
  embedding_backward,     // dy -> dweight, or the update of the rows that occur: see Op::last_steps
  embedding_catch_up,     // brings all rows up to step RunArguments::step - 1: see Op::last_steps
  softmax_cross_entropy,  // x = logits, labels -> statistics, and dx = (softmax - one_hot) / batch_samples when training
  ctc,  // Graves et al. 2006: x = logits [time][sample][class], class 0 the blank, labels and lengths -> statistics and dx.
        // A sample's loss is its labels' negative log-likelihood by the number of labels, and that is what dx, the
        // gradient / batch_samples, belongs to. dx is 0 behind a sample's length, NaN where its loss is not finite.
  update_sgd,       // w -= lr * g
  update_momentum,  // v = mu * v + g; w -= lr * v
  update_adam,      // Kingma & Ba 2015, algorithm 1, with PyTorch's placement of epsilon
};

// "conv2d_backward"; null for a value that is no kind.
const char* op_kind_name(OpKind kind);

// One operation. What it does after its sum, and in which order: bias, max-pool, ReLU, dropout. max-pool and ReLU commute.
//
// Backward ops take dy, the gradient of y, and give dweight and dbias (added to where RunArguments::accumulate), and dx
// (always overwritten) where dx != no_tensor. They undo dropout, ReLU and pool themselves:
//   - with dropout, `mask` holds a bit per element of y: 1 where the gradient passes (kept, and positive where there is a
//     ReLU); the gradient is scaled by 1 / (1 - dropout). Rows of mask_row_bytes(y_extent.elements()) bytes, the bit of
//     element e of a sample at bit e % 8 of byte e / 8;
//   - with ReLU and no dropout, the gradient passes where y > 0;
//   - with a pool, `argmax` holds a byte per element of y: row * kernel + column of the window's largest element, the first
//     one in row-major order where several are equal.
struct Op {
  OpKind kind{};
  std::string layer;         // the recipe's name of the first layer joined into this op, such as "conv1"
  uint32_t layer_index = 0;  // its position in the recipe: the dropout stream of this op

  Extent x_extent, y_extent;  // of one sample; y_extent after the pool
  Extent conv_extent;         // conv2d: what the convolution gives, before the pool
  Window conv;                // conv2d
  Window pool;                // kernel 0: no pool
  bool has_pool = false, has_bias = false, has_relu = false;
  float dropout = 0;  // probability of dropping; 0: none

  // recurrent layers. y holds `units` features for each direction, the forward one's first; zeros behind a sample's length.
  // The other direction walks from a sample's last step to its first. Both start from zeros. Per step, with the sums
  // i = x weight_ih + bias_ih and j = h weight_hh + bias_hh of each gate:
  //   GRU:  r = sigmoid(i_r + j_r), z = sigmoid(i_z + j_z), n = tanh(i_n + r * j_n); h' = (1 - z) * n + z * h
  //   LSTM: i, f, o = sigmoid(i + j), g = tanh(i + j); c' = f * c + i * g; h' = o * tanh(c')
  // has_bias: both biases. Backward ops take x, dy, `saved` and, where y is a sequence, y.
  Cell cell = Cell::gru;
  uint32_t units = 0, directions = 1;
  bool only_last_step = false;  // y is no sequence, but what both directions give at the last step of each sample: of the
                                // other direction's steps its first alone counts
  // linear layers: 1, or the steps of a sequence whose every step is multiplied, which are rows like samples; the extents
  // are then those of a row
  uint32_t rows_per_sample = 1;
  bool has_lengths = false;  // RunArguments::lengths counts; else all samples have all steps
  uint32_t label_count = 1;  // losses: labels of a sample, those of a shorter list filled up with -1
  uint32_t vocabulary = 0;   // embeddings: rows of the weight, [word][feature] whatever the WeightLayout; float in bf16 too

  // input. Samples of i32 are words, [time], which become [time][sample].
  DType x_dtype = DType::u8;
  std::vector<float> mean, deviation;  // one a channel, or empty for 0 and 1
  float scale = 1;

  // updates; the learning rate and the rest travel in RunArguments
  uint64_t parameter_elements = 0;  // of the contiguous block that is updated, padding included

  // linear_backward: the optimizer's step of this layer's weight (an update's kind), done here as the update op would do it
  // by this op's gradient of the weight, which then has no tensor of its own. dx belongs to the weight as it was. Only
  // where the whole batch is one run: never with RunArguments::accumulate. In bf16 `copies` is `weight`.
  std::optional<OpKind> folded_update;

  // The same of an embedding, Adam alone: a batch's words are few, and a row whose word is missing has a gradient of 0, by
  // which Adam changes it all the same. Those steps are put off: `last_steps` (i32, one a row) says up to which step a row
  // is done. embedding makes up for them, step by step as the update op would take them, in the rows that it is to read, up
  // to step RunArguments::step - 1; embedding_backward takes step RunArguments::step in the rows of the batch. All three
  // kinds have `parameters` (the weight), `state`, `state2` and `last_steps` then. The rates have to stay as they are from
  // one embedding_catch_up to the next.
  TensorId last_steps = no_tensor;

  // An embedding in front of a recurrent layer gives each different word's row once, in the order in which they come first.
  // `rows`, i32 [time][sample], says which row of y a step of a sample has; one number more, behind them, how many there
  // are. The recurrent layer reads its x and writes its dx, sums by row, through it, embedding_backward takes dy so. Steps
  // behind a sample's length have row 0.
  TensorId rows = no_tensor;

  // Tensors; no_tensor where there is none.
  TensorId x = no_tensor, y = no_tensor, weight = no_tensor, bias = no_tensor, argmax = no_tensor, mask = no_tensor,
           saved = no_tensor;  // what the backend asked to keep from forward to backward or, in inference, from run to run
  // conv2d of inference programs: has y's extent, and may be y itself, whose elements are then each read before they are
  // written. Such an op has no pool and no dropout.
  TensorId residual = no_tensor;
  TensorId dx = no_tensor, dy = no_tensor, dweight = no_tensor, dbias = no_tensor;
  RecurrentWeights weights[2], dweights[2];  // by direction
  // A micro-batch's raw samples (input: staging_x), labels (input and loss) and lengths (input, and where has_lengths)
  // where a device needs a place of its own for them; the host's are in RunArguments.
  TensorId staging_x = no_tensor, staging_labels = no_tensor, staging_lengths = no_tensor;
  TensorId statistics = no_tensor;  // one Statistics: written by the loss, read by updates, folded ones too
  // Updates: the blocks, from their beginning. `state` is no_tensor, v (momentum), or m with `state2` = v (Adam). Folded
  // updates: the weight itself and its parts of the state; no gradients. Products of inference programs in bf16: the weight
  // itself, whose copy `weight` is.
  TensorId parameters = no_tensor, gradients = no_tensor, state = no_tensor, state2 = no_tensor;
  // bf16: the parameters rounded to bfloat16, in the same places of a block of their own; written by the update, and by the
  // device after parameters were uploaded.
  TensorId copies = no_tensor;

  // int8: a float for each op of the program, the scale of what that op writes; uploaded like parameters, which they lie
  // with. base/int8.h says the arithmetic.
  TensorId scales = no_tensor;
  ByteScale x_scale, y_scale, residual_scale;
};

constexpr uint64_t mask_row_bytes(uint64_t elements) { return (elements + 63) / 64 * 8; }

// Sums over the samples of a batch, in double, in the order of the samples.
struct Statistics {
  double loss_sum = 0;
  // Samples whose largest logit (the first of equals) is their label; ctc: whose largest logits, step by step, repetitions
  // and then blanks left out, are their labels.
  uint64_t correct = 0;
  uint64_t non_finite = 0;  // samples whose loss is NaN or infinite
};

// The whole list. ops[0, forward_end) is the forward pass up to the loss (the loss included); [forward_end, backward_end)
// the backward pass; [backward_end, step_end) the update. Evaluation runs [0, forward_end) with training = false.
// [step_end, size), in most programs nothing, has to be run before parameters or their state are read or written.
//
// Under Precision::bf16 the tensors between operations (x, y, dx, dy) are bfloat16, the logits (float) apart, and `weight`
// of a product is a part of the block of copies; bias, dweight and dbias stay float.
//
// Under Precision::int8, which programs for inference of pictures have, x, y and residual are bytes, the features (float)
// apart; weights and biases are float and become whole numbers by base/int8.h.
struct Program {
  std::vector<Tensor> tensors;
  std::vector<Op> ops;
  uint32_t forward_end = 0, backward_end = 0, step_end = 0;
  uint32_t micro_batch = 0;  // most samples in one run
  bool frugal = false;       // memory is scarce: devices choose small scratch, even where that keeps fewer threads busy
  // A forward pass without a loss, and nothing behind it. Weights change by uploads alone, so that a kernel may make what
  // it wants of them once (see OpNeeds::saved_bytes).
  bool inference = false;
  WeightLayout weight_layout = WeightLayout::in_out;
  uint64_t scratch_offset = 0, scratch_bytes = 0;  // shared by all ops, one after the other
  uint64_t region_bytes = 0;
};

}  // namespace lt
