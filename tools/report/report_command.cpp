// lean-train report RUN.jsonl...: run logs drawn on one page.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>

#include "tools/commands.h"
#include "tools/exit_code.h"
#include "tools/output_file.h"
#include "tools/replacement.h"
#include "tools/report/page.h"
#include "tools/report/pictures_of_runs.h"
#include "tools/report/run_reader.h"
#include "tools/terminal.h"

namespace lt::tool {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  lean-train mnist --epochs 3 --log run.jsonl --log-every 10\n"
    "  lean-train report run.jsonl -o report.html\n"
    "  lean-train report cpu.jsonl cuda.jsonl -o both.html\n"
    "  lean-train report run.jsonl --svg pictures        one file a picture\n";

struct Arguments {
  std::vector<std::string> logs;
  std::string page, folder;
};

bool write_file(const std::string& path, const std::string& text) {
  Replacement file(path);
  if (file.good() && file.write(reinterpret_cast<const uint8_t*>(text.data()), text.size()) && file.commit()) return true;
  complain("%s", file.failed().why.c_str());
  return false;
}

// Equal names get numbers, so that each curve can be told.
void tell_apart(std::vector<Run>* runs) {
  std::map<std::string, unsigned> seen;
  for (Run& run : *runs)
    if (const unsigned count = ++seen[run.name]; count > 1) run.name += " (" + std::to_string(count) + ")";
}

ExitCode write_pictures(const ReportPictures& pictures, const std::string& folder) {
  if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) {
    complain("--svg: cannot make the folder %s: %s", folder.c_str(), std::strerror(errno));
    return ExitCode::io;
  }
  for (const auto* group : {&pictures.curves, &pictures.speed, &pictures.memory, &pictures.mistakes})
    for (const Picture& picture : *group)
      if (!write_file(folder + "/" + picture.id + ".svg", standalone(picture))) return ExitCode::io;
  return ExitCode::ok;
}

ExitCode report(const Arguments& arguments) {
  if (arguments.page.empty() && arguments.folder.empty()) {
    complain("report needs -o FILE.html, --svg DIR, or both");
    return ExitCode::usage;
  }
  const bool to_stdout = arguments.page == "-";
  if (!to_stdout && !check_output_path("--output", arguments.page)) return ExitCode::io;
  std::vector<Run> runs;
  for (const std::string& log : arguments.logs)
    if (const ExitCode code = read_runs(log, &runs); code != ExitCode::ok) return code;
  tell_apart(&runs);
  const ReportPictures pictures = draw_pictures_of(runs);
  if (!arguments.folder.empty())
    if (const ExitCode code = write_pictures(pictures, arguments.folder); code != ExitCode::ok) return code;
  StandardOutput out;
  if (!arguments.page.empty()) {
    const std::string page = report_page(runs, pictures);
    if (to_stdout) {
      out.write(page);
    } else if (!write_file(arguments.page, page)) {
      return ExitCode::io;
    }
  }
  for (const Run& run : runs)
    for (const std::string& note : run.notes) say("%s: %s", run.path.c_str(), note.c_str());
  return out.close() ? ExitCode::ok : ExitCode::io;
}

}  // namespace

void add_report_command(CLI::App& app, int* exit_code) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* const command = app.add_subcommand("report", "Draw run logs as one page that needs nothing else");
  command->add_option("RUN.jsonl", arguments->logs, "Run logs, as --log writes them")->required()->type_name("");
  command->add_option("-o,--output", arguments->page, "The page (HTML); - is stdout")->type_name("FILE");
  command->add_option("--svg", arguments->folder, "Write each picture as a file into this folder")->type_name("DIR");
  command->group("Commands");
  command->footer(examples);
  command->callback([arguments, exit_code] { *exit_code = static_cast<int>(report(*arguments)); });
}

}  // namespace lt::tool
