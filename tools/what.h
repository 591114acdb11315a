// Models by the names that users type: "mnist" (its default), "mnist/nn", "rnn/gru-1x320", or the file of a recipe. Set-up
// only.
#pragma once

#include <string>
#include <vector>

namespace lt::tool {

struct What {
  std::string recipe;   // what lt_config.recipe takes
  std::string command;  // the command that trains it, as the run log says it: "mnist", "train"
};

// The model that a command takes where none is named: "cnn-same" of "mnist"; "" where there is no choice.
std::string default_model(const std::string& command);

// The built-in recipe that a word means: its own name, or "mnist" for the default model of that command. "" where there is
// none.
std::string model_of_word(const std::string& word);
// Of all built-in recipes, in the library's order.
std::vector<std::string> recipe_names();
// Those whose trainings take least time first: of these most fit into a given one.
std::vector<std::string> recipe_names_quickest_first();
// All but the recurrent layers' speed suite, of whose thousand steps the reference device takes minutes.
std::vector<std::string> recipe_names_for_ops();

// What "mnist" or "rnn/gru-1x320" stands for; a file of TOML where it ends in .toml, or stdin for "-". False, the reason
// said.
bool find_what(const std::string& text, What* what);

// The text of a recipe's file, or of stdin for "-". False, the reason said, where it cannot be a recipe.
bool read_recipe(const std::string& path, std::string* text);

// "mnist/cnn-same" of the command "mnist" is "cnn-same".
std::string short_model(const std::string& command, const std::string& model);

// All that find_what takes but files: "mnist", "mnist/cnn-same", "cifar10", ...
std::vector<std::string> what_names();

}  // namespace lt::tool
