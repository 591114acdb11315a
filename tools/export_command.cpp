// lean-train export: a trained model as a file that other programs run.
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/commands.h"
#include "tools/exit_code.h"
#include "tools/handles.h"
#include "tools/onnx/onnx_model.h"
#include "tools/output_file.h"
#include "tools/terminal.h"
#include "tools/text.h"
#include "tools/what.h"

namespace lt::tool {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  lean-train export digits.safetensors -o digits.onnx\n"
    "  lean-train export resnet50.safetensors --model resnet50 -o resnet50.onnx\n"
    "  python3 -c 'import onnxruntime, numpy\n"
    "  model = onnxruntime.InferenceSession(\"digits.onnx\")\n"
    "  print(model.run([\"probabilities\"], {\"input\": numpy.zeros((1, 1, 28, 28), numpy.uint8)}))'\n";

ExitCode failed(lt_status status, Stage stage, const std::string& why = {}) {
  complain("%s", why.empty() ? lt_last_error() : why.c_str());
  return exit_code(status, stage);
}

int append(void* text, const void* bytes, size_t n) {
  static_cast<std::string*>(text)->append(static_cast<const char*>(bytes), n);
  return 0;
}

struct Arguments {
  std::string path, model, out;
  bool quiet = false;
};

ExitCode export_onnx(const Arguments& arguments) {
  const std::string& path = arguments.path;
  if (!check_output_path("--out", arguments.out)) return ExitCode::io;
  What what;
  if (!arguments.model.empty() && !find_what(arguments.model, &what)) return ExitCode::usage;
  lt_file* file = nullptr;
  if (const lt_status status = lt_file_open(path.c_str(), &file)) return failed(status, Stage::weights);
  const FilePtr file_owner(file);
  lt_config config;
  lt_config_init(&config);
  if (!arguments.model.empty())
    config.recipe = what.recipe.c_str();
  else if (const lt_status status = lt_file_config(file, &config))
    return failed(status, Stage::weights, std::string(lt_last_error()) + "; or say by --model which model they are of");
  // Nothing is computed: the device that is always there, and room for one sample. Weights are float32 in every precision.
  config.device = "reference";
  config.precision = "fp32";
  config.batch = 1;
  lt_plan* plan = nullptr;
  if (const lt_status status = lt_plan_create(&config, &plan)) return failed(status, Stage::plan);
  const PlanPtr plan_owner(plan);
  lt_session* session = nullptr;
  if (const lt_status status = lt_session_create(plan, nullptr, 0, &session)) return failed(status, Stage::session);
  const SessionPtr session_owner(session);
  uint32_t ignored = 0;
  if (const lt_status status = lt_session_load_weights(session, path.c_str(), &ignored))
    return failed(status, Stage::weights);
  std::string text, why;
  if (const lt_status status = lt_plan_recipe(plan, append, &text)) return failed(status, Stage::plan);
  lt_plan_info info = sized<lt_plan_info>();
  if (const lt_status status = lt_plan_get(plan, &info)) return failed(status, Stage::plan);
  Recipe recipe;
  if (!ok(recipe_parse(text, path.c_str(), &recipe))) return failed(LT_ERR_INTERNAL, Stage::plan);

  OnnxFile onnx;
  if (const lt_status status = onnx_model(recipe, info.classes, session, &onnx, &why))
    return failed(status, Stage::plan, path + ": " + why);
  onnx.text("model", recipe.name);
  // As in the checkpoint: the number of samples at a time above is of no meaning to others.
  for (const char* key : {"recipe", "precision", "data", "data_hash", "vocabulary_hash", "step"})
    if (const char* const value = lt_file_text(file, key); arguments.model.empty() && value != nullptr && *value != '\0')
      onnx.text(key, value);
  const std::string input = onnx_input_text(recipe);
  const std::string about = "Model " + recipe.name + (arguments.model.empty() ? ", trained by lean-train. " : ". ") +
                            input + (recipe.inference ? ". Output: features." : ". Outputs: probabilities, and logits.");
  if (const lt_status status = onnx.write(arguments.out, recipe.name, about, &why)) return failed(status, Stage::save, why);
  if (arguments.quiet) return ExitCode::ok;
  const std::string foreign =
      ignored != 0 ? "; not the model's and left out: " + format_count_of(ignored, "tensor") : std::string();
  say("%s: model %s, %s, opset %d; %s%s", arguments.out.c_str(), recipe.name.c_str(),
      format_count_of(onnx.nodes(), "node").c_str(), static_cast<int>(onnx_opset), input.c_str(), foreign.c_str());
  return ExitCode::ok;
}

}  // namespace

void add_export_command(CLI::App& app, int* exit_code) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* const command = app.add_subcommand("export", "Write a checkpoint's model as an ONNX file");
  command->add_option("CHECKPOINT", arguments->path, "As --save wrote it; or weights alone, with --model")->required();
  command
      ->add_option("--model", arguments->model,
                   "Of what the weights are, where the file does not say it: resnet50, another built-in model or a recipe")
      ->type_name("WHAT");
  command->add_option("-o,--out", arguments->out, "The ONNX file to write, replaced in one piece")
      ->type_name("FILE.onnx")
      ->required();
  command->add_flag("--quiet", arguments->quiet, "Say nothing but errors")->disable_flag_override();
  command->group("Commands");
  command->footer(examples);
  command->callback([arguments, exit_code] { *exit_code = static_cast<int>(export_onnx(*arguments)); });
}

}  // namespace lt::tool
