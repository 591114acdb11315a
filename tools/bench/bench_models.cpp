// lean-train bench [WHAT...]: whole trainings, in every combination of the lists that the options hold.
#include "tools/bench/bench_models.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "tools/bench/formats.h"
#include "tools/bench/runner.h"
#include "tools/option_words.h"
#include "tools/terminal.h"
#include "tools/text.h"
#include "tools/what.h"

namespace lt::tool {
namespace {

constexpr uint32_t most_threads = 4096, most_batch = 1u << 20, most_steps = 1u << 16, most_repetitions = 1000;
constexpr uint32_t most_seconds = 1u << 20;
constexpr double seconds_without_names = 300;

struct Arguments {
  Lists lists;
  MeasureOptions options;
  uint32_t repetitions = 3;
  double within_seconds = 0;  // 0: not given
  BenchFormat format = BenchFormat::table;
  bool published = false, peak = true, in_this_process = false;
};

using IsItem = bool (*)(const std::string&);

void add_list(CLI::App* command, const char* option, std::vector<std::string>* target, IsItem is_item,
              const std::string& words, const char* help) {
  const auto read = [=](const std::string& text) {
    const auto items = split_list(text);
    if (!items || !std::all_of(items->begin(), items->end(), is_item))
      reject(option, "one or several different ones of " + words + ", separated by commas", text);
    *target = *items;
  };
  command->add_option_function<std::string>(option, read, help)->type_name("LIST");
}

void add_number_list(CLI::App* command, const char* option, std::vector<uint32_t>* target, uint32_t most,
                     const char* help) {
  const auto read = [=](const std::string& text) {
    const auto numbers = split_numbers(text, most);
    if (!numbers)
      reject(option, "one or several different whole numbers from 1 to " + std::to_string(most) + ", separated by commas",
             text);
    *target = *numbers;
  };
  command->add_option_function<std::string>(option, read, help)->type_name("LIST");
}

void add_number(CLI::App* command, const char* option, uint32_t* target, uint32_t most, const char* help) {
  const auto read = [=](const std::string& text) {
    const auto number = parse_whole_number(text);
    if (!number || *number < 1 || *number > most) reject(option, "a whole number from 1 to " + std::to_string(most), text);
    *target = static_cast<uint32_t>(*number);
  };
  command->add_option_function<std::string>(option, read, help)->type_name("N");
}

void add_seconds(CLI::App* command, const char* option, double* target, const char* help) {
  const auto read = [=](const std::string& text) {
    const auto seconds = parse_number(text);
    if (!seconds || *seconds <= 0 || *seconds > most_seconds)
      reject(option, "a number of seconds above 0, " + std::to_string(most_seconds) + " at most", text);
    *target = *seconds;
  };
  command->add_option_function<std::string>(option, read, help)->type_name("X");
}

// Words of a user, each a model or several with commas between them.
void take_models(const std::vector<std::string>& words, std::vector<std::string>* models) {
  const std::vector<std::string> known = recipe_names();
  for (const std::string& word : words) {
    const auto names = split_list(word);
    if (!names) reject("WHAT", "models, such as mnist or mnist,cifar10", word);
    for (const std::string& name : *names) {
      const std::string model = model_of_word(name);
      if (model.empty()) reject("WHAT", "ops, mnist, rnn, or one of " + CLI::detail::join(known, ", "), name);
      if (std::find(models->begin(), models->end(), model) == models->end()) models->push_back(model);
    }
  }
}

void warn(const BenchResult& result) {
  std::string left_out;
  size_t noisy = 0, measured = 0;
  for (const Row& row : result.rows) {
    if (row.state == RowState::left_out) left_out += (left_out.empty() ? "" : ", ") + row.asked.model;
    if (row.state != RowState::measured) continue;
    ++measured;
    if (!noise_in(result, row).empty()) ++noisy;
  }
  if (!left_out.empty()) say("left out, for they do not fit into the time: %s (--within, or name them)", left_out.c_str());
  if (noisy != 0) say("the machine was not quiet during %zu of %zu measurements: their notes say how", noisy, measured);
}

// What was measured counts; where nothing was, the first row's reason is the whole run's.
ExitCode verdict(const BenchResult& result) {
  for (const Row& row : result.rows) {
    if (row.state != RowState::failed) continue;
    complain("%s: %s", row.asked.model.c_str(), row.reason.c_str());
    const int code = row.exit_code;
    return code >= static_cast<int>(ExitCode::internal) && code <= static_cast<int>(ExitCode::io)
               ? static_cast<ExitCode>(code)
               : ExitCode::internal;
  }
  for (const Row& row : result.rows)
    if (row.state == RowState::measured) return ExitCode::ok;
  for (const Row& row : result.rows) {
    if (row.state != RowState::unavailable) continue;
    complain("nothing could be measured: %s", row.reason.c_str());
    return static_cast<ExitCode>(row.exit_code);
  }
  complain("nothing could be measured in the time there was: give more by --within, or name the models without it");
  return ExitCode::usage;
}

ExitCode run(Arguments arguments) {
  const bool named = !arguments.lists.models.empty();
  if (!named) arguments.lists.models = recipe_names_quickest_first();
  BenchRequest request;
  request.configurations = combinations(arguments.lists);
  if (arguments.in_this_process) return measure(request.configurations[0], arguments.options);
  request.options = arguments.options;
  request.repetitions = arguments.repetitions;
  request.limit_seconds = arguments.within_seconds > 0 ? arguments.within_seconds : named ? 0 : seconds_without_names;
  request.published = arguments.published;
  request.peak = arguments.peak;
  const BenchResult result = run_bench(request);
  StandardOutput out;
  out.write(format_result(result, arguments.format));
  warn(result);
  if (!out.close()) return ExitCode::io;
  return verdict(result);
}

}  // namespace

void add_bench_models(CLI::App* bench, int* exit_code) {
  const auto arguments = std::make_shared<Arguments>();
  const auto read_models = [=](const std::vector<std::string>& words) {
    take_models(words, &arguments->lists.models);
    return true;
  };
  bench
      ->add_option(
          "WHAT", read_models,
          "Models, as " + CLI::detail::join(recipe_names(), ", ") + " [all that fit into five minutes, the quickest first]")
      ->type_name("")
      ->expected(0, -1)
      ->allow_extra_args();
  Lists& lists = arguments->lists;
  add_list(bench, "--device", &lists.devices, is_device, "auto, cpu, cuda, cuda:N, reference", "Where to train [auto]");
  add_list(bench, "--kernels", &lists.kernels, is_kernels, "auto, highway, highway:SET, onednn, cudnn, own",
           "Whose code [auto]");
  add_list(bench, "--precision", &lists.precisions, is_precision, "fp32, tf32, bf16",
           "Of products and what is between them [fp32]");
  add_number_list(bench, "--batch", &lists.batches, most_batch, "Samples a step [the model's]");
  add_number_list(bench, "--threads", &lists.threads, most_threads,
                  "Threads that compute [as many as this process may use]");
  bench->add_option("--data", arguments->options.data, "Folder of the data sets, as for a training")->type_name("DIR");
  add_number(bench, "-r,--repetitions", &arguments->repetitions, most_repetitions,
             "Processes a configuration, which take turns with those of the others [3]");
  add_number(bench, "--warm-up", &arguments->options.warm_up_steps, most_steps,
             "Steps in front of those that are timed [3]");
  add_number(bench, "--steps", &arguments->options.steps, most_steps,
             "Timed steps a repetition [as many as --seconds hold, 5 at least]");
  add_seconds(bench, "--seconds", &arguments->options.seconds, "Of timed steps a repetition [1]");
  add_seconds(bench, "--within", &arguments->within_seconds,
              "Leave out what does not fit into so many seconds [300, where no model is named]");
  bench->add_flag("--published", arguments->published, "Others' figures beside ours, with the hardware they were taken on")
      ->disable_flag_override();
  bench->add_flag_callback(
      "--no-peak", [=] { arguments->peak = false; }, "Do not measure the machine's peak, of which steps have their share");
  const auto read_format = [=](const std::string& text) {
    if (!format_of_word(text, &arguments->format)) reject("--output", "one of table, md, csv, json, jsonl", text);
  };
  bench->add_option_function<std::string>("-o,--output", read_format, "The form of what is printed on stdout [table]")
      ->type_name("table|md|csv|json|jsonl");
  // How the program starts itself; for one configuration.
  bench->add_flag("--in-this-process", arguments->in_this_process)->disable_flag_override()->group("");
  bench->final_callback([=] {
    if (bench->get_subcommands().empty()) *exit_code = static_cast<int>(run(*arguments));
  });
}

}  // namespace lt::tool
