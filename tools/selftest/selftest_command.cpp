// lean-train selftest: every operation of this machine's devices on awkward shapes, against the reference device. What it
// prints is meant to be pasted into a bug report. Main thread.
#include <sys/utsname.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "src/lean_train.h"
#include "tools/commands.h"
#include "tools/exit_code.h"
#include "tools/option_words.h"
#include "tools/process_clock.h"
#include "tools/selftest/op_cases.h"
#include "tools/selftest/op_fixture.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace lt::ops {
namespace {
std::vector<std::string> found;  // sentences of the case that is running
}
void report_failure(const std::string& sentence) { found.push_back(sentence); }
}  // namespace lt::ops

namespace lt::tool {
namespace {

constexpr size_t sentences_shown = 4;  // of one operation; the first ones say most

constexpr const char* examples =
    "Examples:\n"
    "  lean-train selftest                               every usable device, in every precision that it has\n"
    "  lean-train selftest --device cpu --kernels onednn --precision fp32\n";

struct Arguments {
  std::string device, kernels = "auto", precision;
  uint32_t threads = 0;
};

struct Tally {
  size_t cases = 0, failed = 0;
};

class SelfTest {
 public:
  explicit SelfTest(const Arguments& arguments) : arguments_(arguments) {}
  ExitCode run();

 private:
  void print_machine();
  ExitCode test_backend(const Backend& backend, uint32_t index, bool by_name);
  void test_device(const Device& device, Precision precision);
  void test_kind(const Device& device, Precision precision, OpKind kind);

  const Arguments& arguments_;
  StandardOutput out_;
  Tally tally_;
  size_t devices_ = 0;
  const std::vector<ops::OpCase> cases_ = ops::all_cases();
};

void SelfTest::print_machine() {
  utsname system{};
  uname(&system);
  out_.print("lean-train %s\n%s %s %s\n", lt_build_info(), system.sysname, system.release, system.machine);
}

void SelfTest::test_kind(const Device& device, Precision precision, OpKind kind) {
  size_t run = 0, failed = 0;
  double worst = 0;
  std::string without_kernel;
  std::vector<std::string> sentences;
  // Ten seconds are what a user waits: after the first precision, whose kernels share most of their code with the others',
  // every second case.
  const size_t stride = devices_ == 1 ? 1 : 2;
  size_t number = 0;
  for (ops::OpCase c : cases_) {
    if (c.op.kind != kind || !ops::fits(c, precision) || number++ % stride != 0) continue;
    c.precision = precision;
    ops::found.clear();
    if (!ops::expect_equals_reference(device, c, &worst)) {
      without_kernel = last_error();
      continue;
    }
    ++run;
    failed += !ops::found.empty();
    sentences.insert(sentences.end(), ops::found.begin(), ops::found.end());
  }
  if (number == 0) return;  // int8 has few kinds
  if (run == 0) {
    out_.print("  %-24s not on this device: %s\n", op_kind_name(kind), without_kernel.c_str());
    return;
  }
  out_.print("  %-24s %5zu cases  worst error %.1e  %s\n", op_kind_name(kind), run, std::sqrt(worst),
             failed == 0 ? "ok" : ("FAILED: " + std::to_string(failed)).c_str());
  for (size_t i = 0; i < std::min(sentences.size(), sentences_shown); ++i) out_.print("      %s\n", sentences[i].c_str());
  tally_.cases += run;
  tally_.failed += failed;
}

void SelfTest::test_device(const Device& device, Precision precision) {
  ++devices_;
  out_.print("  %s, kernels: %s, threads: %u\n", precision_name(precision), device.kernels(), device.threads());
  for (unsigned kind = 0; kind < 256; ++kind)
    if (op_kind_name(static_cast<OpKind>(kind)) != nullptr) test_kind(device, precision, static_cast<OpKind>(kind));
}

ExitCode SelfTest::test_backend(const Backend& backend, uint32_t index, bool by_name) {
  DeviceInfo info;
  backend.describe(index, &info);
  if (!info.usable) {
    if (!by_name) {
      out_.print("\n%s: not usable: %s\n", info.name, info.why_not);
      return ExitCode::ok;
    }
    complain("%s: %s", info.name, info.why_not);
    return ExitCode::device;
  }
  out_.print("\n%s: %s\n", info.name, info.description);
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16, Precision::int8}) {
    const bool wanted = arguments_.precision.empty() || arguments_.precision == precision_name(precision);
    if (!wanted || (backend.precisions & precision_set(precision)) == 0) continue;
    DeviceConfig config;
    config.index = index;
    config.threads = arguments_.threads;
    config.kernels = arguments_.kernels;
    config.precision = precision;
    std::unique_ptr<Device> device;
    const Status status = backend.open(config, &device);
    if (ok(status)) {
      test_device(*device, precision);
    } else if (by_name && !arguments_.precision.empty()) {
      complain("%s", last_error());
      return status == Status::argument ? ExitCode::usage : ExitCode::device;
    } else {
      out_.print("  %s: %s\n", precision_name(precision), last_error());
    }
  }
  return ExitCode::ok;
}

