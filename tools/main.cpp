// The program lean-train: reads the command line and hands over to a command. Errors of usage end here, as one sentence.
#include <CLI/CLI.hpp>
#include <exception>
#include <new>

#include "tools/commands.h"
#include "tools/completion.h"
#include "tools/data_command.h"
#include "tools/exit_code.h"
#include "tools/help.h"
#include "tools/process_clock.h"
#include "tools/signals.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

constexpr int usage = static_cast<int>(ExitCode::usage);

constexpr const char* examples =
    "Examples:\n"
    "  lean-train mnist                      train a digit classifier; needs no files\n"
    "  lean-train mnist --plan               see its memory, to the byte, before it starts\n"
    "  lean-train cifar10                    train a classifier of colour pictures\n"
    "  lean-train rnn                        time a recurrent network\n"
    "  lean-train resnet50                   compute features of pictures\n"
    "  lean-train mnist --help               every option of a training\n"
    "  lean-train predict FILE               what a trained model makes of samples\n"
    "  lean-train devices                    what this machine can compute on\n";

std::string join_names(const std::vector<std::string>& names) { return CLI::detail::join(names, ", "); }

// "--save" and "--save=x" are one word to a reader.
std::string option_word(const std::string& argument) { return argument.substr(0, argument.find('=')); }

std::string command_path(const CLI::App& app, const CLI::App& command) {
  return &command == &app ? "lean-train" : command_path(app, *command.get_parent()) + " " + command.get_name();
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* const sub : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  return names;
}

// One sentence about arguments that no option or command takes.
void complain_of_leftovers(const CLI::App& app, const CLI::App& command, const std::string& argument) {
  const std::string path = command_path(app, command), word = option_word(argument);
  const bool is_option = argument.starts_with("-");
  const std::vector<std::string> commands = command_names(command);
  std::vector<std::string> words;
  for (const CLI::Option* const option : command.get_options())
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  const std::string meant = closest_word(word, is_option ? words : commands);
  const std::string hint = meant.empty() ? "" : "did you mean " + meant + "? ";
  if (is_option) {
    complain("unknown option %s; %s%s --help lists the options", word.c_str(), hint.c_str(), path.c_str());
  } else if (!commands.empty()) {
    complain("unknown command '%s'; %sthe commands of %s are %s", word.c_str(), hint.c_str(), path.c_str(),
             join_names(commands).c_str());
  } else {
    complain("unexpected argument '%s'; %s --help shows what is taken", argument.c_str(), path.c_str());
  }
}

// CLI11's sentences about the number of values, in plainer words.
void complain_of(const CLI::ParseError& error, const CLI::App& command, const std::string& path) {
  const std::string text = error.what(), name = text.substr(0, text.find_first_of(": "));
  const std::vector<std::string> commands = command_names(command);
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && !commands.empty()) {
    complain("%s needs a command: %s", path.c_str(), join_names(commands).c_str());
  } else if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) == nullptr) {
    complain("%s (%s --help)", text.c_str(), path.c_str());
  } else if (text.find("flag override") != std::string::npos) {
    complain("--%s takes no value (%s --help)", name.c_str(), path.c_str());
  } else if (text.find("At Most") != std::string::npos) {
    complain("%s was given more than once (%s --help)", name.c_str(), path.c_str());
  } else {
    complain("%s needs a value (%s --help)", name.c_str(), path.c_str());
  }
}

// The innermost command that the line got to.
const CLI::App& reached(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().back();
  return *command;
}

int run(int argc, char** argv) {
  int exit_status = 0;
  CLI::App app("Trains small neural networks in a memory block known to the byte before the first step.", "lean-train");
  app.set_version_flag("--version", std::string("lean-train ") + lt_build_info(), "Print the version and stop");
  app.footer(examples);
  app.formatter(help_formatter());
  app.require_subcommand(0, 1);  // the name of a data set is no second command
  add_mnist_command(app, &exit_status);
  add_cifar10_command(app, &exit_status);
  add_imdb_command(app, &exit_status);
  add_rnn_command(app, &exit_status);
  add_resnet50_command(app, &exit_status);
  add_predict_command(app, &exit_status);
  add_train_command(app, &exit_status);
  add_inspect_command(app, &exit_status);
  add_export_command(app, &exit_status);
  add_devices_command(app, &exit_status);
  add_bench_command(app, &exit_status);
  add_compare_command(app, &exit_status);
  add_report_command(app, &exit_status);
  add_selftest_command(app, &exit_status);
  add_data_command(app, &exit_status);
  add_completion_command(app, &exit_status);
  if (const int answered = answer_completion(app, argc, argv); answered >= 0) return answered;
  StandardOutput out;
  try {
    if (argc < 2) {
      complain("a command is needed, such as lean-train mnist; lean-train --help lists them");
      return usage;
    }
    for (int i = 1; i < argc; ++i) {  // CLI11 would take the next argument for the value
      const std::string_view argument(argv[i]);
      if (!argument.starts_with("--") || argument.find('=') != argument.size() - 1) continue;
      complain("%s needs a value after the equals sign", option_word(argv[i]).c_str());
      return usage;
    }
    app.parse(argc, argv);
    return exit_status;
  } catch (const CLI::CallForHelp&) {
    out.write(app.help());
  } catch (const CLI::CallForVersion& version) {
    out.write(std::string(version.what()) + "\n");
  } catch (const CLI::ParseError& error) {
    const CLI::App& command = reached(app);
    const std::vector<std::string> leftovers = command.remaining();
    if (!leftovers.empty()) {
      complain_of_leftovers(app, command, leftovers[0]);
    } else {
      complain_of(error, command, command_path(app, command));
    }
    return usage;
  }
  return static_cast<int>(out.close() ? ExitCode::ok : ExitCode::io);
}

}  // namespace
}  // namespace lt::tool

int main(int argc, char** argv) {
  using namespace lt::tool;
  mark_process_start();
  prepare_streams();
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    complain("the system refused memory");
    return static_cast<int>(ExitCode::memory);
  } catch (const std::exception& error) {
    complain("internal error: %s; please report it", error.what());
    return static_cast<int>(ExitCode::internal);
  }
}
