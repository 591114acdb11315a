// lean-train compare: one training on several devices, kernel families or precisions: how fast each is, and whether they
// agree.
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/commands.h"
#include "tools/compare/compare_output.h"
#include "tools/compare/comparison.h"
#include "tools/output_file.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

constexpr const char* machine_group = "Machine";
constexpr const char* output_group = "Output";

constexpr const char* examples =
    "Examples:\n"
    "  lean-train compare mnist --device cpu,cuda\n"
    "  lean-train compare mnist --kernels highway,onednn\n"
    "  lean-train compare cifar10 --precision fp32,bf16 --steps 100\n"
    "  lean-train compare mnist/linear --threads 1,2 --bound 0       the same bits, whatever the threads\n"
    "  lean-train compare imdb --device reference,cpu --steps 2 --json\n"
    "  lean-train compare mnist --device cpu,reference --log both.jsonl && lean-train report both.jsonl -o both.html\n";

struct Arguments {
  CompareOptions options;
  std::string what;
};

void add_list(CLI::App* command, const char* names, const char* option, Words* words, const Check& check, const char* type,
              const char* help) {
  const auto read = [=](const std::string& text) { *words = parse_list(option, text, check); };
  command->add_option_function<std::string>(names, read, help)->type_name(type)->group(machine_group);
}

ExitCode compare(Arguments* arguments) {
  CompareOptions& options = arguments->options;
  if (!find_what(arguments->what, &options.what)) return ExitCode::usage;
  const TrainOptions& training = options.training;
  Comparison comparison(options);
  if (comparison.sides().size() < 2) {
    complain(
        "compare needs two sides at least: give a list, such as --device cpu,cuda, --kernels highway,onednn, "
        "--precision fp32,bf16 or --threads 1,2");
    return ExitCode::usage;
  }
  if (!check_output_path("--log", training.log)) return ExitCode::io;
  ExitCode code = comparison.set_up();
  if (code == ExitCode::ok) code = comparison.run();
  if (code != ExitCode::ok) return code;
  const bool logged = training.log.empty() || log_comparison(comparison, training.log);
  StandardOutput out;
  options.json ? print_comparison_json(comparison, &out) : print_comparison(comparison, &out);
  if (!out.close() || !logged) return ExitCode::io;
  if (comparison.agrees()) return ExitCode::ok;
  const Side& base = comparison.sides().front();
  for (const Side& side : comparison.sides())
    if (&side != &base && !side.verdict.agrees) complain("%s", verdict_sentence(side, base).c_str());
  return ExitCode::numeric;
}

}  // namespace

void add_compare_command(CLI::App& app, int* exit_code) {
  const auto arguments = std::make_shared<Arguments>();
  CompareOptions* const options = &arguments->options;
  CLI::App* const command =
      app.add_subcommand("compare", "Train the same on several devices or kernels: speed, and whether they agree");
  command->group("Commands");
  command->footer(examples);
  command
      ->add_option("WHAT", arguments->what, "A model, such as mnist, mnist/nn, rnn/gru-1x320, or a recipe's file (.toml)")
      ->required();
  const auto read_steps = [=](const std::string& text) {
    options->steps = check_whole_number("--steps", text, 1, 1u << 20);
  };
  command->add_option_function<std::string>("--steps", read_steps, "Steps of each [20]")
      ->type_name("N")
      ->group("Model and training");
  add_model_and_data_options(command, &options->training);
  add_list(command, "--device,--devices", "--device", &options->devices, check_device, "auto|cpu|cuda[:N]|reference,...",
           "Where to train; the first of a list is what the others are compared with [cpu]");
  add_list(command, "--kernels", "--kernels", &options->kernels, check_kernels, "auto|highway[:SET]|onednn|cudnn|own,...",
           "Whose code computes: highway or onednn on the CPU, own or cudnn on a GPU [auto]");
  add_list(command, "--precision", "--precision", &options->precisions, check_precision, "fp32|tf32|bf16,...",
           "Of products, and of what is between layers [fp32]");
  const Check check_threads = [](const char* option, const std::string& text) {
    check_whole_number(option, text, 1, UINT32_MAX);
  };
  add_list(command, "--threads", "--threads", &options->threads, check_threads, "N,...",
           "Threads that compute [as many as this process may use]");
  const auto read_bound = [=](const std::string& text) {
    const auto value = parse_number(text);
    if (!value || *value < 0) reject("--bound", "a finite number, 0 or greater", text);
    options->bound = *value;
  };
  command
      ->add_option_function<std::string>(
          "--bound", read_bound,
          "By how much, relatively, losses and weights may part in all steps [in the first 20: losses "
          "2e-4 in fp32, 5e-3 in tf32, 2e-2 in bf16; weights as much, up to five times as "
          "much with Adam]")
      ->type_name("X")
      ->group(output_group);
  const auto read_form = [=](const std::string& text) {
    if (text != "table" && text != "json") reject("--output", "table or json", text);
    options->json = text == "json";
  };
  command->add_option_function<std::string>("-o,--output", read_form, "table, or json: one object [table]")
      ->type_name("table|json")
      ->group(output_group);
  command->add_flag("--json", options->json, "The same as -o json")->disable_flag_override()->group(output_group);
  command
      ->add_option("--log", options->training.log,
                   "Write a run log of each side, one behind the other, which report draws; replaces FILE")
      ->type_name("FILE")
      ->group(output_group);
  command->add_flag("--quiet", options->training.quiet, "Say nothing but errors and results")
      ->disable_flag_override()
      ->group(output_group);
  command->callback([arguments, exit_code] { *exit_code = static_cast<int>(compare(arguments.get())); });
}

}  // namespace lt::tool
