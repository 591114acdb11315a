// A run log, read and drawn as `lean-train report` does.
#include "src/lean_train.h"
#include "tests/fuzz/fuzz.h"
#include "tools/report/page.h"

using namespace lt;

// The page names the program; the library behind it is not part of this one.
const char* lt_build_info(void) { return "lean-train"; }

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const fuzz::Folder folder;
  const std::string path = folder.write("run.jsonl", bytes, size);
  std::vector<tool::Run> runs;
  if (tool::read_runs(path, &runs) != tool::ExitCode::ok) return 0;
  const std::string page = tool::report_page(runs, tool::draw_pictures_of(runs));
  fuzz::expect(page.find("nan,") == std::string::npos && page.find("\"inf\"") == std::string::npos,
               "pictures have numbers");
  return 0;
}
