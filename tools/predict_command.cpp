// lean-train predict: what a trained model says of samples, as CSV, as JSON lines, or summed up.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cinttypes>
#include <memory>
#include <string_view>
#include <vector>

#include "tools/commands.h"
#include "tools/confusion.h"
#include "tools/exit_code.h"
#include "tools/handles.h"
#include "tools/option_words.h"
#include "tools/predict_images.h"
#include "tools/predict_text.h"
#include "tools/prediction_lines.h"
#include "tools/samples.h"
#include "tools/terminal.h"

namespace lt::tool {
namespace {

constexpr uint32_t samples_at_a_time = 256;

constexpr const char* examples =
    "Examples:\n"
    "  lean-train predict digits.safetensors --data MNIST/raw > digits.csv\n"
    "  lean-train predict digits.safetensors --data t10k-images-idx3-ubyte --json\n"
    "  lean-train predict digits.safetensors --confusion\n"
    "  lean-train predict pictures.safetensors --data photos --skip-bad\n"
    "  lean-train predict reviews.safetensors --data - < review.txt\n";

struct Options {
  std::string file, data, vocabulary, device, kernels, split = "test";
  uint32_t threads = 0;
  bool json = false, confusion = false, quiet = false, skip_bad = false;
};

ExitCode failed(lt_status status, Stage stage) {
  complain("%s", lt_last_error());
  return exit_code(status, stage);
}

ExitCode predict_all(lt_session* session, const Samples& samples, uint32_t classes, const Options& options) {
  StandardOutput out;
  Confusion confusion(classes);
  const PredictionLines lines(options.json, samples.labelled, false, classes);
  std::vector<uint32_t> labels(samples_at_a_time);
  std::vector<float> probabilities(uint64_t{samples_at_a_time} * classes);
  if (!options.confusion) lines.head(&out);
  for (uint64_t first = 0; first < samples.info.count; first += samples_at_a_time) {
    const auto n = static_cast<uint32_t>(std::min<uint64_t>(samples_at_a_time, samples.info.count - first));
    for (uint32_t i = 0; i < n; ++i)
      if (const lt_status status = lt_dataset_read(samples.dataset.get(), first + i, nullptr, &labels[i]))
        return failed(status, Stage::data);
    const size_t floats = uint64_t{n} * classes;
    if (const lt_status status = lt_session_predict_split(session, LT_TEST, first, n, probabilities.data(), floats))
      return failed(status, Stage::session);
    for (uint32_t i = 0; i < n; ++i) {
      const float* const row = &probabilities[uint64_t{i} * classes];
      options.confusion ? confusion.add(labels[i], likeliest(row, classes))
                        : lines.sample(first + i, labels[i], {}, row, &out);
    }
  }
  if (options.confusion) options.json ? confusion.print_json(&out) : confusion.print(&out);
  return out.close() ? ExitCode::ok : ExitCode::io;
}

// With the checkpoint's weights. That samples fit the model is checked as for a training.
ExitCode trained_session(const lt_plan* plan, const std::string& file, const lt_dataset* samples, SessionPtr* session) {
  lt_session* raw = nullptr;
  if (const lt_status status = lt_session_create(plan, nullptr, 0, &raw)) return failed(status, Stage::session);
  session->reset(raw);
  if (samples != nullptr) {
    if (const lt_status status = lt_session_bind(raw, LT_TEST, samples)) return failed(status, Stage::data);
  }
  if (const lt_status status = lt_session_load_weights(raw, file.c_str(), nullptr)) return failed(status, Stage::weights);
  return ExitCode::ok;
}

ExitCode predict(const Options& options) {
  lt_file* file = nullptr;
  if (const lt_status status = lt_file_open(options.file.c_str(), &file)) return failed(status, Stage::weights);
  const FilePtr file_owner(file);
  lt_config config;
  lt_config_init(&config);
  if (!options.device.empty()) config.device = options.device.c_str();
  if (!options.kernels.empty()) config.kernels = options.kernels.c_str();
  config.threads = options.threads;
  if (const lt_status status = lt_file_config(file, &config)) return failed(status, Stage::weights);
  lt_plan* plan = nullptr;
  if (const lt_status status = lt_plan_create(&config, &plan)) return failed(status, Stage::plan);
  const PlanPtr plan_owner(plan);
  lt_plan_info info = sized<lt_plan_info>();
  if (const lt_status status = lt_plan_get(plan, &info)) return failed(status, Stage::plan);
  if (takes_images(info, options.data)) {
    if (options.confusion) {
      complain("%s: images bear no labels, without which nothing can be said of mistakes; leave out --confusion",
               options.data.c_str());
      return ExitCode::usage;
    }
    SessionPtr session;
    if (const ExitCode code = trained_session(plan, options.file, nullptr, &session); code != ExitCode::ok) return code;
    return predict_images(session.get(), info, {options.data, options.json, options.skip_bad, options.quiet});
  }
  if (*info.data == '\0') {
    complain("%s: its recipe names no kind of data: samples for it are given through the C API alone",
             options.file.c_str());
    return ExitCode::usage;
  }
  if (takes_text(info.data, options.data)) {
    SessionPtr session;
    if (const ExitCode code = trained_session(plan, options.file, nullptr, &session); code != ExitCode::ok) return code;
    const char *const hash = lt_file_text(file, "vocabulary_hash"), *const data = lt_file_text(file, "data");
    const bool synthetic = data != nullptr && std::string_view(data) == "synthetic";
    return predict_text(
        session.get(), info,
        {options.data, options.vocabulary, options.file, hash != nullptr ? hash : "", synthetic, options.json});
  }
  Samples samples;
  const lt_split split = options.split == "train" ? LT_TRAIN : LT_TEST;
  if (const lt_status status = open_samples(info.data, options.data, split, &samples)) return failed(status, Stage::data);
  if (options.confusion && !samples.labelled) {
    complain("%s: has no labels beside it, without which nothing can be said of mistakes; leave out --confusion",
             options.data.c_str());
    return ExitCode::data;
  }
  SessionPtr session;
  if (const ExitCode code = trained_session(plan, options.file, samples.dataset.get(), &session); code != ExitCode::ok)
    return code;
  if (!options.quiet)
    say("model: %s on %s, %s; data: %s, %" PRIu64 " samples", info.model, info.device, info.precision,
        samples.description.c_str(), samples.info.count);
  return predict_all(session.get(), samples, info.classes, options);
}

}  // namespace

void add_predict_command(CLI::App& app, int* exit_code) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command = app.add_subcommand("predict", "Say what a checkpoint's model makes of samples");
  command->add_option("CHECKPOINT", options->file, "As --save wrote it")->required();
  command
      ->add_option("--data", options->data,
                   "A folder as for the training, a folder of JPEG and PNG images, a file of samples (IDX images, a "
                   "CIFAR-10 batch), or a text "
                   "(- reads stdin)")
      ->type_name("DIR|FILE");
  command->add_option("--vocabulary", options->vocabulary, "For texts: the imdb-words.txt of lean-train data prepare imdb")
      ->type_name("FILE");
  const auto read_split = [options](const std::string& text) {
    if (text != "train" && text != "test") reject("--split", "one of train, test", text);
    options->split = text;
  };
  command->add_option_function<std::string>("--split", read_split, "Of a folder's data [test]")->type_name("train|test");
  command->add_flag("--confusion", options->confusion, "The confusion matrix, precision and recall instead of each sample")
      ->disable_flag_override();
  command->add_flag("--json", options->json, "One JSON object a line instead of CSV")->disable_flag_override();
  command->add_flag("--skip-bad", options->skip_bad, "Leave broken images out, and list them, instead of stopping")
      ->disable_flag_override();
  command->add_flag("--quiet", options->quiet, "Say nothing but errors and results")->disable_flag_override();
  command->add_option("--device", options->device, "Where to compute [auto]")->type_name("auto|cpu|cuda[:N]|reference");
  command->add_option("--kernels", options->kernels, "Whose code computes [auto]")
      ->type_name("auto|highway[:SET]|onednn|cudnn|own");
  command->add_option("--threads", options->threads, "Threads that compute [as many as this process may use]")
      ->type_name("N");
  command->group("Commands");
  command->footer(examples);
  command->callback([options, exit_code] { *exit_code = static_cast<int>(predict(*options)); });
}

}  // namespace lt::tool
