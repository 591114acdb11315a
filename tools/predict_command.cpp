// lean-train predict: what a trained model of film reviews says of a text.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tools/commands.h"
#include "tools/data_source.h"
#include "tools/exit_code.h"
#include "tools/handles.h"
#include "tools/json_record.h"
#include "tools/keras_words.h"
#include "tools/review_words.h"
#include "tools/terminal.h"

namespace lt::tool {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  lean-train imdb --data aclImdb --save reviews.safetensors\n"
    "  lean-train predict reviews.safetensors --data review.txt --vocabulary aclImdb/imdb-words.txt\n"
    "  lean-train predict reviews.safetensors --data - < review.txt\n";

constexpr uint64_t text_limit_bytes = 16 << 20, vocabulary_limit_bytes = 256 << 20, header_limit_bytes = 1 << 20;
constexpr int32_t start_of_review = 1, unknown_word = 2, first_word = 4;

struct Arguments {
  std::string weights, data, vocabulary, device;
  bool json = false;
};

// The first `most` bytes of a file, or of stdin for "-". False, the reason said.
bool read_bytes(const std::string& path, uint64_t most, std::string* bytes) {
  const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  int error = fd < 0 ? errno : 0;
  char part[65536];
  while (error == 0 && bytes->size() < most) {
    const ssize_t got = read(fd, part, std::min<uint64_t>(sizeof part, most - bytes->size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error = errno;
    if (got <= 0) break;
    bytes->append(part, static_cast<size_t>(got));
  }
  if (fd > STDIN_FILENO) close(fd);
  if (error != 0) complain("cannot read %s: %s", path.c_str(), std::strerror(error));
  return error == 0;
}

// Metadata "model" of a safetensors file: its length in 8 bytes, then JSON.
bool read_model(const std::string& path, std::string* model) {
  std::string head;
  if (!read_bytes(path, 8 + header_limit_bytes, &head)) return false;
  uint64_t header_bytes = 0;
  if (head.size() >= 8) std::memcpy(&header_bytes, head.data(), 8);
  if (head.size() >= 8 && header_bytes <= head.size() - 8) {
    const nlohmann::json header =
        nlohmann::json::parse(head.begin() + 8, head.begin() + 8 + static_cast<ptrdiff_t>(header_bytes), nullptr, false);
    if (header.is_object() && header.contains("__metadata__") && header["__metadata__"].is_object())
      *model = header["__metadata__"].value("model", "");
  }
  if (*model == "imdb" || *model == "imdb/padding-none") return true;
  complain("%s: %s; predict takes the weights of a model of film reviews, which lean-train imdb --save writes",
           path.c_str(),
           model->empty() ? "names no model, or is no safetensors file" : ("is of the model " + *model).c_str());
  return false;
}

// The numbers of the words, as `data prepare` gave them.
class Vocabulary {
 public:
  bool read(const std::string& path) {
    if (!read_bytes(path, vocabulary_limit_bytes, &text_)) return false;
    int32_t number = first_word;
    for (size_t begin = 0; begin < text_.size() && number < static_cast<int32_t>(review_vocabulary); ++number) {
      const size_t tab = text_.find('\t', begin), end = text_.find('\n', begin);
      if (tab == std::string::npos || end == std::string::npos || tab > end || tab == begin) {
        complain("%s, line %d: expected a word, a tab and its count; make it again with lean-train data prepare imdb",
                 path.c_str(), number - first_word + 1);
        return false;
      }
      numbers_.emplace(std::string_view(text_).substr(begin, tab - begin), number);
      begin = end + 1;
    }
    if (numbers_.empty()) complain("%s: holds no words", path.c_str());
    return !numbers_.empty();
  }
  int32_t number(std::string_view word) const {
    const auto found = numbers_.find(word);
    return found == numbers_.end() ? unknown_word : found->second;
  }

 private:
  std::string text_;  // which the keys lie in
  std::unordered_map<std::string_view, int32_t> numbers_;
};

// Given, or beside the reviews where a training would look for them.
bool find_vocabulary(const Arguments& arguments, Vocabulary* vocabulary) {
  if (!arguments.vocabulary.empty()) return vocabulary->read(arguments.vocabulary);
  const std::string folder = data_folder("imdb", "");
  for (const char* below : {"/", "/aclImdb/", "/imdb/", "/imdb/aclImdb/"}) {
    const std::string path = folder + below + review_vocabulary_name;
    if (!folder.empty() && access(path.c_str(), R_OK) == 0) return vocabulary->read(path);
  }
  complain(
      "the numbers of the words are not known: give the %s that lean-train data prepare imdb writes, with --vocabulary",
      review_vocabulary_name);
  return false;
}

ExitCode failed(lt_status status, Stage stage) {
  complain("%s", lt_last_error());
  return exit_code(status, stage);
}

ExitCode predict(const Arguments& arguments) {
  std::string model, text;
  Vocabulary vocabulary;
  if (!read_model(arguments.weights, &model)) return ExitCode::weights;
  if (!find_vocabulary(arguments, &vocabulary) || !read_bytes(arguments.data, text_limit_bytes, &text))
    return ExitCode::data;

  lt_config config;
  lt_config_init(&config);
  config.recipe = model.c_str();
  config.batch = 1;
  if (!arguments.device.empty()) config.device = arguments.device.c_str();
  lt_plan* raw_plan = nullptr;
  if (const lt_status status = lt_plan_create(&config, &raw_plan)) return failed(status, Stage::plan);
  const PlanPtr plan(raw_plan);
  lt_plan_info info = sized<lt_plan_info>();
  if (const lt_status status = lt_plan_get(raw_plan, &info)) return failed(status, Stage::plan);
  lt_session* raw_session = nullptr;
  if (const lt_status status = lt_session_create(raw_plan, nullptr, 0, &raw_session)) return failed(status, Stage::session);
  const SessionPtr session(raw_session);
  if (const lt_status status = lt_session_load_weights(raw_session, arguments.weights.c_str(), nullptr))
    return failed(status, Stage::weights);

  // The last words, zeros behind fewer: as the reviews that the model was trained on.
  KerasWords splitter;
  std::vector<int32_t> words = {start_of_review};
  uint64_t unknown = 0;
  for (const std::string_view word : splitter.split(text)) {
    words.push_back(vocabulary.number(word));
    unknown += words.back() == unknown_word;
  }
  const uint64_t count = words.size() - 1;
  if (count == 0) {
    complain("%s: holds no words", arguments.data == "-" ? "stdin" : arguments.data.c_str());
    return ExitCode::data;
  }
  if (words.size() > info.height) words.erase(words.begin(), words.end() - info.height);
  words.resize(info.height, 0);
  float probabilities[2];
  if (const lt_status status = lt_session_predict(raw_session, words.data(), 1, probabilities, 2))
    return failed(status, Stage::training);

  const bool positive = probabilities[1] >= probabilities[0];
  const char* const label = positive ? "positive" : "negative";
  const double probability = static_cast<double>(probabilities[positive ? 1 : 0]);
  StandardOutput out;
  if (arguments.json) {
    out.print("%s\n",
              nlohmann::json{{"label", label}, {"probability", probability}, {"words", count}, {"unknown_words", unknown}}
                  .dump()
                  .c_str());
  } else {
    out.print("%s %.4f\n", label, probability);
  }
  return out.close() ? ExitCode::ok : ExitCode::io;
}

}  // namespace

void add_predict_command(CLI::App& app, int* exit_code) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* const command = app.add_subcommand("predict", "Say whether a film review is positive or negative");
  command->add_option("WEIGHTS", arguments->weights, "What lean-train imdb --save wrote")->required();
  command->add_option("--data", arguments->data, "A text file (- reads stdin)")->required()->type_name("FILE");
  command->add_option("--vocabulary", arguments->vocabulary, "The imdb-words.txt of lean-train data prepare imdb")
      ->type_name("FILE");
  command->add_option("--device", arguments->device, "auto, cpu or reference [auto]")->type_name("DEVICE");
  command->add_flag("--json", arguments->json, "One JSON object on stdout");
  command->group("Commands");
  command->footer(examples);
  command->callback([arguments, exit_code] { *exit_code = static_cast<int>(predict(*arguments)); });
}

}  // namespace lt::tool
