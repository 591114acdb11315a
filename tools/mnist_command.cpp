// lean-train mnist: the built-in models of handwritten digits.
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/commands.h"
#include "tools/options.h"
#include "tools/train.h"

namespace lt::tool {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  lean-train mnist                                  train the default CNN, on built-in digits if there is no MNIST\n"
    "  lean-train mnist --plan                           what memory it will use, to the byte\n"
    "  lean-train mnist --epochs 1 --save digits.safetensors\n"
    "  lean-train mnist --model linear --epochs 20 --log run.jsonl\n"
    "  lean-train mnist --memory 30MiB --steps 100 --json\n";

// The built-in recipes "mnist/...", without the prefix.
std::vector<std::string> models() {
  constexpr std::string_view prefix = "mnist/";
  std::vector<std::string> names;
  for (uint32_t index = 0; index < lt_recipe_count(); ++index)
    if (const std::string_view name = lt_recipe_name(index); name.starts_with(prefix))
      names.emplace_back(name.substr(prefix.size()));
  return names;
}

}  // namespace

void add_mnist_command(CLI::App& app, int* exit_code) {
  struct State {
    TrainOptions options;
    std::string model = "cnn-same";
  };
  const auto state = std::make_shared<State>();
  CLI::App* const command = app.add_subcommand("mnist", "Train a model of handwritten digits");
  const std::vector<std::string> names = models();
  const std::string list = CLI::detail::join(names, "|");
  const auto read = [state, names](const std::string& text) {
    if (std::find(names.begin(), names.end(), text) == names.end())
      throw CLI::ValidationError("--model", "expected one of " + CLI::detail::join(names, ", ") + ", found '" + text + "'");
    state->model = text;
  };
  command->add_option_function<std::string>("--model", read, "Which one [cnn-same]")
      ->type_name(list)
      ->group("Model and training");
  add_training_options(command, &state->options);
  command->group("Commands");
  command->footer(examples);
  command->callback([state, exit_code] {
    state->options.command = "mnist";
    state->options.recipe = "mnist/" + state->model;
    *exit_code = train(state->options);
  });
}

}  // namespace lt::tool
