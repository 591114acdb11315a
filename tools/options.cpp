// Training options: their words, their help and their bounds. Set-up only.
#include "tools/options.h"

#include <CLI/CLI.hpp>
#include <limits>

#include "tools/option_words.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

constexpr const char* model_group = "Model and training";
constexpr const char* data_group = "Data and files";
constexpr const char* machine_group = "Machine";
constexpr const char* output_group = "Output";

template <class T>
void add_whole_number(CLI::App* command, const char* option, T* target, uint64_t low, const char* group, const char* help) {
  constexpr uint64_t high = std::numeric_limits<T>::max();
  const auto read = [=](const std::string& text) { *target = static_cast<T>(check_whole_number(option, text, low, high)); };
  command->add_option_function<std::string>(option, read, help)->type_name("N")->group(group);
}

// A number in [0, bound), or any from 0 where there is no bound.
void add_rate(CLI::App* command, const char* option, double* target, double bound, const char* help) {
  const auto read = [=](const std::string& text) {
    const auto value = parse_number(text);
    if (!value || *value < 0 || *value >= bound) {
      reject(option, bound == 1 ? "a number from 0 to below 1" : "a finite number, 0 or greater", text);
    }
    *target = *value;
  };
  command->add_option_function<std::string>(option, read, help)->type_name("X")->group(model_group);
}

void add_choice(CLI::App* command, const char* option, std::string* target, const Words& words, const char* group,
                const char* help) {
  const auto read = [=](const std::string& text) {
    if (std::find(words.begin(), words.end(), text) == words.end()) {
      reject(option, "one of " + CLI::detail::join(words, ", "), text);
    }
    *target = text;
  };
  command->add_option_function<std::string>(option, read, help)->type_name(CLI::detail::join(words, "|"))->group(group);
}

void add_path(CLI::App* command, const char* option, std::string* target, const char* type, const char* group,
              const char* help) {
  const auto read = [=](const std::string& text) {
    if (text.empty()) reject(option, "a path", text);
    *target = text;
  };
  command->add_option_function<std::string>(option, read, help)->type_name(type)->group(group);
}

void add_device(CLI::App* command, std::string* target) {
  const auto read = [=](const std::string& text) {
    check_device("--device", text);
    *target = text;
  };
  command
      ->add_option_function<std::string>("--device", read,
                                         "Where to train. auto takes CUDA if it is usable, else the CPU; a device asked "
                                         "for by name is used or refused")
      ->type_name(device_words)
      ->group(machine_group);
}

void add_kernels(CLI::App* command, std::string* target) {
  const auto read = [=](const std::string& text) {
    check_kernels("--kernels", text);
    *target = text;
  };
  command
      ->add_option_function<std::string>("--kernels", read,
                                         "Whose code computes: highway or onednn on the CPU, own or cudnn on a GPU. SET "
                                         "names the CPU's instructions: baseline, sse4, avx2, avx512 [the best it has]")
      ->type_name(kernel_words)
      ->group(machine_group);
}

void add_memory(CLI::App* command, uint64_t* target) {
  const auto read = [=](const std::string& text) {
    const auto bytes = parse_size(text);
    if (!bytes || *bytes == 0) reject("--memory", "a size such as 32MiB, 500MB, 1GiB or a number of bytes", text);
    *target = *bytes;
  };
  command
      ->add_option_function<std::string>(
          "--memory", read, "Use no more than this: batches are computed in parts that fit (the same gradient)")
      ->type_name("SIZE")
      ->group(machine_group);
}

void add_keep(CLI::App* command, uint32_t* target) {
  constexpr uint32_t most = 1000;
  const auto read = [=](const std::string& text) {
    const auto value = parse_whole_number(text);
    if (!value || *value > most) reject("--keep", "a whole number from 0 to " + std::to_string(most), text);
    *target = static_cast<uint32_t>(*value);
  };
  command
      ->add_option_function<std::string>("--keep", read, "Checkpoints before the last that stay, as FILE.1, FILE.2 ... [0]")
      ->type_name("K")
      ->group(data_group);
}

void add_seed(CLI::App* command, std::optional<uint64_t>* target) {
  const auto read = [=](const std::string& text) {
    *target = parse_whole_number(text);
    if (!*target) reject("--seed", "a whole number from 0 to " + std::to_string(UINT64_MAX), text);
  };
  command->add_option_function<std::string>("--seed", read, "Initial weights, order of samples and dropout [1]")
      ->type_name("N")
      ->group(model_group);
}

void add_flag(CLI::App* command, const char* option, bool* target, const char* group, const char* help) {
  command->add_flag(option, *target, help)->disable_flag_override()->group(group);
}

}  // namespace

void add_model_option(CLI::App* command, const std::string& prefix, std::string* model) {
  std::vector<std::string> names;
  for (uint32_t index = 0; index < lt_recipe_count(); ++index)
    if (const std::string name = lt_recipe_name(index); name.starts_with(prefix + "/"))
      names.push_back(name.substr(prefix.size() + 1));
  const auto read = [=](const std::string& text) {
    if (std::find(names.begin(), names.end(), text) == names.end())
      reject("--model", "one of " + CLI::detail::join(names, ", "), text);
    *model = text;
  };
  command->add_option_function<std::string>("--model", read, "Which one [" + *model + "]")
      ->type_name(CLI::detail::join(names, "|"))
      ->group(model_group);
}

