// Lines of a word, a tab and a count: see vocabulary.h.
#include "tools/vocabulary.h"

#include <unistd.h>

#include "tools/read_file.h"
#include "tools/replacement.h"
#include "tools/review_words.h"
#include "tools/terminal.h"

namespace lt::tool {
namespace {

constexpr uint64_t vocabulary_limit_bytes = 256 << 20;
constexpr int32_t unknown_word = 2, first_word = 4;

bool is_there(const std::string& path) { return access(path.c_str(), R_OK) == 0; }

}  // namespace

bool Vocabulary::read(const std::string& path) {
  path_ = path;
  if (!read_input(path, vocabulary_limit_bytes, &text_)) return false;
  digits_ = vocabulary_digits(text_);
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

int32_t Vocabulary::number(std::string_view word) const {
  const auto found = numbers_.find(word);
  return found == numbers_.end() ? unknown_word : found->second;
}

std::string vocabulary_beside(const std::string& checkpoint) { return checkpoint + ".words.txt"; }

std::string vocabulary_found_beside(const std::string& checkpoint) {
  if (const std::string path = vocabulary_beside(checkpoint); is_there(path)) return path;
  const size_t name = checkpoint.find_last_not_of("0123456789");
  if (name == std::string::npos || name == 0 || name + 1 == checkpoint.size() || checkpoint[name] != '.') return "";
  const std::string path = vocabulary_beside(checkpoint.substr(0, name));
  return is_there(path) ? path : "";
}

std::string vocabulary_in(const std::string& folder) {
  for (const char* below : {"/", "/aclImdb/", "/imdb/", "/imdb/aclImdb/"}) {
    const std::string path = folder + below + review_vocabulary_name;
    if (!folder.empty() && is_there(path)) return path;
  }
  return "";
}

void keep_vocabulary(const std::string& folder, const std::string& digits, const std::string& checkpoint) {
  const std::string from = vocabulary_in(folder), to = vocabulary_beside(checkpoint);
  Vocabulary words;
  if (is_there(to) && words.read(to) && words.digits() == digits) return;
  if (from.empty() || !words.read(from) || words.digits() != digits) {
    complain("%s/%s: is not there, or not of these reviews; for texts, predict will want it by --vocabulary",
             folder.c_str(), review_vocabulary_name);
    return;
  }
  Replacement file(to);
  file.write(reinterpret_cast<const uint8_t*>(words.text().data()), words.text().size());
  if (!file.good() || !file.commit()) complain("%s", file.failed().why.c_str());
}

}  // namespace lt::tool
