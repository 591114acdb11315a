#include "src/plan/recipe.h"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
// toml++ 3.3 holds it for certain that a table's header begins with a character of keys ("[<]" does not), and builds with
// NDEBUG let the compiler go by that. It refuses such a text by itself where it may not be so certain.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <array>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <utility>

namespace lt {
namespace {

template <class Kind>
using Names = std::initializer_list<std::pair<const char*, Kind>>;

const Names<LayerKind> layer_kinds = {{"conv2d", LayerKind::conv2d},
                                      {"max_pool", LayerKind::max_pool},
                                      {"relu", LayerKind::relu},
                                      {"dropout", LayerKind::dropout},
                                      {"linear", LayerKind::linear},
                                      {"gru", LayerKind::gru},
                                      {"lstm", LayerKind::lstm},
                                      {"last_step", LayerKind::last_step},
                                      {"embedding", LayerKind::embedding},
                                      {"batch_norm", LayerKind::batch_norm},
                                      {"average_pool", LayerKind::average_pool},
                                      {"bottleneck", LayerKind::bottleneck}};
const Names<LossKind> losses = {{"cross_entropy", LossKind::cross_entropy}, {"ctc", LossKind::ctc}};
const Names<OptimizerKind> optimizers = {
    {"sgd", OptimizerKind::sgd}, {"momentum", OptimizerKind::momentum}, {"adam", OptimizerKind::adam}};
const Names<Init> inits = {{"torch", Init::torch}, {"xavier", Init::xavier}, {"he", Init::he}, {"zeros", Init::zeros}};
const Names<Init> conv2d_inits = {{"torch", Init::torch},
                                  {"xavier", Init::xavier},
                                  {"he", Init::he},
                                  {"zeros", Init::zeros},
                                  {"he_normal_fan_out", Init::he_normal_fan_out}};
const Names<Init> embedding_inits = {{"normal", Init::normal}, {"uniform", Init::uniform}, {"zeros", Init::zeros}};
const Names<bool> last_batches = {{"keep", false}, {"drop", true}};
const Names<DType> input_types = {{"u8", DType::u8}, {"f32", DType::f32}};
// Numbers of words are held in 16 bits by the data sets that have them.
constexpr uint32_t max_vocabulary = 65536;

template <class Kind>
const char* name_of(const Names<Kind>& names, Kind kind) {
  for (const auto& [name, value] : names)
    if (value == kind) return name;
  return "";
}

template <class Kind>
std::string list_of(const Names<Kind>& names) {
  std::string list;
  for (const auto& [name, value] : names) list += std::string(list.empty() ? "" : ", ") + name;
  return list;
}

// One table of the file, its keys taken one by one; a key that nobody took is an error (a typing mistake must not pass).
class Section {
 public:
  Section(const toml::table& table, const char* origin, std::string what)
      : table_(table), origin_(origin), what_(std::move(what)) {}

  Status wrong(const char* key, const std::string& expected) const {
    const toml::node* node = table_.get(key);
    const auto line = (node ? node->source() : table_.source()).begin.line;
    return fail(Status::argument, "recipe %s, line %u: %s: %s %s", origin_, static_cast<unsigned>(line), what_.c_str(), key,
                expected.c_str());
  }

  Status text(const char* key, bool required, std::string* value) {
    const toml::node* node = take(key);
    if (!node) return required ? wrong(key, "is missing") : Status::ok;
    const auto found = node->value_exact<std::string>();
    if (!found) return wrong(key, "must be a string");
    if (found->empty() || found->size() > recipe_max_name) return wrong(key, "must have 1 to 63 characters");
    for (const char c : *found)
      if (static_cast<unsigned char>(c) < 0x21 || c == '"' || c == '\\' || c == 0x7f)
        return wrong(key, "must not have spaces, quotes, backslashes or control characters");
    *value = *found;
    return Status::ok;
  }

  template <class Kind>
  Status choice(const char* key, const Names<Kind>& names, bool required, Kind* value) {
    std::string found;
    const bool present = table_.contains(key);
    LT_TRY(text(key, required, &found));
    if (!present) return Status::ok;
    for (const auto& [name, kind] : names)
      if (found == name) {
        *value = kind;
        return Status::ok;
      }
    return wrong(key, "is \"" + found + "\", expected one of: " + list_of(names));
  }

