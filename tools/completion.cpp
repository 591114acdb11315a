// What a word can become. See completion.h.
#include "tools/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "tools/terminal.h"
#include "tools/what.h"

namespace lt::tool {
namespace {

using Words = std::vector<std::string>;

constexpr const char* files = ":files";
constexpr const char* folders = ":folders";

const CLI::Option* find_option(const CLI::App& command, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  for (const CLI::Option* const option : command.get_options())
    if (option->check_name(name)) return option;
  return nullptr;
}

const CLI::App* find_command(const CLI::App& command, const std::string& word) {
  for (const CLI::App* const sub : command.get_subcommands([](const CLI::App*) { return true; }))
    if (sub->get_name() == word) return sub;
  return nullptr;
}

bool takes_value(const CLI::Option* option) { return option != nullptr && option->get_type_size() != 0; }

// By what --help shows of it: "auto|cpu|cuda[:N]" are words, those of "fp32|bf16,..." may be several, by commas.
Words values_of(const CLI::Option& option) {
  std::string type = option.get_type_name();
  if (type == "FILE" || type == "DIR|FILE") return {files};
  if (type == "DIR") return {folders};
  if (const size_t list = type.rfind(",..."); list != std::string::npos) type.resize(list);
  if (type.find('|') == std::string::npos) return {};
  Words words;
  for (const std::string& word : CLI::detail::split(type, '|')) words.push_back(word.substr(0, word.find('[')));
  return words;
}

// The words that begin like `begun`, with `kept` in front.
void add_matching(const Words& from, const std::string& begun, const std::string& kept, Words* to) {
  for (const std::string& word : from)
    if (word.starts_with(':') || word.starts_with(begun)) to->push_back(word.starts_with(':') ? word : kept + word);
}

Words complete_value(const CLI::Option& option, const std::string& begun, const std::string& kept) {
  const bool is_list = option.get_type_name().ends_with(",...");
  const size_t comma = is_list ? begun.rfind(',') : std::string::npos;
  const size_t last = comma == std::string::npos ? 0 : comma + 1;
  Words found;
  add_matching(values_of(option), begun.substr(last), kept + begun.substr(0, last), &found);
  return found;
}

Words values_of_argument(const CLI::App& command) {
  Words words;
  for (const CLI::Option* const option : command.get_options()) {
    if (!option->get_positional()) continue;
    const std::string name = option->get_single_name();
    const bool of_data = command.get_parent() != nullptr && command.get_parent()->get_name() == "data";
    if (name == "WHAT" && of_data) {
      words = {folders};
    } else if (name == "WHAT" || name == "RECIPE") {
      words = what_names();
      words.push_back(files);
    } else if (!values_of(*option).empty()) {
      words = values_of(*option);
    } else if (name == "CHECKPOINT" || name == "FILE" || name == "RUN.jsonl") {
      words = {files};
    }
  }
  return words;
}

}  // namespace

std::vector<std::string> completions(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  const CLI::Option* open = nullptr;  // waits for its value
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "=") continue;  // a word of its own to bash
    if (open != nullptr) {
      open = nullptr;
    } else if (words[i].starts_with("-")) {
      const CLI::Option* const option = find_option(*command, words[i]);
      if (takes_value(option) && words[i].find('=') == std::string::npos) open = option;
    } else if (const CLI::App* const sub = find_command(*command, words[i]); sub != nullptr) {
      command = sub;
    }
  }
  const std::string begun = words.empty() || words.back() == "=" ? "" : words.back();
  if (open != nullptr) return complete_value(*open, begun, "");
  Words found;
  if (begun.starts_with("-")) {
    const size_t equals = begun.find('=');
    if (equals != std::string::npos) {
      const CLI::Option* const option = find_option(*command, begun);
      return takes_value(option) ? complete_value(*option, begun.substr(equals + 1), begun.substr(0, equals + 1)) : found;
    }
    for (const CLI::Option* const option : command->get_options())
      for (const std::string& name : option->get_lnames()) add_matching({"--" + name}, begun, "", &found);
    return found;
  }
  Words names;
  for (const CLI::App* const sub : command->get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  add_matching(names.empty() ? values_of_argument(*command) : names, begun, "", &found);
  return found;
}

int answer_completion(const CLI::App& app, int argc, char** argv) {
  if (argc < 3 || std::string(argv[1]) != "completion" || std::string(argv[2]) != "words") return -1;
  StandardOutput out;
  for (const std::string& word : completions(app, {argv + 3, argv + argc})) out.write(word + "\n");
  return out.close() ? 0 : 1;
}

}  // namespace lt::tool
