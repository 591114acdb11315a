// lean-train imdb: whether a film review is positive or negative, by an embedding and a GRU.
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/commands.h"
#include "tools/options.h"
#include "tools/train.h"

namespace lt::tool {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  lean-train imdb                                   train on film reviews, on built-in ones if there are no others\n"
    "  lean-train imdb --padding none                    compute nothing behind a review's last word\n"
    "  lean-train imdb --data aclImdb --save reviews.safetensors\n"
    "  lean-train imdb --plan                            what memory it will use, to the byte\n";

}  // namespace

void add_imdb_command(CLI::App& app, int* exit_code) {
  struct State {
    TrainOptions options;
    std::string padding = "keras";
  };
  const auto state = std::make_shared<State>();
  CLI::App* const command = app.add_subcommand("imdb", "Train a model of film reviews");
  const auto read_padding = [state](const std::string& text) {
    if (text != "keras" && text != "none")
      throw CLI::ValidationError("--padding", "expected one of keras, none, found '" + text + "'");
    state->padding = text;
  };
  command
      ->add_option_function<std::string>("--padding", read_padding,
                                         "keras: zeros behind a review of fewer than 150 words are computed as words are; "
                                         "none: a review ends with its last word [keras]")
      ->type_name("keras|none")
      ->group("Model and training");
  add_training_options(command, &state->options);
  command->group("Commands");
  command->footer(examples);
  command->callback([state, exit_code] {
    state->options.command = "imdb";
    state->options.recipe = state->padding == "none" ? "imdb/padding-none" : "imdb";
    *exit_code = train(state->options);
  });
}

}  // namespace lt::tool
