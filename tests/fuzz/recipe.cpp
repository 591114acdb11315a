// A recipe: read, written, read again; and its layers joined.
#include <vector>

#include "src/plan/join.h"
#include "src/plan/recipe.h"
#include "tests/fuzz/fuzz.h"

using namespace lt;

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  Recipe recipe, again;
  if (!ok(recipe_parse({reinterpret_cast<const char*>(bytes), size}, "recipe", &recipe))) {
    fuzz::expect(*last_error() != '\0', "a refusal has its sentence");
    return 0;
  }
  const std::string text = recipe_write(recipe);
  const bool read = ok(recipe_parse(text, "written", &again));
  if (!read) std::fprintf(stderr, "%s\n%s\n", last_error(), text.c_str());
  fuzz::expect(read, "what is written can be read");
  fuzz::expect(recipe_write(again) == text, "what is read again is the same");
  std::vector<JoinedLayer> joined;
  (void)join_layers(recipe, &joined);
  return 0;
}
