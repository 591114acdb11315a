// lean-train cifar10: the built-in model of small colour pictures.
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/commands.h"
#include "tools/options.h"
#include "tools/train.h"

namespace lt::tool {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  lean-train cifar10                                train the CNN, on built-in pictures if there is no CIFAR-10\n"
    "  lean-train cifar10 --plan                         what memory it will use, to the byte\n"
    "  lean-train cifar10 --save pictures.safetensors --save-every 100 --keep 2\n"
    "  lean-train cifar10 --resume pictures.safetensors\n"
    "  lean-train cifar10 --data cifar-10-batches-bin --log run.jsonl\n"
    "  lean-train cifar10 --memory 60MiB --steps 100 --json\n";

}  // namespace

void add_cifar10_command(CLI::App& app, int* exit_code) {
  const auto options = std::make_shared<TrainOptions>();
  CLI::App* const command = app.add_subcommand("cifar10", "Train a model of small colour pictures");
  add_training_options(command, options.get());
  command->group("Commands");
  command->footer(examples);
  command->callback([options, exit_code] {
    options->command = options->recipe = "cifar10";
    options->recipe_given = true;
    *exit_code = train(*options);
  });
}

}  // namespace lt::tool
