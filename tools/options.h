// The options that every training command shares. CLI11 fills TrainOptions; values are checked as they are read, so that an
// error names its option. Set-up only; strings are owned by the structure.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "src/lean_train.h"

namespace lt::tool {

// 0, an empty string and a negative rate mean "not given": the recipe's value, or the library's default.
struct TrainOptions {
  std::string command;        // "mnist", "train": as the run log says it
  std::string recipe;         // what lt_config.recipe takes
  bool recipe_given = false;  // by the user: with --resume the checkpoint's model is the one else
  std::string device, kernels, precision, optimizer;
  std::string data, weights, save, resume, log, tensorboard;
  std::optional<uint64_t> seed;
  uint64_t save_every = 0, steps = 0, memory_bytes = 0, log_every = 0;
  uint32_t keep = 0, threads = 0, epochs = 0, batch = 0;
  double lr = -1, momentum = -1;
  bool no_shuffle = false, no_dropout = false, deterministic = false, full_lengths = false, skip_bad = false;
  bool json = false, plan = false, print_recipe = false, quiet = false;
};

// --model, one of the built-in recipes "PREFIX/..." without the prefix; `model` holds the default and outlives the command.
void add_model_option(CLI::App* command, const std::string& prefix, std::string* model);
// What a step computes and on which data, where it runs and how much of it apart. `options` outlives the command.
void add_model_and_data_options(CLI::App* command, TrainOptions* options);
// All of a training's; `options` outlives the command.
void add_training_options(CLI::App* command, TrainOptions* options);

// The configuration; its strings point into `options`.
lt_config make_config(const TrainOptions& options);

}  // namespace lt::tool
