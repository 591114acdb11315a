// lean-train rnn: recurrent networks on one batch of random sequences, trained on again and again. The figure is the median
// time of a step.
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
    "  lean-train rnn                                    ten steps of one LSTM layer, and how long the median one took\n"
    "  lean-train rnn --model bilstm-4x320 --plan        what memory it will use, to the byte\n"
    "  lean-train rnn --model gru-1x320 --steps 20 --threads 1 --json\n";

}  // namespace

void add_rnn_command(CLI::App& app, int* exit_code) {
  struct State {
    TrainOptions options;
    std::string model = default_model("rnn"), lengths = "own";
  };
  const auto state = std::make_shared<State>();
  CLI::App* const command = app.add_subcommand("rnn", "Time recurrent networks on one batch of sequences");
  add_model_option(command, "rnn", &state->model);
  const auto read_lengths = [state](const std::string& text) {
    if (text != "own" && text != "full")
      throw CLI::ValidationError("--lengths", "expected one of own, full, found '" + text + "'");
    state->lengths = text;
  };
  command
      ->add_option_function<std::string>("--lengths", read_lengths,
                                         "full: every sample has all steps, where the model's batch has shorter ones [own]")
      ->type_name("own|full")
      ->group("Model and training");
  add_training_options(command, &state->options);
  command->group("Commands");
  command->footer(examples);
  command->callback([state, command, exit_code] {
    TrainOptions& options = state->options;
    options.command = "rnn";
    options.recipe_given = command->count("--model") != 0;
    options.recipe = "rnn/" + state->model;
    options.full_lengths = state->lengths == "full";
    // A step is an epoch: whoever asks for steps does not have to ask for epochs too.
    if (options.steps != 0 && options.epochs == 0)
      options.epochs = static_cast<uint32_t>(std::min<uint64_t>(options.steps, 1u << 20));
    *exit_code = train(options);
  });
}

}  // namespace lt::tool
