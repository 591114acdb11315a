// The formatter of --help. Set-up only.
#include "tools/help.h"

#include <CLI/CLI.hpp>
#include <string>

namespace lt::tool {
namespace {

constexpr size_t line_columns = 100, description_column = 34;

// `text` in lines that end before line_columns, the second and later ones moved to description_column.
std::string wrapped(const std::string& text) {
  std::string lines;
  size_t column = description_column;
  for (const std::string& word : CLI::detail::split(text, ' ')) {
    if (column > description_column && column + 1 + word.size() > line_columns) {
      lines += "\n" + std::string(description_column, ' ');
      column = description_column;
    } else if (column > description_column) {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += word.size();
  }
  return lines;
}

class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() {
    column_width(description_column);
    label("SUBCOMMAND", "COMMAND");
    label("Positionals", "Arguments");
  }

  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 || option->get_positional() ? "" : " " + option->get_type_name();
  }

  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    return entry(make_option_name(option, is_positional) + make_option_opts(option), make_option_desc(option));
  }

  std::string make_subcommand(const CLI::App* command) const override {
    return entry(command->get_name(), command->get_description());
  }

  // CLI11 puts blank lines before and after every group: one is enough.
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    std::string text = CLI::Formatter::make_help(app, name, mode);
    for (size_t at = text.find("\n\n\n"); at != std::string::npos; at = text.find("\n\n\n", at)) text.erase(at, 1);
    return text;
  }

 private:
  static std::string entry(const std::string& name, const std::string& description) {
    std::string text = "  " + name;
    if (text.size() + 2 > description_column) {
      text += "\n" + std::string(description_column, ' ');
    } else {
      text.resize(description_column, ' ');
    }
    return text + wrapped(description) + "\n";
  }
};

}  // namespace

std::shared_ptr<CLI::Formatter> help_formatter() { return std::make_shared<HelpFormatter>(); }

}  // namespace lt::tool
