// lean-train completion SHELL: the script by which a shell completes our command lines. The scripts know no option: they
// ask the program (completion.h).
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/completion.h"
#include "tools/exit_code.h"
#include "tools/option_words.h"
#include "tools/terminal.h"

namespace lt::tool {
namespace {

constexpr const char* bash = R"(# bash completion of lean-train; in ~/.bashrc: source <(lean-train completion bash)
_lean_train() {
  local current=${COMP_WORDS[COMP_CWORD]} line
  [ "$current" = "=" ] && current=
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :files) compopt -o filenames; while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current") ;;
      :folders) compopt -o filenames; while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -d -- "$current") ;;
      *) COMPREPLY+=("$line") ;;
    esac
  done < <("${COMP_WORDS[0]}" completion words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _lean_train lean-train
)";

constexpr const char* zsh = R"(#compdef lean-train
# zsh completion of lean-train; in ~/.zshrc, after compinit: source <(lean-train completion zsh)
_lean_train() {
  local line result=1
  local -a found
  for line in "${(@f)$("${words[1]}" completion words "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      :files) _files && result=0 ;;
      :folders) _files -/ && result=0 ;;
      ?*) found+=("$line") ;;
    esac
  done
  (( $#found )) && compadd -- "${found[@]}" && result=0
  return result
}
if [ "${funcstack[1]}" = _lean-train ]; then _lean_train "$@"; else compdef _lean_train lean-train; fi
)";

constexpr const char* fish =
    R"(# fish completion of lean-train; lean-train completion fish > ~/.config/fish/completions/lean-train.fish
function __lean_train_words
  set -l tokens (commandline -opc)
  set -l current (commandline -ct)
  for line in ($tokens[1] completion words $tokens[2..-1] "$current" 2>/dev/null)
    switch $line
      case :files
        __fish_complete_path "$current"
      case :folders
        __fish_complete_directories "$current" ''
      case '*'
        echo $line
    end
  end
end
complete -c lean-train -f -a '(__lean_train_words)'
)";

constexpr const char* examples =
    "Examples:\n"
    "  lean-train completion bash > ~/.local/share/bash-completion/completions/lean-train\n"
    "  lean-train completion zsh > ~/.zfunc/_lean-train        a folder of $fpath\n"
    "  lean-train completion fish > ~/.config/fish/completions/lean-train.fish\n";

}  // namespace

void add_completion_command(CLI::App& app, int* exit_code) {
  const auto script = std::make_shared<const char*>(nullptr);
  CLI::App* const command = app.add_subcommand("completion", "Print a shell's script that completes our command lines");
  const auto read = [script](const std::string& text) {
    *script = text == "bash" ? bash : text == "zsh" ? zsh : text == "fish" ? fish : nullptr;
    if (*script == nullptr) reject("SHELL", "one of bash, zsh, fish", text);
  };
  command->add_option_function<std::string>("SHELL", read, "Whose: bash, zsh or fish")
      ->type_name("bash|zsh|fish")
      ->required();
  command->group("Commands");
  command->footer(examples);
  command->callback([script, exit_code] {
    StandardOutput out;
    out.write(*script);
    *exit_code = static_cast<int>(out.close() ? ExitCode::ok : ExitCode::io);
  });
}

}  // namespace lt::tool
