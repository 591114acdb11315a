// Shapes and computation of the fake cuDNN's graphs. See fake_cudnn_graph.h.
#include "tests/cuda/fake_cudnn_graph.h"

#include <cmath>

namespace lt::cuda::fake {
namespace {

// A tensor with its memory. Channels are innermost (the fake refuses other strides), so that a pixel is a row of them.
struct Place {
  void* data;
  CudnnTensor tensor;

  double get(int64_t a, int64_t b, int64_t c, int64_t d) const {
    return static_cast<double>(load(data, tensor.at(a, b, c, d), tensor.number));
  }
  void set(int64_t a, int64_t b, int64_t c, int64_t d, double value) const {
    store(data, tensor.at(a, b, c, d), tensor.number, value);
  }
  // All numbers, rounded as the engine does it.
  std::vector<double> factors(const CudnnEngine& engine) const {
    std::vector<double> all(tensor.bytes() / number_bytes(tensor.number));
    for (uint64_t i = 0; i < all.size(); ++i) {
      const float value = load(data, i, tensor.number);
      all[i] = static_cast<double>(engine.rounds_to_tf32 ? round_to_tf32(value) : value);
    }
    return all;
  }
};

template <class Each>
void for_all(const std::array<int64_t, 4>& dims, const Each& each) {
  for (int64_t a = 0; a < dims[0]; ++a)
    for (int64_t c = 0; c < dims[2]; ++c)
      for (int64_t d = 0; d < dims[3]; ++d)
        for (int64_t b = 0; b < dims[1]; ++b) each(a, b, c, d);
}

// Adds factor times factor to the result's sum, for each pair that the convolution brings together.
void convolve(const CudnnOperation& operation, const CudnnEngine& engine, const Place& x, const Place& weight,
              const Place& y) {
  const auto values = [&](const Place& place) {
    const bool is_result = place.tensor.id == operation.result().id;
    return is_result ? std::vector<double>(place.tensor.bytes() / number_bytes(place.tensor.number), 0)
                     : place.factors(engine);
  };
  std::vector<double> x_values = values(x), weight_values = values(weight), y_values = values(y);
  const std::array<int64_t, 4>&x_dims = x.tensor.dims, &weight_dims = weight.tensor.dims;
  const auto channels = static_cast<size_t>(x_dims[1]);
  for_all(y.tensor.dims, [&](int64_t n, int64_t k, int64_t p, int64_t q) {
    double& y_value = y_values[y.tensor.at(n, k, p, q)];
    for (int64_t r = 0; r < weight_dims[2]; ++r)
      for (int64_t s = 0; s < weight_dims[3]; ++s) {
        const int64_t h = p * operation.stride + r - operation.padding, w = q * operation.stride + s - operation.padding;
        if (h < 0 || w < 0 || h >= x_dims[2] || w >= x_dims[3]) continue;
        double* x_pixel = x_values.data() + x.tensor.at(n, 0, h, w);
        double* tap = weight_values.data() + weight.tensor.at(k, 0, r, s);
        if (operation.kind == CudnnOperation::forward)
          for (size_t c = 0; c < channels; ++c) y_value += x_pixel[c] * tap[c];
        else if (operation.kind == CudnnOperation::data_gradient)
          for (size_t c = 0; c < channels; ++c) x_pixel[c] += y_value * tap[c];
        else
          for (size_t c = 0; c < channels; ++c) tap[c] += y_value * x_pixel[c];
      }
  });
  const bool forward = operation.kind == CudnnOperation::forward;
  const Place& to = forward ? y : operation.kind == CudnnOperation::data_gradient ? x : weight;
  const std::vector<double>& sums = forward                                           ? y_values
                                    : operation.kind == CudnnOperation::data_gradient ? x_values
                                                                                      : weight_values;
  for (uint64_t i = 0; i < sums.size(); ++i)
    store(to.data, i, to.tensor.number, sums[i] * (engine.loses_digits ? 1.001 : 1));
}

}  // namespace

uint64_t CudnnTensor::bytes() const {
  int64_t last = 0;
  for (size_t i = 0; i < dims.size(); ++i) last += (dims[i] - 1) * strides[i];
  return static_cast<uint64_t>(last + 1) * number_bytes(number);
}

std::vector<const CudnnTensor*> CudnnOperation::sources() const {
  switch (kind) {
    case forward: return {&x, &weight};
    case data_gradient: return {&y, &weight};
    case weight_gradient: return {&x, &y};
    case add: return {&x, &bias};
    case relu: return {&x};
  }
  return {};
}

std::vector<CudnnTensor> CudnnGraph::tensors(std::string* wrong) const {
  std::map<int64_t, CudnnTensor> all;
  std::map<int64_t, int> written;
  for (const CudnnOperation& operation : operations) {
    std::vector<const CudnnTensor*> touched = operation.sources();
    for (const CudnnTensor* source : touched)
      if (source->is_virtual && written[source->id] == 0) *wrong = "a virtual tensor is read that nothing writes";
    touched.push_back(&operation.result());
    if (++written[operation.result().id] > 1) *wrong = "a tensor is written twice";
    for (const CudnnTensor* tensor : touched) {
      const auto [place, fresh] = all.try_emplace(tensor->id, *tensor);
      if (!fresh && place->second.dims != tensor->dims) *wrong = "two tensors have one id";
    }
  }
  if (operations.empty() || operations.back().result().is_virtual) *wrong = "the graph's result is virtual";
  std::vector<CudnnTensor> tensors;
  for (const auto& [id, tensor] : all) tensors.push_back(tensor);
  return tensors;
}

std::string check_operation(const CudnnOperation& operation) {
  const CudnnTensor &x = operation.x, &weight = operation.weight, &y = operation.y;
  if (operation.kind == CudnnOperation::relu) return x.dims == y.dims ? "" : "ReLU's x and y have different shapes";
  if (operation.kind == CudnnOperation::add) {
    if (x.dims != y.dims) return "a sum's x and y have different shapes";
    for (size_t i = 0; i < 4; ++i)
      if (operation.bias.dims[i] != 1 && operation.bias.dims[i] != x.dims[i]) return "a sum's bias has no such shape";
    return "";
  }
  if (x.dims[0] != y.dims[0]) return "x and y are of different batches";
  if (x.dims[1] != weight.dims[1]) return "x and filter have different channels";
  if (y.dims[1] != weight.dims[0]) return "y and filter have different channels";
  for (size_t i = 2; i < 4; ++i)
    if ((x.dims[i] + 2 * operation.padding - weight.dims[i]) / operation.stride + 1 != y.dims[i])
      return "y has another size than the convolution";
  const std::vector<const CudnnTensor*> sources = operation.sources();
  if (sources[0]->number != sources[1]->number) return "factors of different types";
  const Number result = operation.result().number;
  if (result != Number::f32 && result != sources[0]->number) return "a result of another type than float or its factors'";
  return "";
}

void compute(const CudnnGraph& graph, const CudnnEngine& engine, const std::map<int64_t, void*>& memory) {
  std::map<int64_t, std::vector<std::byte>> between;
  const auto place = [&](const CudnnTensor& tensor) -> Place {
    if (!tensor.is_virtual) return {memory.at(tensor.id), tensor};
    std::vector<std::byte>& bytes = between[tensor.id];
    if (bytes.empty()) bytes.resize(tensor.bytes());
    return {bytes.data(), tensor};
  };
  for (const CudnnOperation& operation : graph.operations) {
    const Place x = place(operation.x), y = place(operation.y);
    if (operation.kind == CudnnOperation::add) {
      const Place bias = place(operation.bias);
      const std::array<int64_t, 4>& dims = bias.tensor.dims;
      for_all(y.tensor.dims, [&](int64_t a, int64_t b, int64_t c, int64_t d) {
        y.set(a, b, c, d, x.get(a, b, c, d) + bias.get(a % dims[0], b % dims[1], c % dims[2], d % dims[3]));
      });
    } else if (operation.kind == CudnnOperation::relu) {
      for_all(y.tensor.dims, [&](int64_t a, int64_t b, int64_t c, int64_t d) {
        const double value = x.get(a, b, c, d);
        y.set(a, b, c, d, std::isnan(value) && operation.keeps_nan ? value : value > 0 ? value : 0);
      });
    } else {
      convolve(operation, engine, x, place(operation.weight), y);
    }
  }
}

}  // namespace lt::cuda::fake
