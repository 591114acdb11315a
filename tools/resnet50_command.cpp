// lean-train resnet50: features of pictures by ImageNet's ResNet-50.
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/commands.h"
#include "tools/picture_features.h"

namespace lt::tool {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  lean-train resnet50                               images/s on built-in pictures, with random weights\n"
    "  lean-train resnet50 --weights resnet50.safetensors --out features.npy\n"
    "  lean-train resnet50 --images photos --skip-bad --out photos.npy\n"
    "  lean-train resnet50 --batch 1 --plan              what memory it will use, to the byte\n"
    "  lean-train resnet50 --precision bf16 --steps 10 --json\n"
    "  lean-train resnet50 --precision int8 --images photos --out photos.npy\n";

}  // namespace

void add_resnet50_command(CLI::App& app, int* exit_code) {
  const auto options = std::make_shared<FeatureOptions>();
  CLI::App* const command = app.add_subcommand("resnet50", "Compute features of pictures");
  add_training_options(command, &options->common);
  const char* const group = "Data and files";
  command->add_option("--images", options->images, "Folder of JPEG and PNG pictures [built-in synthetic ones]")
      ->type_name("DIR")
      ->group(group);
  command
      ->add_option("--out", options->out,
                   "Write the features, a row a picture (NumPy, float32); with --images their names beside it (F.csv)")
      ->type_name("F.npy")
      ->group(group);
  command->group("Commands");
  command->footer(examples);
  command->callback([options, exit_code] {
    options->common.command = options->common.recipe = "resnet50";
    options->common.recipe_given = true;
    *exit_code = compute_features(*options);
  });
}

}  // namespace lt::tool
