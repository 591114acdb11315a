// The search for data. Set-up only.
#include "tools/data_source.h"

#include <algorithm>
#include <cstdlib>

namespace lt::tool {
namespace {

// Built-in data is one fixed set, as a downloaded one would be: --seed changes the training, not the data.
constexpr uint64_t synthetic_seed = 1;

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

bool find_kind(const std::string& name, lt_dataset_kind* kind) {
  for (uint32_t index = 0; index < lt_dataset_kind_count(); ++index) {
    *kind = sized<lt_dataset_kind>();
    if (lt_dataset_kind_get(index, kind) == LT_OK && name == kind->name) return true;
  }
  return false;
}

// "synthetic-digits" is "synthetic digits" to people.
std::string spoken(std::string name) {
  std::replace(name.begin(), name.end(), '-', ' ');
  return name;
}

std::string first_word(const std::string& title) { return title.substr(0, title.find(' ')); }

}  // namespace

std::string cache_folder() {
  if (const std::string cache = environment("XDG_CACHE_HOME"); !cache.empty() && cache[0] == '/')
    return cache + "/lean-train";
  if (const std::string home = environment("HOME"); !home.empty()) return home + "/.cache/lean-train";
  return "";
}

std::string data_folder(const std::string& kind_name, const std::string& given) {
  if (!given.empty()) return given;
  for (const std::string& candidate : {environment("LEAN_TRAIN_DATA"), cache_folder()})
    if (!candidate.empty() && lt_dataset_found(kind_name.c_str(), candidate.c_str()) == 1) return candidate;
  return "";
}

lt_status open_data(const std::string& kind_name, const std::string& given, DataSource* source) {
  lt_dataset_kind kind;
  std::string opened = kind_name, folder = given;
  // A kind that the table does not list goes to lt_dataset_open all the same: its error says which there are.
  if (find_kind(kind_name, &kind)) {
    if (kind.synthetic) {
      folder.clear();
      source->description = spoken(kind.name) + " (built in)";
    } else if (given.empty()) {
      folder = data_folder(kind.name, given);
      if (folder.empty() && *kind.stand_in != '\0') {
        opened = kind.stand_in;
        source->description =
            spoken(kind.stand_in) + " (built in); " + first_word(kind.title) + ": lean-train data get " + kind.name;
      }
    }
  }
  if (source->description.empty()) source->description = opened + " in " + folder;
  source->folder = folder;
  const auto open = [&](lt_split split, DatasetPtr* dataset, lt_dataset_info* info) {
    lt_dataset* raw = nullptr;
    if (const lt_status status = lt_dataset_open(opened.c_str(), folder.c_str(), split, synthetic_seed, &raw))
      return status;
    dataset->reset(raw);
    *info = sized<lt_dataset_info>();
    return lt_dataset_get(raw, info);
  };
  if (const lt_status status = open(LT_TRAIN, &source->train, &source->train_info)) return status;
  return open(LT_TEST, &source->test, &source->test_info);
}

}  // namespace lt::tool
