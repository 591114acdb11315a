// Names of models. See what.h.
#include "tools/what.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "src/lean_train.h"
#include "tools/read_file.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

constexpr size_t recipe_limit_bytes = 1 << 20;

struct DefaultModel {
  const char *command, *model;
};
// By the seconds of a few steps, start and data included; what is not among them comes last.
constexpr const char* quickest_first[] = {"mnist/cnn-same", "mnist/cnn-valid", "imdb/padding-none", "imdb",
                                          "mnist/linear",   "cifar10",         "mnist/nn",          "rnn/gru-1x320",
                                          "rnn/lstm-1x320", "resnet50",        "rnn/bilstm-4x320",  "rnn/bilstm-4x320-ctc"};
constexpr DefaultModel default_models[] = {{"mnist", "cnn-same"}, {"rnn", "lstm-1x320"}};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (uint32_t index = 0; index < lt_recipe_count(); ++index) names.emplace_back(lt_recipe_name(index));
  return names;
}

std::vector<std::string> recipe_names_quickest_first() {
  std::vector<std::string> names = recipe_names();
  const auto rank = [](const std::string& name) {
    return std::find(std::begin(quickest_first), std::end(quickest_first), name) - std::begin(quickest_first);
  };
  std::stable_sort(names.begin(), names.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return names;
}

std::vector<std::string> recipe_names_for_ops() {
  std::vector<std::string> names = recipe_names();
  std::erase_if(names, [](const std::string& name) { return name.starts_with("rnn/"); });
  return names;
}

std::string default_model(const std::string& command) {
  for (const DefaultModel& of : default_models)
    if (command == of.command) return of.model;
  return "";
}

std::string model_of_word(const std::string& word) {
  const std::string model = default_model(word), name = model.empty() ? word : word + "/" + model;
  return lt_recipe_text(name.c_str()) != nullptr ? name : "";
}

std::string short_model(const std::string& command, const std::string& model) {
  return model.starts_with(command + "/") ? model.substr(command.size() + 1) : model;
}

std::vector<std::string> what_names() {
  std::vector<std::string> names = recipe_names();
  for (const DefaultModel& of : default_models) names.emplace_back(of.command);
  std::sort(names.begin(), names.end());
  return names;
}

bool read_recipe(const std::string& path, std::string* text) {
  const int error = read_file(path, recipe_limit_bytes + 1, text);
  if (error != 0) {
    complain("cannot read the recipe '%s': %s; give a TOML file or one of the built-in recipes: %s", path.c_str(),
             std::strerror(error), joined(recipe_names()).c_str());
  } else if (text->size() > recipe_limit_bytes) {
    complain("the recipe '%s' is longer than %zu bytes; is it a recipe?", path.c_str(), recipe_limit_bytes);
  } else if (const size_t zero = text->find('\0'); zero != std::string::npos) {
    complain("the recipe '%s' has a zero at byte %zu; expected TOML text", path.c_str(), zero);
  } else {
    return true;
  }
  return false;
}

bool find_what(const std::string& text, What* what) {
  if (text == "-" || text.ends_with(".toml")) {
    what->command = "train";
    return read_recipe(text, &what->recipe);
  }
  what->recipe = model_of_word(text);
  what->command = what->recipe.substr(0, what->recipe.find('/'));
  if (!what->recipe.empty()) return true;
  const std::vector<std::string> names = what_names();
  const std::string meant = closest_word(text, names);
  complain("unknown model '%s'; %sexpected one of %s, or a recipe's file (.toml)", text.c_str(),
           meant.empty() ? "" : ("did you mean " + meant + "? ").c_str(), joined(names).c_str());
  return false;
}

}  // namespace lt::tool
