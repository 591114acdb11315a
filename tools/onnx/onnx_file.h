// A model as an ONNX file: a graph of operations, with its weights in it. Put together in memory but for the weights, which
// are fetched one at a time while the file is written, so that memory holds the largest one alone. Owns everything but what
// fetching refers to; one thread at a time.
//
// The file is one ModelProto in protocol buffers' wire form (onnx.proto of github.com/onnx/onnx, IR version 8). Fields used
// here, by number:
//
//   ModelProto              1 ir_version, 2 producer_name, 3 producer_version, 6 doc_string, 7 graph, 8 opset_import,
//                           14 metadata_props
//   OperatorSetIdProto      1 domain, 2 version
//   StringStringEntryProto  1 key, 2 value
//   GraphProto              1 node, 2 name, 5 initializer, 11 input, 12 output
//   NodeProto               1 input, 2 output, 3 name, 4 op_type, 5 attribute
//   AttributeProto          1 name, 3 i, 4 s, 8 ints, 9 strings, 20 type: INT 2, STRING 3, INTS 7, STRINGS 8
//   TensorProto             1 dims, 2 data_type, 8 name, 9 raw_data (little-endian)
//   ValueInfoProto          1 name, 2 type, 3 doc_string
//   TypeProto               1 tensor_type: 1 elem_type, 2 shape: 1 dim: 1 dim_value, 2 dim_param
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "src/lean_train.h"
#include "tools/protobuf_writer.h"

namespace lt::tool {

inline constexpr int64_t onnx_opset = 17;

// TensorProto.DataType.
enum class OnnxType : int32_t { f32 = 1, u8 = 2, i32 = 6, i64 = 7 };

// A dimension of 0 is the number of samples, which the user of the model decides.
using OnnxShape = std::vector<int64_t>;

struct OnnxAttribute {
  const char* name;
  std::variant<int64_t, std::vector<int64_t>, std::string, std::vector<std::string>> value;
};

// Writes all numbers of a tensor.
using OnnxFetch = std::function<lt_status(float* values)>;

class OnnxFile {
 public:
  // A name like `wanted` that no value has had so far.
  std::string fresh(const std::string& wanted);

  void input(const std::string& name, OnnxType type, const OnnxShape& shape, const std::string& about);
  void output(const std::string& name, OnnxType type, const OnnxShape& shape, const std::string& about);
  // Gives the name of the node's only or first output, like `wanted`. An input of "" is one left out.
  std::string node(const char* op, const std::string& wanted, const std::vector<std::string>& inputs,
                   const std::vector<OnnxAttribute>& attributes = {});
  // The same with an output of just that name, which `fresh` gave.
  void node_to(const char* op, const std::string& output, const std::vector<std::string>& inputs,
               const std::vector<OnnxAttribute>& attributes = {});

  // Constants and weights: give their names.
  std::string integers(const std::string& wanted, const std::vector<int64_t>& values, bool scalar = false);
  std::string integers32(const std::string& wanted, const std::vector<int32_t>& values);
  std::string reals(const std::string& wanted, const OnnxShape& shape, const std::vector<float>& values);
  std::string weight(const std::string& wanted, const OnnxShape& shape, OnnxFetch fetch);

  void text(const std::string& key, const std::string& value) { texts_.emplace_back(key, value); }

  uint64_t nodes() const { return nodes_; }
  // Whole, or not at all. LT_ERR_IO or LT_ERR_UNSUPPORTED (2 GiB or more) with the sentence in `why`; or a fetch's failure,
  // whose sentence is lt_last_error().
  lt_status write(const std::string& path, const std::string& name, const std::string& about, std::string* why);

 private:
  struct Initializer {
    ProtobufWriter head;    // of the TensorProto, up to raw_data
    uint64_t elements = 0;  // that are fetched; 0 where the head has them
    OnnxFetch fetch;
    uint64_t bytes() const { return head.size() + elements * sizeof(float); }
  };
  void value(unsigned field, const std::string& name, OnnxType type, const OnnxShape& shape, const std::string& about);
  std::string constant(const std::string& wanted, OnnxType type, const OnnxShape& shape, const void* bytes, size_t size);

  std::set<std::string> names_;
  ProtobufWriter graph_;
  std::vector<Initializer> initializers_;
  std::vector<std::pair<std::string, std::string>> texts_;
  uint64_t nodes_ = 0;
};

}  // namespace lt::tool
