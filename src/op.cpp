#include "src/op.h"

namespace lt {

const char* op_kind_name(OpKind kind) {
  switch (kind) {
    case OpKind::input: return "input";
    case OpKind::conv2d: return "conv2d";
    case OpKind::conv2d_backward: return "conv2d_backward";
    case OpKind::linear: return "linear";
    case OpKind::linear_backward: return "linear_backward";
    case OpKind::activation: return "activation";
    case OpKind::activation_backward: return "activation_backward";
    case OpKind::average_pool: return "average_pool";
    case OpKind::recurrent: return "recurrent";
    case OpKind::recurrent_backward: return "recurrent_backward";
    case OpKind::embedding: return "embedding";
    case OpKind::embedding_backward: return "embedding_backward";
    case OpKind::embedding_catch_up: return "embedding_catch_up";
    case OpKind::softmax_cross_entropy: return "softmax_cross_entropy";
    case OpKind::ctc: return "ctc";
    case OpKind::update_sgd: return "update_sgd";
    case OpKind::update_momentum: return "update_momentum";
    case OpKind::update_adam: return "update_adam";
  }
  return nullptr;
}

}  // namespace lt