void add_model_and_data_options(CLI::App* command, TrainOptions* options) {
  add_whole_number(command, "--batch", &options->batch, 1, model_group, "Samples a step");
  add_choice(command, "--optimizer", &options->optimizer, {"sgd", "momentum", "adam"}, model_group,
             "How weights are updated");
  add_rate(command, "--lr", &options->lr, std::numeric_limits<double>::infinity(), "Learning rate");
  add_rate(command, "--momentum", &options->momentum, 1, "Momentum");
  add_seed(command, &options->seed);
  add_flag(command, "--no-shuffle", &options->no_shuffle, model_group, "The files' order, every epoch");
  add_flag(command, "--no-dropout", &options->no_dropout, model_group, "Dropout layers let everything through");
  add_path(command, "--data", &options->data, "DIR", data_group,
           "Folder of the data set, or its parent [$LEAN_TRAIN_DATA, the cache, else built-in synthetic data]");
  add_flag(command, "--skip-bad", &options->skip_bad, data_group,
           "Leave out broken images, and samples that the loss ctc cannot take, such as those with more labels than steps "
           "[refuse them]");
  add_path(command, "--weights", &options->weights, "FILE", data_group, "Start from these weights (safetensors)");
  add_memory(command, &options->memory_bytes);
  add_flag(command, "--deterministic", &options->deterministic, machine_group,
           "Reproducible kernels alone (all CPU kernels are)");
}

void add_training_options(CLI::App* command, TrainOptions* options) {
  add_whole_number(command, "--epochs", &options->epochs, 1, model_group, "Passes over the training set");
  add_whole_number(command, "--steps", &options->steps, 1, model_group,
                   "Stop after so many steps, if epochs do not end first");
  add_model_and_data_options(command, options);
  add_path(command, "--save", &options->save, "FILE", data_group,
           "Write a checkpoint at the end and when stopped (safetensors)");
  add_whole_number(command, "--save-every", &options->save_every, 1, data_group, "A checkpoint every N steps too");
  add_keep(command, &options->keep);
  add_path(command, "--resume", &options->resume, "FILE", data_group,
           "Go on from this checkpoint; options not given are as it has them");

  add_device(command, &options->device);
  add_kernels(command, &options->kernels);
  add_choice(command, "--precision", &options->precision, {"fp32", "tf32", "bf16", "int8"}, machine_group,
             "Of products, and of what is between layers; int8 computes features alone [fp32]");
  add_whole_number(command, "--threads", &options->threads, 1, machine_group,
                   "Threads that compute [as many as this process may use]");

  add_path(command, "--log", &options->log, "FILE", output_group,
           "Write a run log, one JSON object a line; replaces FILE, with --resume appends to it");
  add_whole_number(command, "--log-every", &options->log_every, 1, output_group, "A record in the log every N steps");
  add_path(command, "--tensorboard", &options->tensorboard, "DIR", output_group,
           "Write loss, accuracy and rates as an event file for TensorBoard into this folder");
  add_flag(command, "--json", &options->json, output_group,
           "Print the log's last record on stdout, and nothing else there");
  add_flag(command, "--plan", &options->plan, output_group, "Print what memory will be used for, and stop");
  add_flag(command, "--print-recipe", &options->print_recipe, output_group, "Print the recipe in effect (TOML), and stop");
  add_flag(command, "--quiet", &options->quiet, output_group, "Say nothing but errors and results");
  command->get_option("--save-every")->needs("--save");
  command->get_option("--keep")->needs("--save");
  command->get_option("--resume")->excludes("--weights");
  command->get_option("--plan")->excludes("--print-recipe");
}

lt_config make_config(const TrainOptions& options) {
  const auto given = [](const std::string& text) { return text.empty() ? nullptr : text.c_str(); };
  lt_config config;
  lt_config_init(&config);
  config.recipe = options.recipe.c_str();
  config.device = given(options.device);
  config.kernels = given(options.kernels);
  config.precision = given(options.precision);
  config.optimizer = given(options.optimizer);
  config.seed = options.seed.value_or(config.seed);
  config.batch = options.batch;
  config.epochs = options.epochs;
  config.threads = options.threads;
  config.lr = options.lr;
  config.momentum = options.momentum;
  config.memory_cap_bytes = options.memory_bytes;
  config.flags = (options.deterministic ? LT_DETERMINISTIC : 0u) | (options.no_shuffle ? LT_NO_SHUFFLE : 0u) |
                 (options.no_dropout ? LT_NO_DROPOUT : 0u) | (options.full_lengths ? LT_FULL_LENGTHS : 0u) |
                 (options.skip_bad ? LT_SKIP_BAD : 0u);
  return config;
}

}  // namespace lt::tool
