#include "tools/predict_text.h"

#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "tools/data_source.h"
#include "tools/keras_words.h"
#include "tools/read_file.h"
#include "tools/review_words.h"
#include "tools/terminal.h"
#include "tools/vocabulary.h"

namespace lt::tool {
namespace {

constexpr uint64_t text_limit_bytes = 16 << 20;
constexpr int32_t start_of_review = 1, unknown_word = 2;

// Given, or beside the checkpoint, or beside the reviews where a training would look for them.
bool find_vocabulary(const TextOptions& options, Vocabulary* vocabulary) {
  if (!options.vocabulary.empty()) return vocabulary->read(options.vocabulary);
  std::string path = vocabulary_found_beside(options.checkpoint);
  if (path.empty()) path = vocabulary_in(data_folder("imdb", ""));
  if (!path.empty()) return vocabulary->read(path);
  complain(
      "the numbers of the words are not known: give the %s that lean-train data prepare imdb writes, with --vocabulary",
      review_vocabulary_name);
  return false;
}

// Whether these are the words that the model was trained on.
bool is_the_models(const TextOptions& options, const Vocabulary& vocabulary) {
  if (options.vocabulary_hash.empty()) {
    complain("%s: does not say which words it was trained on; those of %s may be others", options.checkpoint.c_str(),
             vocabulary.path().c_str());
    return true;
  }
  if (options.vocabulary_hash == vocabulary.digits()) return true;
  complain(
      "%s: is another vocabulary than that of %s: XXH3-128 %s, the model was trained on %s; give the %s of its data, with "
      "--vocabulary",
      vocabulary.path().c_str(), options.checkpoint.c_str(), vocabulary.digits().c_str(), options.vocabulary_hash.c_str(),
      review_vocabulary_name);
  return false;
}

}  // namespace

bool takes_text(const std::string& kind, const std::string& data) {
  struct stat state {};
  return kind == "imdb" && (data == "-" || (!data.empty() && (stat(data.c_str(), &state) != 0 || !S_ISDIR(state.st_mode))));
}

ExitCode predict_text(lt_session* session, const lt_plan_info& info, const TextOptions& options) {
  Vocabulary vocabulary;
  std::string text;
  if (options.synthetic) {
    complain("%s: was trained on the built-in reviews, which are made of numbers: no text can be told in them",
             options.checkpoint.c_str());
    return ExitCode::data;
  }
  if (!find_vocabulary(options, &vocabulary) || !is_the_models(options, vocabulary) ||
      !read_input(options.data, text_limit_bytes, &text))
    return ExitCode::data;

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
    complain("%s: holds no words", options.data == "-" ? "stdin" : options.data.c_str());
    return ExitCode::data;
  }
  if (words.size() > info.height) words.erase(words.begin(), words.end() - info.height);
  words.resize(info.height, 0);
  float probabilities[2];
  if (const lt_status status = lt_session_predict(session, words.data(), 1, probabilities, 2)) {
    complain("%s", lt_last_error());
    return exit_code(status, Stage::training);
  }

  const bool positive = probabilities[1] >= probabilities[0];
  const char* const label = positive ? "positive" : "negative";
  const double probability = static_cast<double>(probabilities[positive ? 1 : 0]);
  StandardOutput out;
  if (options.json) {
    out.print("%s\n",
              nlohmann::json{{"label", label}, {"probability", probability}, {"words", count}, {"unknown_words", unknown}}
                  .dump()
                  .c_str());
  } else {
    out.print("%s %.4f\n", label, probability);
  }
  return out.close() ? ExitCode::ok : ExitCode::io;
}

}  // namespace lt::tool
