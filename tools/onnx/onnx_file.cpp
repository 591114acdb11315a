// Messages of onnx.proto: see onnx_file.h.
#include "tools/onnx/onnx_file.h"

#include <algorithm>

#include "tools/replacement.h"

namespace lt::tool {
namespace {

constexpr int64_t ir_version = 8;            // the newest that came with an opset no newer than ours
constexpr uint64_t most_bytes = 0x7fffffff;  // of a message

void write_attribute(const OnnxAttribute& attribute, ProtobufWriter* node) {
  ProtobufWriter message;
  message.text(1, attribute.name);
  if (const auto* const whole = std::get_if<int64_t>(&attribute.value)) {
    message.integer(3, *whole);
    message.integer(20, 2);
  } else if (const auto* const text = std::get_if<std::string>(&attribute.value)) {
    message.text(4, *text);
    message.integer(20, 3);
  } else if (const auto* const wholes = std::get_if<std::vector<int64_t>>(&attribute.value)) {
    for (const int64_t number : *wholes) message.integer(8, number);
    message.integer(20, 7);
  } else {
    for (const std::string& word : std::get<std::vector<std::string>>(attribute.value)) message.text(9, word);
    message.integer(20, 8);
  }
  node->text(5, message.view());
}

void write_tensor_head(const std::string& name, OnnxType type, const OnnxShape& shape, ProtobufWriter* tensor) {
  for (const int64_t dimension : shape) tensor->integer(1, dimension);
  tensor->integer(2, static_cast<int64_t>(type));
  tensor->text(8, name);
}

// In front of a field of `bytes` bytes.
uint64_t head_size(uint64_t bytes) {
  ProtobufWriter head;
  head.text_head(1, bytes);
  return head.size();
}

void put(Replacement* file, std::string_view bytes) {
  file->write(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

std::string OnnxFile::fresh(const std::string& wanted) {
  std::string name = wanted;
  while (!names_.insert(name).second) name += '_';
  return name;
}

void OnnxFile::value(unsigned field, const std::string& name, OnnxType type, const OnnxShape& shape,
                     const std::string& about) {
  ProtobufWriter dimensions, tensor, any, info;
  for (const int64_t dimension : shape) {
    ProtobufWriter message;
    dimension == 0 ? message.text(2, "N") : message.integer(1, dimension);
    dimensions.text(1, message.view());
  }
  tensor.integer(1, static_cast<int64_t>(type));
  tensor.text(2, dimensions.view());
  any.text(1, tensor.view());
  info.text(1, name);
  info.text(2, any.view());
  info.text(3, about);
  graph_.text(field, info.view());
}

void OnnxFile::input(const std::string& name, OnnxType type, const OnnxShape& shape, const std::string& about) {
  value(11, name, type, shape, about);
}

void OnnxFile::output(const std::string& name, OnnxType type, const OnnxShape& shape, const std::string& about) {
  value(12, name, type, shape, about);
}

std::string OnnxFile::node(const char* op, const std::string& wanted, const std::vector<std::string>& inputs,
                           const std::vector<OnnxAttribute>& attributes) {
  const std::string output = fresh(wanted);
  node_to(op, output, inputs, attributes);
  return output;
}

void OnnxFile::node_to(const char* op, const std::string& output, const std::vector<std::string>& inputs,
                       const std::vector<OnnxAttribute>& attributes) {
  ProtobufWriter message;
  for (const std::string& name : inputs) message.text(1, name);
  message.text(2, output);
  message.text(3, output);
  message.text(4, op);
  for (const OnnxAttribute& attribute : attributes) write_attribute(attribute, &message);
  graph_.text(1, message.view());
  ++nodes_;
}

std::string OnnxFile::constant(const std::string& wanted, OnnxType type, const OnnxShape& shape, const void* bytes,
                               size_t size) {
  const std::string name = fresh(wanted);
  Initializer& tensor = initializers_.emplace_back();
  write_tensor_head(name, type, shape, &tensor.head);
  tensor.head.text(9, {static_cast<const char*>(bytes), size});
  return name;
}

std::string OnnxFile::integers(const std::string& wanted, const std::vector<int64_t>& values, bool scalar) {
  const OnnxShape shape = scalar ? OnnxShape{} : OnnxShape{static_cast<int64_t>(values.size())};
  return constant(wanted, OnnxType::i64, shape, values.data(), values.size() * sizeof values[0]);
}

std::string OnnxFile::integers32(const std::string& wanted, const std::vector<int32_t>& values) {
  const OnnxShape shape{static_cast<int64_t>(values.size())};
  return constant(wanted, OnnxType::i32, shape, values.data(), values.size() * sizeof values[0]);
}

std::string OnnxFile::reals(const std::string& wanted, const OnnxShape& shape, const std::vector<float>& values) {
  return constant(wanted, OnnxType::f32, shape, values.data(), values.size() * sizeof values[0]);
}

std::string OnnxFile::weight(const std::string& wanted, const OnnxShape& shape, OnnxFetch fetch) {
  const std::string name = fresh(wanted);
  Initializer& tensor = initializers_.emplace_back();
  tensor.elements = 1;
  for (const int64_t dimension : shape) tensor.elements *= static_cast<uint64_t>(dimension);
  tensor.fetch = std::move(fetch);
  write_tensor_head(name, OnnxType::f32, shape, &tensor.head);
  tensor.head.text_head(9, tensor.elements * sizeof(float));
  return name;
}

lt_status OnnxFile::write(const std::string& path, const std::string& name, const std::string& about, std::string* why) {
  graph_.text(2, name);
  uint64_t graph_bytes = graph_.size(), largest = 0;
  for (const Initializer& tensor : initializers_) {
    graph_bytes += head_size(tensor.bytes()) + tensor.bytes();
    largest = std::max(largest, tensor.elements);
  }
  ProtobufWriter head, opset;
  head.integer(1, ir_version);
  head.text(2, "lean-train");
  const uint32_t version = lt_version();
  head.text(
      3, std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." + std::to_string(version % 100));
  head.text(6, about);
  opset.text(1, "");
  opset.integer(2, onnx_opset);
  head.text(8, opset.view());
  for (const auto& [key, value] : texts_) {
    ProtobufWriter entry;
    entry.text(1, key);
    entry.text(2, value);
    head.text(14, entry.view());
  }
  head.text_head(7, graph_bytes);
  if (head.size() + graph_bytes > most_bytes) {
    *why = path + ": would have " + std::to_string(head.size() + graph_bytes) + " bytes, an ONNX file holds " +
           std::to_string(most_bytes) + " at most";
    return LT_ERR_UNSUPPORTED;
  }
  Replacement file(path);
  put(&file, head.view());
  put(&file, graph_.view());
  std::vector<float> values(largest);
  for (const Initializer& tensor : initializers_) {
    ProtobufWriter tensor_head;
    tensor_head.text_head(5, tensor.bytes());
    put(&file, tensor_head.view());
    put(&file, tensor.head.view());
    if (tensor.elements == 0) continue;
    if (const lt_status status = tensor.fetch(values.data())) return status;
    file.write(reinterpret_cast<const uint8_t*>(values.data()), tensor.elements * sizeof(float));
  }
  if (file.good() && file.commit()) return LT_OK;
  *why = file.failed().why;
  return LT_ERR_IO;
}

}  // namespace lt::tool
