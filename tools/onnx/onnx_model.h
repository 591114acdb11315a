// A recipe and its weights as an ONNX graph of standard operations. What it takes is what the program takes: images of raw
// bytes [N, channels, rows, columns], sequences [N, steps, features] or words [N, steps]; scaling them, and the lengths of
// texts, are part of the graph. Sequences that may be shorter have a second input, `lengths` [N]: the steps of each.
// Outputs are `logits` and `probabilities`, their softmax: [N, classes], or [N, steps, classes] where every step is
// classified. A model for inference alone has one output, `features` [N, features], and its batch norms in the weights and
// biases of its convolutions. Dropout is left out, as in every use of a trained model. Used by the main thread.
#pragma once

#include <string>

#include "src/lean_train.h"
#include "src/plan/recipe.h"
#include "tools/onnx/onnx_file.h"

namespace lt::tool {

inline constexpr const char *onnx_input = "input", *onnx_lengths = "lengths", *onnx_logits = "logits",
                            *onnx_probabilities = "probabilities", *onnx_features = "features";

// Fills `file`, whose weights are fetched from the session when it is written: the session has to outlive that. `why` is
// the sentence of LT_ERR_UNSUPPORTED, a layer for which ONNX has no words here.
lt_status onnx_model(const Recipe& recipe, uint32_t classes, lt_session* session, OnnxFile* file, std::string* why);

// What the model takes, for people: "input: uint8 [N, 1, 28, 28], ...".
std::string onnx_input_text(const Recipe& recipe);

}  // namespace lt::tool
