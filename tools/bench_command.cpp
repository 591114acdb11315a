// lean-train bench, and bench ops: how fast each operation of the built-in models runs, and how far it is from the
// reference.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cinttypes>
#include <memory>
#include <string>
#include <vector>

#include "tools/bench/bench_models.h"
#include "tools/bench_gemm.h"
#include "tools/bench_ops.h"
#include "tools/bench_recurrent.h"
#include "tools/commands.h"
#include "tools/exit_code.h"
#include "tools/handles.h"
#include "tools/json_record.h"
#include "tools/machine_peak.h"
#include "tools/terminal.h"
#include "tools/text.h"
#include "tools/what.h"

namespace lt::tool {
namespace {

using Words = std::vector<std::string>;

// Rounding of float sums over some thousands of terms stays a hundred times below. Of a number that is stored in bfloat16
// it is 2^-9 at most, and kernels may round their gradients once more on the way.
constexpr double error_bound_fp32 = 1e-4, error_bound_bf16 = 4e-3;

constexpr const char* examples =
    "Examples:\n"
    "  lean-train bench ops\n"
    "  lean-train bench ops --model cifar10 --kernels highway --threads 1\n"
    "  lean-train bench ops --model gemm\n"
    "  lean-train bench ops --precision bf16 --no-check\n"
    "  lean-train bench ops --no-check --rounds 100 -o json > ops.jsonl\n";

constexpr const char* bench_examples =
    "Examples:\n"
    "  lean-train bench                                  every model, as far as five minutes go\n"
    "  lean-train bench mnist cifar10 --precision fp32,bf16 --threads 1,2\n"
    "  lean-train bench mnist --device cpu,cuda --kernels auto,onednn -r 5 -o md\n"
    "  lean-train bench cifar10 --published              beside what others published\n"
    "  lean-train bench ops --model cifar10              operation by operation\n";

struct Arguments {
  Words models, kernels;
  std::string precision = "fp32";
  bool kernels_named = false, check = true, json = false;
  uint32_t threads = 0, rounds = 20;
};

[[noreturn]] void reject(const char* option, const std::string& expected, const std::string& found) {
  throw CLI::ValidationError(option, "expected " + expected + ", found '" + found + "'");
}

// "a,b" of these words.
Words parse_words(const char* option, const std::string& text, const Words& known) {
  Words words = CLI::detail::split(text, ',');
  for (const std::string& word : words)
    if (std::find(known.begin(), known.end(), word) == known.end())
      reject(option, "one or several of " + CLI::detail::join(known, ", "), word);
  return words;
}

void add_whole_number(CLI::App* command, const char* option, uint32_t* target, const char* help) {
  const auto read = [=](const std::string& text) {
    const auto value = parse_whole_number(text);
    if (!value || *value < 1 || *value > 100000) reject(option, "a whole number from 1 to 100000", text);
    *target = static_cast<uint32_t>(*value);
  };
  command->add_option_function<std::string>(option, read, help)->type_name("N");
}

// Without a list of the user's own, families that this machine lacks are left out, and that is said. Fills in the threads.
ExitCode settle(Arguments* arguments) {
  // In bf16 oneDNN has no part, and the processor's own units may have one.
  if (!arguments->kernels_named) arguments->kernels = {"highway", arguments->precision == "bf16" ? "auto" : "onednn"};
  Words usable;
  for (const std::string& kernels : arguments->kernels) {
    lt_config config;
    lt_config_init(&config);
    config.recipe = "mnist/linear";
    config.device = "cpu";
    config.kernels = kernels.c_str();
    config.precision = arguments->precision.c_str();
    config.threads = arguments->threads;
    lt_plan* plan = nullptr;
    lt_plan_info info = sized<lt_plan_info>();
    lt_status status = lt_plan_create(&config, &plan);
    const PlanPtr owner(plan);
    if (status == LT_OK) status = lt_plan_get(plan, &info);
    if (status == LT_OK) {
      arguments->threads = info.threads;
      usable.push_back(kernels);
    } else if (arguments->kernels_named || status != LT_ERR_DEVICE) {
      complain("%s", lt_last_error());
      return exit_code(status, Stage::plan);
    } else {
      say("without %s: %s", kernels.c_str(), lt_last_error());
    }
  }
  arguments->kernels = usable;
  return ExitCode::ok;
}

// In bf16, shares are of the peak of bfloat16's own instructions, where there are any.
void take_bf16_peak(MachinePeak* peak) {
  if (peak->bf16_flops_per_second == 0) return;
  peak->kernel = peak->bf16_kernel;
  peak->flops_per_second = peak->bf16_flops_per_second;
}

double share_of_peak(const OpTime& row, const MachinePeak& peak) {
  return row.operations / row.seconds / peak.flops_per_second;
}

double share_of_now(const OpTime& row) { return row.operations / row.seconds / row.flops_per_second_now; }

void print_table(const Arguments& arguments, const std::vector<OpTime>& rows, const MachinePeak& peak,
                 StandardOutput* out) {
  out->print("%s, %u threads; at most %.0f GFLOP/s (%s, %s), %.1f GB/s in memory\n", arguments.precision.c_str(),
             rows[0].threads, peak.flops_per_second * 1e-9, peak.kernel == peak.bf16_kernel ? "bf16" : "fp32", peak.kernel,
             peak.read_and_write_bytes_per_second * 1e-9);
  out->write(
      "Operations are counted as the plain loops do them: Winograd's form, and a max-pool whose losers are skipped, do "
      "fewer,\n"
      "and so may pass the peak. Errors are relative to the reference device, from equal inputs. \"now\" is the share of "
      "what\n"
      "the same threads reach in multiply-adds alone right after: long work on wide vectors slows processors down.\n");
  std::string model;
  for (const OpTime& row : rows) {
    if (row.model != model) {
      model = row.model;
      out->print("\n%s\n%2s  %-8s  %-44s  %-36s  %-7s  %9s  %8s  %6s  %6s  %8s  %s\n", model.c_str(), "op", "layer",
                 "operation", "shape", "kernels", "ms", "GFLOP/s", "peak", "now", "error", "kernel");
    }
    char speed[64] = "       -       -", now[32] = "-", error[32] = "-";
    if (row.operations > 0)
      std::snprintf(speed, sizeof speed, "%8.1f  %5.1f%%", row.operations / row.seconds * 1e-9,
                    100 * share_of_peak(row, peak));
    if (row.flops_per_second_now > 0) std::snprintf(now, sizeof now, "%.1f%%", 100 * share_of_now(row));
    if (row.error >= 0) std::snprintf(error, sizeof error, "%.1e", row.error);
    out->print("%2u  %-8s  %-44s  %-36s  %-7s  %9.4f  %16s  %6s  %8s  %s\n", row.op, row.layer.c_str(),
               row.operation.c_str(), row.shape.c_str(), row.kernels.c_str(), 1e3 * row.seconds, speed, now, error,
               row.kernel.c_str());
  }
}

void print_json(const Arguments& arguments, const std::vector<OpTime>& rows, const MachinePeak& peak, StandardOutput* out) {
  JsonRecord machine("machine");
  machine.text("precision", arguments.precision).whole("threads", rows[0].threads).text("vectors", peak.kernel);
  machine.number("peak_flops_per_second", peak.flops_per_second);
  machine.number("peak_read_and_write_bytes_per_second", peak.read_and_write_bytes_per_second);
  machine.text("version", lt_build_info());
  out->write(machine.line());
  for (const OpTime& row : rows) {
    JsonRecord record("op");
    record.text("model", row.model).whole("op", row.op).text("layer", row.layer).text("operation", row.operation);
    record.text("shape", row.shape).text("kernels", row.kernels).text("kernel", row.kernel).whole("threads", row.threads);
    record.number("median_seconds", row.seconds).number("least_seconds", row.least_seconds);
    row.operations > 0 ? record.number("flops_per_second", row.operations / row.seconds) : record.null("flops_per_second");
    row.operations > 0 ? record.number("share_of_peak", share_of_peak(row, peak)) : record.null("share_of_peak");
    row.flops_per_second_now > 0 ? record.number("share_of_peak_now", share_of_now(row)) : record.null("share_of_peak_now");
    row.error >= 0 ? record.number("error", row.error) : record.null("error");
    out->write(record.line());
  }
}

// Beyond its bound, an operation is wrong, and its speed is worth nothing.
ExitCode judge(const Arguments& arguments, const std::vector<OpTime>& rows) {
  const double error_bound = arguments.precision == "bf16" ? error_bound_bf16 : error_bound_fp32;
  const auto worst =
      std::max_element(rows.begin(), rows.end(), [](const OpTime& a, const OpTime& b) { return a.error < b.error; });
  if (worst->error <= error_bound) return ExitCode::ok;
  complain("%s, operation %u (%s of %s) on %s is %.1e away from the reference, expected %.0e at most", worst->model.c_str(),
           worst->op, worst->operation.c_str(), worst->layer.c_str(), worst->kernel.c_str(), worst->error, error_bound);
  return ExitCode::numeric;
}

ExitCode run(Arguments arguments) {
  for (const char* name : {bench_gemm_name, bench_recurrent_name}) {
    const bool asked = std::find(arguments.models.begin(), arguments.models.end(), name) != arguments.models.end();
    if (!asked || arguments.precision == "fp32") continue;
    complain("the products of --model %s are in fp32 alone, not in %s", name, arguments.precision.c_str());
    return ExitCode::usage;
  }
  if (const ExitCode code = settle(&arguments); code != ExitCode::ok) return code;
  if (arguments.models.empty()) {
    arguments.models = recipe_names_for_ops();
    if (arguments.precision == "fp32")
      arguments.models.insert(arguments.models.end(), {bench_gemm_name, bench_recurrent_name});
  }
  const MachinePeak before = measure_machine_peak(arguments.threads);
  std::vector<OpTime> rows;
  for (const std::string& model : arguments.models) {
    const BenchOps what = {model,          arguments.kernels, arguments.precision, arguments.threads, arguments.rounds,
                           arguments.check};
    const ExitCode code = model == bench_gemm_name        ? bench_gemm(what, &rows)
                          : model == bench_recurrent_name ? bench_recurrent(what, &rows)
                                                          : bench_ops(what, &rows);
    if (code != ExitCode::ok) return code;
  }
  MachinePeak peak = measure_machine_peak(arguments.threads);
  peak.flops_per_second = std::max(peak.flops_per_second, before.flops_per_second);
  peak.bf16_flops_per_second = std::max(peak.bf16_flops_per_second, before.bf16_flops_per_second);
  peak.read_and_write_bytes_per_second =
      std::max(peak.read_and_write_bytes_per_second, before.read_and_write_bytes_per_second);
  if (arguments.precision == "bf16") take_bf16_peak(&peak);
  StandardOutput out;
  arguments.json ? print_json(arguments, rows, peak, &out) : print_table(arguments, rows, peak, &out);
  if (!out.close()) return ExitCode::io;
  return judge(arguments, rows);
}

}  // namespace

void add_bench_command(CLI::App& app, int* exit_code) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* const bench = app.add_subcommand("bench", "Measure speed");
  bench->group("Commands");
  bench->require_subcommand(0, 1);
  bench->footer(bench_examples);
  add_bench_models(bench, exit_code);
  CLI::App* const ops = bench->add_subcommand(
      "ops", "Time every operation of the built-in models on the CPU, and compare its results with the reference");
  ops->footer(examples);
  Words models = recipe_names();
  models.insert(models.end(), {bench_gemm_name, bench_recurrent_name});
  const auto read_models = [=](const std::string& text) { arguments->models = parse_words("--model", text, models); };
  ops->add_option_function<std::string>(
         "--model", read_models,
         "Built-in models, and in fp32 alone gemm, products of matrices, and recurrent, layers of the "
         "speed suite; by commas [all but rnn/...]")
      ->type_name("NAME,...");
  const auto read_kernels = [=](const std::string& text) {
    arguments->kernels = parse_words("--kernels", text, {"highway", "onednn", "auto"});
    arguments->kernels_named = true;
  };
  ops->add_option_function<std::string>("--kernels", read_kernels,
                                        "Whose code, separated by commas [highway,onednn; in bf16 highway,auto]")
      ->type_name("NAME,...");
  const auto read_precision = [=](const std::string& text) {
    if (text != "fp32" && text != "bf16") reject("--precision", "fp32 or bf16", text);
    arguments->precision = text;
  };
  ops->add_option_function<std::string>("--precision", read_precision, "Of what is between operations [fp32]")
      ->type_name("fp32|bf16");
  add_whole_number(ops, "--threads", &arguments->threads, "Threads that compute [as many as this process may use]");
  add_whole_number(ops, "--rounds", &arguments->rounds, "Steps that are timed; each figure is their median [20]");
  ops->add_flag_callback(
      "--no-check", [=] { arguments->check = false; }, "Do not compare with the reference, which is slow");
  const auto read_form = [=](const std::string& text) {
    if (text != "table" && text != "json") reject("--output", "table or json", text);
    arguments->json = text == "json";
  };
  ops->add_option_function<std::string>("-o,--output", read_form, "table, or json: one object a line [table]")
      ->type_name("table|json");
  ops->callback([arguments, exit_code] { *exit_code = static_cast<int>(run(*arguments)); });
}

}  // namespace lt::tool
