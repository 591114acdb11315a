#include "tools/predict_text.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tools/data_source.h"
#include "tools/keras_words.h"
#include "tools/read_file.h"
#include "tools/review_words.h"
#include "tools/terminal.h"

namespace lt::tool {
namespace {

constexpr uint64_t text_limit_bytes = 16 << 20, vocabulary_limit_bytes = 256 << 20;
constexpr int32_t start_of_review = 1, unknown_word = 2, first_word = 4;

// The first `most` bytes. False, the reason said.
bool read_bytes(const std::string& path, uint64_t most, std::string* bytes) {
  const int error = read_file(path, most, bytes);
  if (error != 0) complain("cannot read %s: %s", path.c_str(), std::strerror(error));
  return error == 0;
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
bool find_vocabulary(const TextOptions& options, Vocabulary* vocabulary) {
  if (!options.vocabulary.empty()) return vocabulary->read(options.vocabulary);
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

}  // namespace

bool takes_text(const std::string& kind, const std::string& data) {
  struct stat state {};
  return kind == "imdb" && (data == "-" || (!data.empty() && (stat(data.c_str(), &state) != 0 || !S_ISDIR(state.st_mode))));
}

ExitCode predict_text(lt_session* session, const lt_plan_info& info, const TextOptions& options) {
  Vocabulary vocabulary;
  std::string text;
  if (!find_vocabulary(options, &vocabulary) || !read_bytes(options.data, text_limit_bytes, &text)) return ExitCode::data;

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
