#include "tools/resume.h"

#include <sys/stat.h>

#include "tools/terminal.h"

namespace lt::tool {
namespace {

constexpr uint32_t epochs_without_end = 1u << 20;  // the most that a recipe takes: --steps ends the training

// The checkpoint before this one, where --keep left it.
void offer_older(const std::string& path) {
  struct stat state {};
  const std::string older = path + ".1";
  if (stat(older.c_str(), &state) == 0) complain("the checkpoint before it is %s", older.c_str());
}

bool refuse(lt_status status, const std::string& path, ExitCode* code) {
  complain("%s", lt_last_error());
  if (status == LT_ERR_FORMAT || status == LT_ERR_IO) offer_older(path);
  *code = exit_code(status, Stage::weights);
  return false;
}

// Whether the command line asks for the model of the file.
bool is_asked_for(const TrainOptions& options, const std::string& model) {
  if (options.recipe_given) return options.recipe == model;
  return options.command == "train" || model == options.command || model.starts_with(options.command + "/");
}

bool is_toml(const TrainOptions& options) {
  return options.command == "train" && options.recipe_given && lt_recipe_text(options.recipe.c_str()) == nullptr;
}

// As a shell takes it.
std::string word(const std::string& text) {
  constexpr const char* plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=:,@%+-";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

bool resume_config(const TrainOptions& options, FilePtr* file, lt_config* config, ExitCode* code) {
  const char* const path = options.resume.c_str();
  lt_file* opened = nullptr;
  if (const lt_status status = lt_file_open(path, &opened)) return refuse(status, path, code);
  file->reset(opened);
  *config = make_config(options);
  const lt_config asked = *config;
  if (const lt_status status = lt_file_config(opened, config)) return refuse(status, path, code);
  const std::string model = lt_file_text(opened, "model");
  if (is_toml(options)) {
    config->recipe = options.recipe.c_str();
    config->epochs = 0;  // the recipe's
  } else if (!is_asked_for(options, model)) {
    complain("%s: differs in model: the checkpoint has %s, this training %s", path, model.c_str(),
             options.recipe_given ? options.recipe.c_str() : (options.command + "/...").c_str());
    *code = ExitCode::weights;
    return false;
  } else if (config->epochs == 0 && options.epochs == 0) {
    if (options.steps == 0) {
      complain(
          "%s: a checkpoint does not say when a training of %s ends; give --epochs or --steps, counted from its beginning",
          path, model.c_str());
      *code = ExitCode::usage;
      return false;
    }
    config->epochs = epochs_without_end;
  }
  if (!options.precision.empty()) config->precision = asked.precision;
  if (options.seed) config->seed = *options.seed;
  if (options.epochs != 0) config->epochs = options.epochs;
  config->flags |= asked.flags;
  return true;
}

std::string resume_line(const TrainOptions& options, const std::string& model) {
  std::string line = "lean-train " + options.command;
  const std::string prefix = options.command + "/";
  if (options.recipe_given && model.starts_with(prefix)) line += " --model " + model.substr(prefix.size());
  const auto text = [&line](const char* option, const std::string& value) {
    if (!value.empty()) line += std::string(" ") + option + " " + word(value);
  };
  const auto number = [&line](const char* option, uint64_t value) {
    if (value != 0) line += std::string(" ") + option + " " + std::to_string(value);
  };
  text("--resume", options.save);
  text("--save", options.save);
  number("--save-every", options.save_every);
  number("--keep", options.keep);
  text("--data", options.data);
  text("--log", options.log);
  number("--log-every", options.log_every);
  text("--tensorboard", options.tensorboard);
  number("--epochs", options.epochs);
  number("--steps", options.steps);
  text("--device", options.device);
  text("--kernels", options.kernels);
  number("--threads", options.threads);
  number("--memory", options.memory_bytes);
  if (options.deterministic) line += " --deterministic";
  return line;
}

}  // namespace lt::tool
