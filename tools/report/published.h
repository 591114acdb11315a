// Figures that others published for the benchmark models, with the hardware that they were taken on. They say how the field
// stood, not what that hardware or those programs could do today. Constant data: any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace lt::tool {

struct PublishedFigure {
  std::string_view recipe;    // the built-in recipe's name: "mnist/cnn-same"
  std::string_view program;   // "PyTorch"
  std::string_view hardware;  // "GTX 1080 Ti"
  std::string_view figure;    // as it was published: "4.49 s an epoch"
  double samples_per_second;  // what that comes to
  double test_accuracy;       // a fraction; negative where none was given
  std::string_view source;
};

struct PublishedFigures {
  const PublishedFigure* figures;
  size_t count;
  const PublishedFigure* begin() const { return figures; }
  const PublishedFigure* end() const { return figures + count; }
};

PublishedFigures published_figures();

}  // namespace lt::tool