ExitCode SelfTest::run() {
  const double start = monotonic_seconds();
  print_machine();
  const std::string wanted = arguments_.device.substr(0, arguments_.device.find(':'));
  const uint64_t number =
      wanted == arguments_.device ? 0 : *parse_whole_number(std::string_view(arguments_.device).substr(wanted.size() + 1));
  bool is_known = false;
  for (size_t i = 0; i < backend_table_size; ++i) {
    const Backend& backend = *backend_table[i];
    const bool by_name = wanted == backend.name;
    // By itself, the reference device would only be held against itself.
    if (!by_name && (!wanted.empty() || std::string_view(backend.name) == "reference")) continue;
    is_known = true;
    if (by_name && number != 0 && number >= backend.device_count()) {
      complain("there is no device %s; lean-train devices lists them", arguments_.device.c_str());
      return ExitCode::device;
    }
    const uint32_t first = static_cast<uint32_t>(number), last = by_name ? first + 1 : std::max(backend.device_count(), 1u);
    for (uint32_t index = first; index < last; ++index)
      if (const ExitCode code = test_backend(backend, index, by_name); code != ExitCode::ok) return code;
  }
  if (!is_known) {
    complain("this build has no device %s; lean-train devices lists them", wanted.c_str());
    return ExitCode::device;
  }
  if (devices_ == 0) {
    complain("no device was tested: none has what was asked for; lean-train devices lists them");
    return ExitCode::device;
  }
  const std::string cases = format_count_of(tally_.cases, "case"), time = format_duration(monotonic_seconds() - start);
  if (tally_.failed == 0) {
    out_.print("\nok: %s agree with the reference device (%s)\n", cases.c_str(), time.c_str());
  } else {
    out_.print("\nFAILED: %zu of %s differ from the reference device (%s); please report it, with all of the above\n",
               tally_.failed, cases.c_str(), time.c_str());
  }
  if (!out_.close()) return ExitCode::io;
  return tally_.failed == 0 ? ExitCode::ok : ExitCode::internal;
}

}  // namespace

void add_selftest_command(CLI::App& app, int* exit_code) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* const command =
      app.add_subcommand("selftest", "Hold every operation of this machine's devices against plain loops");
  const auto read_device = [=](const std::string& text) {
    const bool numbered = text.starts_with("cuda:") && parse_whole_number(std::string_view(text).substr(5)).has_value();
    if (text != "cpu" && text != "cuda" && text != "reference" && !numbered)
      reject("--device", "cpu, cuda, cuda:N or reference", text);
    arguments->device = text;
  };
  command->add_option_function<std::string>("--device", read_device, "Which one [every usable one]")
      ->type_name("cpu|cuda[:N]|reference");
  command->add_option("--kernels", arguments->kernels, "Whose code computes [auto]")
      ->type_name("auto|highway[:SET]|onednn|cudnn|own");
  const auto read_precision = [=](const std::string& text) {
    check_precision("--precision", text);
    arguments->precision = text;
  };
  command->add_option_function<std::string>("--precision", read_precision, "Which one [all that the device has]")
      ->type_name(precision_words);
  const auto read_threads = [=](const std::string& text) {
    const auto value = parse_whole_number(text);
    if (!value || *value < 1 || *value > 1024) reject("--threads", "a whole number from 1 to 1024", text);
    arguments->threads = static_cast<uint32_t>(*value);
  };
  command->add_option_function<std::string>("--threads", read_threads, "[as many as this process may use]")->type_name("N");
  command->group("Commands");
  command->footer(examples);
  command->callback([arguments, exit_code] { *exit_code = static_cast<int>(SelfTest(*arguments).run()); });
}

}  // namespace lt::tool
