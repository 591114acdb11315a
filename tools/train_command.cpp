// lean-train train RECIPE.toml: a model and data of one's own, or a built-in recipe by name.
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/commands.h"
#include "tools/exit_code.h"
#include "tools/options.h"
#include "tools/train.h"
#include "tools/what.h"

namespace lt::tool {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  lean-train mnist --print-recipe > mine.toml       a recipe to start from\n"
    "  lean-train train mine.toml --epochs 2 --log run.jsonl\n"
    "  lean-train train mine.toml --plan\n"
    "  lean-train train mnist/linear                     a built-in recipe by its name\n";

}  // namespace

void add_train_command(CLI::App& app, int* exit_code) {
  struct State {
    TrainOptions options;
    std::string recipe;
  };
  const auto state = std::make_shared<State>();
  CLI::App* const command = app.add_subcommand("train", "Train the model that a recipe describes");
  command->add_option("RECIPE", state->recipe, "A TOML file (- reads stdin), or a built-in recipe's name; not needed with --resume");
  add_training_options(command, &state->options);
  command->group("Commands");
  command->footer(examples);
  command->callback([state, exit_code] {
    state->options.command = "train";
    state->options.recipe_given = !state->recipe.empty();
    if (!state->options.recipe_given && state->options.resume.empty()) throw CLI::RequiredError("RECIPE");
    if (!state->options.recipe_given) {
      *exit_code = train(state->options);
      return;
    }
    if (lt_recipe_text(state->recipe.c_str()) != nullptr) {
      state->options.recipe = state->recipe;
    } else if (!read_recipe(state->recipe, &state->options.recipe)) {
      *exit_code = static_cast<int>(ExitCode::usage);
      return;
    }
    *exit_code = train(state->options);
  });
}

}  // namespace lt::tool
