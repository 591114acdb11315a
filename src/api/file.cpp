// lt_file: a safetensors file as users see it, and the configuration that a checkpoint holds.
#include <algorithm>
#include <charconv>

#include "src/api/handles.h"
#include "src/base/safetensors_checksum.h"
#include "src/run/checkpoint.h"

using namespace lt;
using namespace lt::api;

namespace {

// The recipe's schedule wants a number of epochs, which a checkpoint does not tell.
std::string with_epochs(const std::string& recipe) {
  constexpr char section[] = "[training]\n";
  const size_t at = recipe.find(section);
  return at == std::string::npos ? recipe : std::string(recipe).insert(at + sizeof section - 1, "epochs = 1\n");
}

Status read_config(const SafetensorsReader& reader, const std::string& recipe, lt_config* config) {
  const char* const path = reader.file().path().c_str();
  const std::string* texts[5];
  constexpr const char* names[5] = {"model", "precision", "seed", "shuffle", "dropout"};
  for (int i = 0; i < 5; ++i) {
    texts[i] = reader.metadata(names[i]);
    if (!texts[i])
      return fail(Status::format, "%s: has no \"%s\" in its metadata; it is no whole checkpoint", path, names[i]);
  }
  Recipe parsed;
  LT_TRY(recipe_parse(recipe, path, &parsed));
  uint64_t seed = 0;
  const char* const end = texts[2]->data() + texts[2]->size();
  const auto read = std::from_chars(texts[2]->data(), end, seed);
  if (read.ec != std::errc{} || read.ptr != end)
    return fail(Status::format, "%s: \"seed\" is \"%.40s\", expected a whole number", path, texts[2]->c_str());
  config->epochs = 0;
  if (const BuiltInRecipe* built_in = built_in_recipe(*texts[0])) {
    LT_TRY(recipe_parse(built_in->text, built_in->name, &parsed));
    config->epochs = parsed.epochs;
  }
  config->recipe = recipe.c_str();
  config->precision = texts[1]->c_str();
  config->seed = seed;
  config->flags &= ~(LT_NO_SHUFFLE | LT_NO_DROPOUT | LT_SKIP_BAD);
  if (*texts[3] == "false") config->flags |= LT_NO_SHUFFLE;
  if (*texts[4] == "false") config->flags |= LT_NO_DROPOUT;
  const std::string* const skip_bad = reader.metadata("skip_bad");
  if (skip_bad && *skip_bad == "true") config->flags |= LT_SKIP_BAD;
  return Status::ok;
}

}  // namespace

lt_status lt_file_open(const char* path, lt_file** out) {
  return guarded([&] {
    LT_NOT_NULL(path);
    LT_NOT_NULL(out);
    auto file = std::make_unique<lt_file>();
    LT_TRY(SafetensorsReader::open(path, &file->reader));
    for (const SafetensorsEntry& entry : file->reader.entries()) file->in_order.push_back(&entry);
    std::stable_sort(file->in_order.begin(), file->in_order.end(),
                     [](const SafetensorsEntry* a, const SafetensorsEntry* b) { return a->begin < b->begin; });
    if (const std::string* recipe = file->reader.metadata("recipe")) file->recipe = with_epochs(*recipe);
    *out = file.release();
    return Status::ok;
  });
}

uint32_t lt_file_tensor_count(const lt_file* file) { return file ? static_cast<uint32_t>(file->in_order.size()) : 0; }

lt_status lt_file_tensor_get(const lt_file* file, uint32_t index, lt_tensor_info* out) {
  return guarded([&] {
    LT_NOT_NULL(file);
    LT_TRY(check_size(out, "out"));
    if (index >= lt_file_tensor_count(file))
      return fail(Status::argument, "tensor number %u: the file has %u", index, lt_file_tensor_count(file));
    const SafetensorsEntry& entry = *file->in_order[index];
    lt_tensor_info result{};
    copy_text(result.name, entry.name);
    copy_text(result.dtype, entry.dtype);
    static_assert(safetensors_max_rank == sizeof result.dims / sizeof result.dims[0]);
    result.rank = static_cast<uint32_t>(entry.shape.size());
    for (size_t i = 0; i < entry.shape.size(); ++i) result.dims[i] = entry.shape[i];
    result.offset = file->reader.data_offset() + entry.begin;
    result.bytes = entry.end - entry.begin;
    copy_out(result, out);
    return Status::ok;
  });
}

uint32_t lt_file_text_count(const lt_file* file) {
  return file ? static_cast<uint32_t>(file->reader.metadata().size()) : 0;
}

const char* lt_file_text_name(const lt_file* file, uint32_t index) {
  return index < lt_file_text_count(file) ? file->reader.metadata()[index].first.c_str() : nullptr;
}

const char* lt_file_text(const lt_file* file, const char* name) {
  if (!file || !name) return nullptr;
  for (const auto& [key, value] : file->reader.metadata())
    if (key == name) return value.c_str();
  return nullptr;
}

lt_status lt_file_check(const lt_file* file, int* present) {
  return guarded([&] {
    LT_NOT_NULL(file);
    LT_NOT_NULL(present);
    bool has_checksum = false;
    const Status status = safetensors_check(file->reader, &has_checksum);
    *present = has_checksum;
    return status;
  });
}

lt_status lt_file_config(const lt_file* file, lt_config* config) {
  return guarded([&] {
    LT_NOT_NULL(file);
    LT_NOT_NULL(config);
    LT_TRY(checkpoint_check(file->reader));
    lt_config result = *config;
    LT_TRY(read_config(file->reader, file->recipe, &result));
    *config = result;
    return Status::ok;
  });
}

void lt_file_free(lt_file* file) { delete file; }
