// lean-train data list | get | check | prepare. The trainer never uses the network; this command does. Results on stdout,
// the way there on stderr.
#include "tools/data_command.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tools/data_get.h"
#include "tools/data_reviews.h"
#include "tools/data_source.h"
#include "tools/exit_code.h"
#include "tools/handles.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

struct Arguments {
  std::string what, folder;  // of check and prepare
  std::string name, from, to;
  bool force = false;
};

std::vector<lt_dataset_kind> kinds() {
  std::vector<lt_dataset_kind> all;
  for (uint32_t i = 0; i < lt_dataset_kind_count(); ++i) {
    lt_dataset_kind kind = sized<lt_dataset_kind>();
    if (lt_dataset_kind_get(i, &kind) == LT_OK) all.push_back(kind);
  }
  return all;
}

const lt_dataset_kind* find_kind(const std::vector<lt_dataset_kind>& all, const std::string& name) {
  for (const lt_dataset_kind& kind : all) {
    if (name == kind.name) return &kind;
  }
  return nullptr;
}

// Where data is looked for if no folder is named, in this order.
std::vector<std::string> usual_folders() {
  std::vector<std::string> folders;
  if (const char* named = std::getenv("LEAN_TRAIN_DATA"); named && *named) folders.push_back(named);
  if (std::string cache = cache_folder(); !cache.empty()) folders.push_back(cache);
  return folders;
}

// The folder, out of these, that holds files of the kind; "" where none does.
std::string folder_of(const lt_dataset_kind& kind, const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    if (lt_dataset_found(kind.name, folder.c_str()) == 1) return folder;
  }
  return "";
}

