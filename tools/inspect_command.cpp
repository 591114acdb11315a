// lean-train inspect: what a file of weights or a checkpoint holds, and whether its bytes are those that were written.
#include <CLI/CLI.hpp>
#include <cinttypes>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/commands.h"
#include "tools/exit_code.h"
#include "tools/handles.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  lean-train inspect digits.safetensors\n"
    "  lean-train inspect digits.safetensors --json      metadata, tensors and verdict as one JSON object\n";

enum class Verdict { holds, fails, none };

std::string shape_text(const lt_tensor_info& tensor) {
  std::string text;
  for (uint32_t i = 0; i < tensor.rank; ++i) text += (i == 0 ? "" : " x ") + std::to_string(tensor.dims[i]);
  return "[" + text + "]";
}

void print_text(const lt_file* file, const std::vector<lt_tensor_info>& tensors, Verdict verdict, StandardOutput* out) {
  uint64_t bytes = 0;
  int widest = 6;
  for (const lt_tensor_info& tensor : tensors) widest = std::max(widest, static_cast<int>(std::strlen(tensor.name)));
  out->print("%-*s  dtype          bytes  shape\n", widest, "tensor");
  for (const lt_tensor_info& tensor : tensors) {
    out->print("%-*s  %-6s %13" PRIu64 "  %s\n", widest, tensor.name, tensor.dtype, tensor.bytes, shape_text(tensor).c_str());
    bytes += tensor.bytes;
  }
  out->print("%s, %s\n", format_count_of(tensors.size(), "tensor").c_str(), format_bytes(bytes).c_str());
  if (lt_file_text_count(file) != 0) out->write("\n");
  for (uint32_t i = 0; i < lt_file_text_count(file); ++i) {
    const std::string name = lt_file_text_name(file, i), value = lt_file_text(file, name.c_str());
    if (value.find('\n') == std::string::npos) {
      out->write(name + ": " + value + "\n");
      continue;
    }
    out->write(name + ":\n");
    for (const std::string& line : CLI::detail::split(value, '\n')) out->write(line.empty() ? "\n" : "  " + line + "\n");
  }
  out->write(verdict == Verdict::holds   ? "checksum holds\n"
             : verdict == Verdict::fails ? "checksum FAILS: the bytes are not those that were written\n"
                                         : "no checksum\n");
}

void print_json(const lt_file* file, const std::vector<lt_tensor_info>& tensors, Verdict verdict, StandardOutput* out) {
  using Json = nlohmann::ordered_json;
  Json texts = Json::object(), list = Json::array();
  for (uint32_t i = 0; i < lt_file_text_count(file); ++i) {
    const char* const name = lt_file_text_name(file, i);
    texts[name] = lt_file_text(file, name);
  }
  for (const lt_tensor_info& tensor : tensors)
    list.push_back({{"name", tensor.name},
                    {"dtype", tensor.dtype},
                    {"shape", std::vector<uint64_t>(tensor.dims, tensor.dims + tensor.rank)},
                    {"offset", tensor.offset},
                    {"bytes", tensor.bytes}});
  const char* const verdicts[] = {"holds", "fails", "none"};
  const Json all = {{"checksum", verdicts[static_cast<int>(verdict)]}, {"metadata", texts}, {"tensors", list}};
  out->write(all.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

ExitCode inspect(const std::string& path, bool json) {
  lt_file* opened = nullptr;
  if (const lt_status status = lt_file_open(path.c_str(), &opened)) {
    complain("%s", lt_last_error());
    return exit_code(status, Stage::weights);
  }
  const FilePtr file(opened);
  std::vector<lt_tensor_info> tensors(lt_file_tensor_count(opened), sized<lt_tensor_info>());
  for (uint32_t i = 0; i < tensors.size(); ++i)
    if (const lt_status status = lt_file_tensor_get(opened, i, &tensors[i])) {
      complain("%s", lt_last_error());
      return exit_code(status, Stage::weights);
    }
  int present = 0;
  const lt_status checked = lt_file_check(opened, &present);
  const Verdict verdict = checked != LT_OK ? Verdict::fails : present != 0 ? Verdict::holds : Verdict::none;
  StandardOutput out;
  (json ? print_json : print_text)(opened, tensors, verdict, &out);
  if (checked != LT_OK) complain("%s", lt_last_error());
  if (!out.close()) return ExitCode::io;
  return checked == LT_OK ? ExitCode::ok : exit_code(checked, Stage::weights);
}

}  // namespace

void add_inspect_command(CLI::App& app, int* exit_code) {
  struct State {
    std::string path;
    bool json = false;
  };
  const auto state = std::make_shared<State>();
  CLI::App* const command = app.add_subcommand("inspect", "Show what a file of weights or a checkpoint holds, and check it");
  command->add_option("FILE", state->path, "A safetensors file")->required();
  command->add_flag("--json", state->json, "As one JSON object")->disable_flag_override();
  command->group("Commands");
  command->footer(examples);
  command->callback([state, exit_code] { *exit_code = static_cast<int>(inspect(state->path, state->json)); });
}

}  // namespace lt::tool
