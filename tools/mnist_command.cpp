// lean-train mnist: the built-in models of handwritten digits.
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/commands.h"
#include "tools/options.h"
#include "tools/train.h"
#include "tools/what.h"

namespace lt::tool {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  lean-train mnist                                  train the default CNN, on built-in digits if there is no MNIST\n"
    "  lean-train mnist --plan                           what memory it will use, to the byte\n"
    "  lean-train mnist --epochs 1 --save digits.safetensors\n"
    "  lean-train mnist --epochs 3 --resume digits.safetensors\n"
    "  lean-train mnist --model linear --epochs 20 --log run.jsonl\n"
    "  lean-train mnist --memory 30MiB --steps 100 --json\n";

}  // namespace

void add_mnist_command(CLI::App& app, int* exit_code) {
  struct State {
    TrainOptions options;
    std::string model = default_model("mnist");
  };
  const auto state = std::make_shared<State>();
  CLI::App* const command = app.add_subcommand("mnist", "Train a model of handwritten digits");
  add_model_option(command, "mnist", &state->model);
  add_training_options(command, &state->options);
  command->group("Commands");
  command->footer(examples);
  command->callback([state, command, exit_code] {
    state->options.command = "mnist";
    state->options.recipe_given = command->count("--model") != 0;
    state->options.recipe = "mnist/" + state->model;
    *exit_code = train(state->options);
  });
}

}  // namespace lt::tool