  Status integer(const char* key, bool required, uint32_t least, uint32_t most, uint32_t* value) {
    const toml::node* node = take(key);
    if (!node) return required ? wrong(key, "is missing") : Status::ok;
    const auto found = node->value_exact<int64_t>();
    if (!found || *found < int64_t{least} || *found > int64_t{most})
      return wrong(key, "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    *value = static_cast<uint32_t>(*found);
    return Status::ok;
  }

  Status number(const char* key, double least, double most, double* value) {
    const toml::node* node = take(key);
    if (!node) return Status::ok;
    const auto found = as_number(*node);
    if (!found || !(*found >= least && *found <= most)) return wrong(key, range(least, most));
    *value = *found;
    return Status::ok;
  }

  Status numbers(const char* key, size_t count, double least, double most, std::vector<double>* values) {
    const toml::node* node = take(key);
    if (!node) return Status::ok;
    const toml::array* array = node->as_array();
    if (!array || array->size() != count) return wrong(key, "must be an array of " + std::to_string(count) + " numbers");
    values->clear();
    for (const toml::node& element : *array) {
      const auto found = as_number(element);
      if (!found || !(*found >= least && *found <= most)) return wrong(key, "elements: each " + range(least, most));
      values->push_back(*found);
    }
    return Status::ok;
  }

  Status truth(const char* key, bool* value) {
    const toml::node* node = take(key);
    if (!node) return Status::ok;
    const auto found = node->value_exact<bool>();
    if (!found) return wrong(key, "must be true or false");
    *value = *found;
    return Status::ok;
  }

  const toml::node* take(const char* key) {
    taken_.emplace_back(key);
    return table_.get(key);
  }

  Status finish() const {
    for (const auto& [key, node] : table_) {
      bool known = false;
      for (const std::string& taken : taken_) known |= taken == key.str();
      if (!known) return wrong(std::string(key.str()).c_str(), "is not a key of this table");
    }
    return Status::ok;
  }

 private:
  static std::optional<double> as_number(const toml::node& node) {
    if (const auto real = node.value_exact<double>()) return *real;
    if (const auto whole = node.value_exact<int64_t>()) return static_cast<double>(*whole);
    return std::nullopt;
  }

  static std::string range(double least, double most) {
    char text[96];
    std::snprintf(text, sizeof text, "must be a number from %g to %g", least, most);
    return text;
  }

  const toml::table& table_;
  const char* origin_;
  std::string what_;
  std::vector<std::string> taken_;
};

// Images have a shape, sequences steps and features.
Status parse_extent(Section* input, const toml::table& table, Recipe* recipe) {
  Section& section = *input;
  recipe->sequences = table.contains("steps") || table.contains("features") || table.contains("vocabulary");
  if (recipe->sequences) {
    if (table.contains("shape")) return section.wrong("shape", "is for images; a sequence has steps and features");
    LT_TRY(section.integer("steps", true, 1, recipe_max_dimension, &recipe->input.height));
    LT_TRY(section.integer("vocabulary", false, 1, max_vocabulary, &recipe->vocabulary));
    if (recipe->vocabulary != 0) {
      for (const char* key : {"features", "type", "scale", "mean", "deviation"})
        if (table.contains(key)) return section.wrong(key, "is for numbers; steps of a vocabulary are words");
      recipe->input_type = DType::i32;
    } else {
      LT_TRY(section.integer("features", true, 1, recipe_max_dimension, &recipe->input.channels));
    }
    LT_TRY(section.truth("lengths", &recipe->lengths));
    if (recipe->input.elements() > recipe_max_elements) return section.wrong("steps", "times features is too many");
    return Status::ok;
  }
  std::vector<double> shape;
  LT_TRY(section.numbers("shape", 3, 1, recipe_max_dimension, &shape));
  if (shape.empty())
    return section.wrong("shape", "is missing: [channels, rows, columns]; or steps and features of a sequence");
  for (const double dimension : shape)
    if (dimension != std::floor(dimension)) return section.wrong("shape", "must hold whole numbers");
  recipe->input = {static_cast<uint32_t>(shape[1]), static_cast<uint32_t>(shape[2]), static_cast<uint32_t>(shape[0])};
  if (recipe->input.elements() > recipe_max_elements) return section.wrong("shape", "has too many elements");
  return Status::ok;
}

Status parse_input(const toml::table& table, const char* origin, Recipe* recipe) {
  Section section(table, origin, "[input]");
  LT_TRY(parse_extent(&section, table, recipe));
  if (recipe->vocabulary == 0) LT_TRY(section.choice("type", input_types, false, &recipe->input_type));
  LT_TRY(section.number("scale", -1e30, 1e30, &recipe->scale));
  LT_TRY(section.numbers("mean", recipe->input.channels, -1e30, 1e30, &recipe->mean));
  LT_TRY(section.numbers("deviation", recipe->input.channels, 1e-30, 1e30, &recipe->deviation));
  return section.finish();
}

Status parse_training(const toml::table& table, const char* origin, Recipe* recipe) {
  Section section(table, origin, "[training]");
  const toml::node* batch = section.take("batch");
  if (batch && batch->value_exact<std::string>() == "all")
    recipe->batch = 0;
  else
    LT_TRY(section.integer("batch", true, 1, recipe_max_batch, &recipe->batch));
  LT_TRY(section.choice("last_batch", last_batches, false, &recipe->drop_last_batch));
  if (recipe->batch == 0 && recipe->drop_last_batch)
    return section.wrong("last_batch", "is \"drop\", but with batch = \"all\" there is no short one");
  LT_TRY(section.integer("epochs", true, 1, recipe_max_epochs, &recipe->epochs));
  LT_TRY(section.choice("loss", losses, false, &recipe->loss));
  if (recipe->loss == LossKind::ctc) LT_TRY(section.integer("labels", true, 1, recipe_max_dimension, &recipe->labels));
  LT_TRY(section.choice("optimizer", optimizers, true, &recipe->optimizer));
  LT_TRY(section.number("lr", 0, 1e30, &recipe->lr));
  LT_TRY(section.number("momentum", 0, 1, &recipe->momentum));
  LT_TRY(section.number("beta1", 0, 0.999999, &recipe->beta1));
  LT_TRY(section.number("beta2", 0, 0.99999999, &recipe->beta2));
  LT_TRY(section.number("epsilon", 0, 1, &recipe->epsilon));
  return section.finish();
}

Status parse_inference(const toml::table& table, const char* origin, Recipe* recipe) {
  Section section(table, origin, "[inference]");
  recipe->inference = true;
  LT_TRY(section.integer("batch", true, 1, recipe_max_batch, &recipe->batch));
  return section.finish();
}

Status parse_bottleneck(Section* section, Layer* layer) {
  layer->bias = false;
  layer->init = Init::he_normal_fan_out;
  layer->bias_init = Init::zeros;
  LT_TRY(section->integer("width", true, 1, recipe_max_dimension, &layer->width));
  LT_TRY(section->integer("out_channels", true, 1, recipe_max_dimension, &layer->out));
  LT_TRY(section->integer("blocks", true, 1, recipe_max_stack, &layer->blocks));
  LT_TRY(section->integer("stride", false, 1, 255, &layer->window.stride));
  return section->number("epsilon", 1e-30, 1, &layer->epsilon);
}

Status parse_layer(const toml::table& table, const char* origin, size_t index, Layer* layer) {
  Section section(table, origin, "[[layer]] " + std::to_string(index + 1));
  LT_TRY(section.choice("type", layer_kinds, true, &layer->kind));
  layer->name = std::string(layer_kind_name(layer->kind)) + std::to_string(index + 1);
  const bool weighted = layer->kind == LayerKind::conv2d || layer->kind == LayerKind::linear;
  const bool recurrent = layer->kind == LayerKind::gru || layer->kind == LayerKind::lstm;
  const bool embedding = layer->kind == LayerKind::embedding;
  const bool batch_norm = layer->kind == LayerKind::batch_norm, bottleneck = layer->kind == LayerKind::bottleneck;
  LT_TRY(section.text("name", weighted || recurrent || embedding || batch_norm || bottleneck, &layer->name));
  if (batch_norm) LT_TRY(section.number("epsilon", 1e-30, 1, &layer->epsilon));
  if (bottleneck) LT_TRY(parse_bottleneck(&section, layer));
  if (embedding) {
    layer->init = Init::normal;
    LT_TRY(section.integer("features", true, 1, recipe_max_dimension, &layer->out));
    LT_TRY(section.choice("init", embedding_inits, false, &layer->init));
  }
  if (recurrent) {
    LT_TRY(section.integer("units", true, 1, recipe_max_dimension, &layer->units));
    LT_TRY(section.integer("layers", false, 1, recipe_max_stack, &layer->layers));
    LT_TRY(section.truth("bidirectional", &layer->bidirectional));
    LT_TRY(section.truth("bias", &layer->bias));
  }
  if (layer->kind == LayerKind::conv2d) LT_TRY(section.integer("out_channels", true, 1, recipe_max_dimension, &layer->out));
  if (layer->kind == LayerKind::linear) LT_TRY(section.integer("out_features", true, 1, recipe_max_dimension, &layer->out));
  if (layer->kind == LayerKind::conv2d || layer->kind == LayerKind::max_pool) {
    LT_TRY(section.integer("kernel", true, 1, layer->kind == LayerKind::conv2d ? 255 : 15, &layer->window.kernel));
    layer->window.stride = layer->kind == LayerKind::conv2d ? 1 : layer->window.kernel;
    LT_TRY(section.integer("stride", false, 1, 255, &layer->window.stride));
  }
  if (layer->kind == LayerKind::conv2d)
    LT_TRY(section.integer("padding", false, 0, layer->window.kernel - 1, &layer->window.padding));
  if (layer->kind == LayerKind::max_pool)
    LT_TRY(section.integer("padding", false, 0, layer->window.kernel / 2, &layer->window.padding));
  if (weighted) {
    LT_TRY(section.truth("bias", &layer->bias));
    LT_TRY(section.choice("init", layer->kind == LayerKind::conv2d ? conv2d_inits : inits, false, &layer->init));
    if (layer->init == Init::zeros) layer->bias_init = Init::zeros;
    LT_TRY(section.choice("bias_init", inits, false, &layer->bias_init));
  }
  if (layer->kind == LayerKind::dropout) {
    if (!table.contains("rate")) return section.wrong("rate", "is missing");
    LT_TRY(section.number("rate", 0, 0.999, &layer->rate));
  }
  return section.finish();
}

Status parse_layers(const toml::node* node, const char* origin, Recipe* recipe) {
  const toml::array* array = node ? node->as_array() : nullptr;
  if (!array || array->empty() || array->size() > recipe_max_layers)
    return fail(Status::argument, "recipe %s: needs 1 to %u [[layer]] tables", origin, recipe_max_layers);
  for (size_t i = 0; i < array->size(); ++i) {
    const toml::table* table = array->get(i)->as_table();
    if (!table) return fail(Status::argument, "recipe %s: layer %zu is not a table", origin, i + 1);
    Layer layer;
    LT_TRY(parse_layer(*table, origin, i, &layer));
    for (const Layer& other : recipe->layers)
      if (other.name == layer.name)
        return fail(Status::argument, "recipe %s: two layers are called \"%s\"", origin, layer.name.c_str());
    recipe->layers.push_back(std::move(layer));
  }
  return Status::ok;
}

}  // namespace

const char* layer_kind_name(LayerKind kind) { return name_of(layer_kinds, kind); }
const char* loss_name(LossKind kind) { return name_of(losses, kind); }
const char* optimizer_name(OptimizerKind kind) { return name_of(optimizers, kind); }

Status optimizer_from_name(std::string_view name, OptimizerKind* kind) {
  for (const auto& [known, value] : optimizers)
    if (name == known) {
      *kind = value;
      return Status::ok;
    }
  return fail(Status::argument, "no optimizer \"%.*s\", expected one of: %s",
              static_cast<int>(std::min<size_t>(name.size(), 100)), name.data(), list_of(optimizers).c_str());
}

const BuiltInRecipe* built_in_recipe(std::string_view name) {
  for (size_t i = 0; i < built_in_recipe_count; ++i)
    if (name == built_in_recipes[i].name) return &built_in_recipes[i];
  return nullptr;
}

Status recipe_parse(std::string_view text, const char* origin, Recipe* recipe) {
  if (text.size() > recipe_max_text_bytes)
    return fail(Status::argument, "recipe %s: %zu bytes, at most %llu are read", origin, text.size(),
                static_cast<unsigned long long>(recipe_max_text_bytes));
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return fail(Status::argument, "recipe %s, line %u: not TOML: %s", origin,
                static_cast<unsigned>(error.source().begin.line), std::string(error.description()).c_str());
  }
  const toml::table& root = parsed.table();
  Section section(root, origin, "the file");
  Recipe result;
  LT_TRY(section.text("name", true, &result.name));
  LT_TRY(section.text("data", false, &result.data));
  const toml::node* input = section.take("input");
  const toml::node* training = section.take("training");
  const toml::node* inference = section.take("inference");
  const toml::node* layers = section.take("layer");
  LT_TRY(section.finish());
  if (!input || !input->is_table()) return fail(Status::argument, "recipe %s: the table [input] is missing", origin);
  if (training && inference)
    return fail(Status::argument, "recipe %s: has both [training] and [inference]; a model is for one of them", origin);
  const toml::node* const use = training ? training : inference;
  if (!use || !use->is_table())
    return fail(Status::argument, "recipe %s: the table [training] is missing (or [inference], to compute alone)", origin);
  LT_TRY(parse_input(*input->as_table(), origin, &result));
  LT_TRY((training ? parse_training : parse_inference)(*use->as_table(), origin, &result));
  LT_TRY(parse_layers(layers, origin, &result));
  *recipe = std::move(result);
  return Status::ok;
}

}  // namespace lt