std::string join(const std::vector<std::string>& words, const char* separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

struct Split {
  lt_split split;
  const char* name;
};
constexpr Split splits[] = {{LT_TRAIN, "train"}, {LT_TEST, "test"}};

constexpr uint64_t built_in_seed = 1;

lt_status open_split(const lt_dataset_kind& kind, const std::string& folder, lt_split split, DatasetPtr* dataset,
                     lt_dataset_info* info) {
  lt_dataset* raw = nullptr;
  if (const lt_status status = lt_dataset_open(kind.name, folder.c_str(), split, built_in_seed, &raw)) return status;
  dataset->reset(raw);
  *info = sized<lt_dataset_info>();
  return lt_dataset_get(raw, info);
}

ExitCode list() {
  StandardOutput out;
  const std::vector<std::string> folders = usual_folders();
  for (const lt_dataset_kind& kind : kinds()) {
    out.print("%-18s%s", kind.name, kind.title);
    if (kind.synthetic) {
      out.write("; built in\n");
      continue;
    }
    const PublishedSet* set = published_set(kind.name);
    if (set)
      out.print("; %s to fetch, %s on disk", format_bytes(set->packed_bytes()).c_str(), format_bytes(set->bytes()).c_str());
    out.write("\n");
    const std::string folder = folder_of(kind, folders);
    if (folder.empty()) {
      out.print("%-18snot found in %s", "", join(folders, " or ").c_str());
      if (set) out.print("; fetch it: lean-train data get %s", kind.name);
    } else {
      uint64_t counts[2] = {};
      lt_status status = LT_OK;
      for (const Split& split : splits) {
        DatasetPtr dataset;
        lt_dataset_info info;
        if (status == LT_OK) status = open_split(kind, folder, split.split, &dataset, &info);
        if (status == LT_OK) counts[split.split] = info.count;
      }
      if (status == LT_OK) {
        out.print("%-18sfound in %s: %s samples to train on, %s to test with", "", folder.c_str(),
                  format_count(counts[LT_TRAIN]).c_str(), format_count(counts[LT_TEST]).c_str());
      } else {
        out.print("%-18sfound in %s, but not usable: %s", "", folder.c_str(), lt_last_error());
      }
    }
    out.write("\n");
  }
  return out.close() ? ExitCode::ok : ExitCode::io;
}

std::string hex(const uint8_t (&bytes)[16]) {
  std::string text;
  for (const uint8_t byte : bytes) {
    constexpr char digits[] = "0123456789abcdef";
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string describe_sample(const lt_dataset_info& info) {
  if (info.vocabulary > 0) return format_count_of(info.height, "word") + " out of " + format_count(info.vocabulary);
  return std::to_string(info.channels) + " x " + std::to_string(info.height) + " x " + std::to_string(info.width);
}

// Opens both splits, which checks them to the last byte, and prints what they hold.
ExitCode check_kind(const lt_dataset_kind& kind, const std::string& folder, StandardOutput* out) {
  ExitCode result = ExitCode::ok;
  std::string said;  // what is missing may be missing for both splits: it is said once
  for (const Split& split : splits) {
    DatasetPtr dataset;
    lt_dataset_info info;
    uint8_t hash[16];
    lt_status status = open_split(kind, folder, split.split, &dataset, &info);
    if (status == LT_OK) status = lt_dataset_hash(dataset.get(), hash);
    if (status != LT_OK) {
      if (said != lt_last_error()) complain("%s", lt_last_error());
      said = lt_last_error();
      result = exit_code(status, Stage::data);
      continue;
    }
    out->print("%-18s%-6s%9s samples of %s, %u classes, XXH3-128 %s\n", kind.name, split.name,
               format_count(info.count).c_str(), describe_sample(info).c_str(), info.classes, hex(hash).c_str());
  }
  return result;
}

// `what` is the name of a kind or a folder, `folder` a folder or "". On failure says why, and the result is not ok.
ExitCode select(const Arguments& arguments, const std::vector<lt_dataset_kind>& all, std::vector<lt_dataset_kind>* chosen,
                std::vector<std::string>* folders) {
  const lt_dataset_kind* named = find_kind(all, arguments.what);
  std::string folder = arguments.folder;
  if (!named && !arguments.what.empty()) {
    if (!folder.empty()) {
      std::vector<std::string> names;
      for (const lt_dataset_kind& kind : all) names.push_back(kind.name);
      complain("unknown data set '%s'; there are %s", arguments.what.c_str(), join(names, ", ").c_str());
      return ExitCode::usage;
    }
    folder = arguments.what;
  }
  *folders = folder.empty() ? usual_folders() : std::vector<std::string>{folder};
  if (named) {
    *chosen = {*named};
    return ExitCode::ok;
  }
  for (const lt_dataset_kind& kind : all) {
    const bool found = !folder_of(kind, *folders).empty();
    if (kind.synthetic ? folder.empty() : found) chosen->push_back(kind);
  }
  if (chosen->empty()) {
    complain("%s: holds no data set that is known; lean-train data list names them", folder.c_str());
    return ExitCode::data;
  }
  return ExitCode::ok;
}

ExitCode check(const Arguments& arguments) {
  const std::vector<lt_dataset_kind> all = kinds();
  std::vector<lt_dataset_kind> chosen;
  std::vector<std::string> folders;
  ExitCode result = select(arguments, all, &chosen, &folders);
  if (result != ExitCode::ok) return result;
  StandardOutput out;
  for (const lt_dataset_kind& kind : chosen) {
    std::string folder = folder_of(kind, folders);
    // Nowhere: opening the likeliest place says what is missing.
    if (folder.empty() && !folders.empty()) folder = folders.back();
    if (const ExitCode checked = check_kind(kind, folder, &out); checked != ExitCode::ok) result = checked;
  }
  if (!out.close()) return ExitCode::io;
  return result;
}

}  // namespace

ExitCode exit_code_of(const Fetched& fetched) {
  switch (fetched.result) {
    case Fetched::ok: return ExitCode::ok;
    case Fetched::wrong_bytes: return ExitCode::data;
    case Fetched::unreachable:
    case Fetched::local: return ExitCode::io;
  }
  return ExitCode::internal;
}

// Lines of progress on a terminal alone.
DataGetEvents events_on_terminal() {
  const bool live = is_live_terminal(2);
  DataGetEvents events;
  events.say = [](const std::string& line) { say("%s", line.c_str()); };
  events.draw = [live](const std::string& line) {
    if (live) draw_live_line(line.c_str());
  };
  events.progress = [draw = events.draw](const std::string& name, uint64_t bytes, uint64_t of_bytes) {
    draw(name + "  " + format_bytes(bytes) + " of " + format_bytes(of_bytes));
  };
  return events;
}

Fetched prepare_texts_once(const std::string& kind, std::string* data, bool quiet) {
  const PublishedSet* const set = published_set(kind);
  if (set == nullptr || !set->made_of_texts) return {};
  std::string folder = data_folder(kind, *data);
  if (folder.empty()) return {};
  const std::string cache = cache_folder(), before = folder;
  DataGetEvents events = events_on_terminal();
  if (quiet) {
    events.say = events.draw = [](const std::string&) {};
    events.progress = [](const std::string&, uint64_t, uint64_t) {};
  }
  Fetched result = prepare_reviews_once(*set, cache.empty() ? "" : cache + "/" + set->folder, events, &folder);
  clear_live_line();
  if (folder != before) *data = folder;
  if (result.result != Fetched::ok) complain("%s", result.why.c_str());
  return result;
}

namespace {

ExitCode get(const Arguments& arguments) {
  const std::vector<lt_dataset_kind> all = kinds();
  const PublishedSet* set = published_set(arguments.name);
  if (!set) {
    const lt_dataset_kind* kind = find_kind(all, arguments.name);
    if (kind) {
      complain("%s %s: there is nothing to fetch", kind->name, kind->synthetic ? "is built in" : "are files of your own");
    } else {
      complain("unknown data set '%s'; what can be fetched: %s", arguments.name.c_str(), published_names().c_str());
    }
    return ExitCode::usage;
  }
  DataGet what = {set, arguments.from, arguments.to, arguments.force};
  while (what.from.size() > 1 && what.from.back() == '/') what.from.pop_back();
  if (what.to.empty()) {
    const std::string cache = cache_folder();
    if (cache.empty()) {
      complain("there is no cache folder, as neither XDG_CACHE_HOME nor HOME is set; name a folder with --to");
      return ExitCode::usage;
    }
    what.to = cache + "/" + set->folder;
  }
  const Fetched fetched = get_data(what, events_on_terminal());
  if (is_live_terminal(2)) clear_live_line();
  if (fetched.result != Fetched::ok) {
    complain("%s", fetched.why.c_str());
    return exit_code_of(fetched);
  }
  StandardOutput out;
  out.print("%s: %zu files in %s\n", set->name, set->file_count, what.to.c_str());
  return out.close() ? ExitCode::ok : ExitCode::io;
}

// The folders under `folder` in which a set may lie, as the library looks for it.
std::vector<std::string> places_in(const std::string& folder, const PublishedSet& set) {
  std::vector<std::string> places;
  for (const std::string& below :
       {std::string(""), "/" + std::string(set.folder), std::string("/MNIST"), std::string("/MNIST/raw"),
        std::string("/raw"), std::string("/cifar10"), std::string("/imdb"), std::string("/imdb/aclImdb")}) {
    places.push_back(folder + below);
  }
  return places;
}

ExitCode prepare(const Arguments& arguments) {
  const std::vector<lt_dataset_kind> all = kinds();
  std::vector<lt_dataset_kind> chosen;
  std::vector<std::string> folders;
  if (const ExitCode result = select(arguments, all, &chosen, &folders); result != ExitCode::ok) return result;
  StandardOutput out;
  for (const lt_dataset_kind& kind : chosen) {
    const PublishedSet* set = published_set(kind.name);
    const std::string folder = folder_of(kind, folders);
    if (kind.synthetic || !set) {
      if (!arguments.what.empty()) out.print("%s: nothing to prepare\n", kind.name);
      continue;
    }
    if (folder.empty()) {
      complain("%s: holds no files of %s; fetch them with lean-train data get %s", join(folders, ", ").c_str(), kind.name,
               kind.name);
      return ExitCode::data;
    }
    if (set->made_of_texts) {
      const std::string cache = cache_folder();
      std::string line;
      const Fetched result = prepare_reviews(*set, places_in(folder, *set), cache.empty() ? "" : cache + "/" + set->folder,
                                             events_on_terminal(), &line);
      if (is_live_terminal(2)) clear_live_line();
      if (result.result != Fetched::ok) {
        complain("%s", result.why.c_str());
        return exit_code_of(result);
      }
      out.print("%s: %s\n", kind.name, line.c_str());
      continue;
    }
    unsigned count = 0;
    for (const std::string& place : places_in(folder, *set)) {
      if (lt_dataset_found(kind.name, place.c_str()) != 1) continue;
      unsigned unpacked = 0;
      std::string foreign;
      const Fetched result = prepare_data(*set, place, &unpacked, &foreign);
      if (result.result != Fetched::ok) {
        complain("%s", result.why.c_str());
        return exit_code_of(result);
      }
      if (unpacked > 0)
        out.print("%s: %s unpacked in %s\n", kind.name, format_count_of(unpacked, "file").c_str(), place.c_str());
      if (!foreign.empty()) say("not the published bytes, but used as they are: %s", foreign.c_str());
      count += unpacked;
    }
    if (count == 0) out.print("%s: nothing to prepare in %s\n", kind.name, folder.c_str());
  }
  return out.close() ? ExitCode::ok : ExitCode::io;
}

}  // namespace

void add_data_command(CLI::App& app, int* exit_code) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* const data = app.add_subcommand("data", "List, fetch, check and prepare data sets");
  data->group("Commands");
  data->require_subcommand(1);
  data->footer(
      "Examples:\n"
      "  lean-train data list\n"
      "  lean-train data get mnist                   into the cache folder, where training looks for it\n"
      "  lean-train data get mnist --to ./mnist      train with: lean-train mnist --data ./mnist\n"
      "  lean-train data get cifar10\n"
      "  lean-train data prepare imdb ./aclImdb      the words of raw film reviews, numbered\n"
      "  lean-train data check ./mnist\n");
  const auto add = [&](const char* name, const char* description, ExitCode (*run)(const Arguments&)) {
    CLI::App* const command = data->add_subcommand(name, description);
    command->callback([arguments, exit_code, run] { *exit_code = static_cast<int>(run(*arguments)); });
    return command;
  };

  add("list", "List the data sets and where they are", [](const Arguments&) { return list(); });

  CLI::App* const get_command =
      add("get", "Fetch a data set by curl or wget, checked against the publishers' SHA-256", get);
  get_command->add_option("NAME", arguments->name, "The data set, such as mnist")->required();
  get_command
      ->add_option("--from", arguments->from,
                   "A folder with the publishers' files, or the URL of one, instead of the mirrors")
      ->type_name("DIR|URL");
  get_command->add_option("--to", arguments->to, "Where to put the files (default: the cache folder)")->type_name("DIR");
  get_command->add_flag("--force", arguments->force, "Replace files that are there and are not the published ones");

  for (CLI::App* const command :
       {add("check", "Read data sets to the last byte and label, and print counts and hashes", check),
        add("prepare", "Unpack what is still packed, and number the words of texts", prepare)}) {
    command->add_option("WHAT", arguments->what, "The name of a data set, or a folder (default: all that are found)");
    command->add_option("DIR", arguments->folder, "The folder, where WHAT is a name");
  }
}

}  // namespace lt::tool
