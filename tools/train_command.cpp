// lean-train train RECIPE.toml: a model and data of one's own, or a built-in recipe by name.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <memory>

#include "tools/commands.h"
#include "tools/exit_code.h"
#include "tools/options.h"
#include "tools/terminal.h"
#include "tools/train.h"

namespace lt::tool {
namespace {

constexpr size_t recipe_limit_bytes = 1 << 20;

constexpr const char* examples =
    "Examples:\n"
    "  lean-train mnist --print-recipe > mine.toml       a recipe to start from\n"
    "  lean-train train mine.toml --epochs 2 --log run.jsonl\n"
    "  lean-train train mine.toml --plan\n"
    "  lean-train train mnist/linear                     a built-in recipe by its name\n";

// The file's text. False, the reason said, where it cannot be a recipe.
bool read_recipe(const std::string& path, std::string* text) {
  const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  int error = fd < 0 ? errno : 0;
  while (error == 0 && text->size() <= recipe_limit_bytes) {
    char part[4096];
    const ssize_t got = read(fd, part, sizeof part);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error = errno;
    if (got <= 0) break;
    text->append(part, static_cast<size_t>(got));
  }
  if (fd > STDIN_FILENO) close(fd);
  if (error != 0) {
    std::string names;
    for (uint32_t index = 0; index < lt_recipe_count(); ++index)
      names += std::string(index == 0 ? "" : ", ") + lt_recipe_name(index);
    complain("cannot read the recipe '%s': %s; give a TOML file or one of the built-in recipes: %s", path.c_str(),
             std::strerror(error), names.c_str());
  } else if (text->size() > recipe_limit_bytes) {
    complain("the recipe '%s' is longer than %zu bytes; is it a recipe?", path.c_str(), recipe_limit_bytes);
  } else if (const size_t zero = text->find('\0'); zero != std::string::npos) {
    complain("the recipe '%s' has a zero at byte %zu; expected TOML text", path.c_str(), zero);
  } else {
    return true;
  }
  return false;
}

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
