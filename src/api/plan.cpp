// lt_plan: the configuration checked, the recipe chosen, the plan made and told.
#include <cmath>
#include <string_view>

#include "src/api/handles.h"

using namespace lt;
using namespace lt::api;

namespace {

constexpr uint32_t known_flags = LT_DETERMINISTIC | LT_NO_SHUFFLE | LT_NO_DROPOUT | LT_FULL_LENGTHS | LT_SKIP_BAD;

Status choose_recipe(const char* text, Recipe* recipe) {
  const std::string_view view(text);
  if (const BuiltInRecipe* built_in = built_in_recipe(view)) return recipe_parse(built_in->text, built_in->name, recipe);
  if (view.find('\n') != std::string_view::npos || view.find('=') != std::string_view::npos)
    return recipe_parse(view, "text", recipe);
  std::string known;
  for (size_t i = 0; i < built_in_recipe_count; ++i) known += std::string(i ? ", " : "") + built_in_recipes[i].name;
  return fail(Status::argument, "no model \"%.100s\", expected one of: %s", text, known.c_str());
}

Status apply(const lt_config& config, PlanRequest* request) {
  Recipe& recipe = request->recipe;
  if (config.flags & ~known_flags) return fail(Status::argument, "flags %#x: unknown bits", config.flags & ~known_flags);
  LT_TRY(precision_from_name(config.precision ? config.precision : "fp32", &request->device_config.precision));
  if (config.batch > recipe_max_batch)
    return fail(Status::argument, "batch %u: at most %u", config.batch, recipe_max_batch);
  if (config.epochs > recipe_max_epochs)
    return fail(Status::argument, "epochs %u: at most %u", config.epochs, recipe_max_epochs);
  if (std::isnan(config.lr) || config.lr > 1e30)
    return fail(Status::argument, "learning rate %g: expected 0 to 1e30", config.lr);
  if (std::isnan(config.momentum) || config.momentum > 1)
    return fail(Status::argument, "momentum %g: expected 0 to 1", config.momentum);
  if (config.optimizer) LT_TRY(optimizer_from_name(config.optimizer, &recipe.optimizer));
  if (config.batch != 0) recipe.batch = config.batch;
  if (config.epochs != 0) recipe.epochs = config.epochs;
  if (config.lr >= 0) recipe.lr = config.lr;
  if (config.momentum >= 0) {
    recipe.momentum = config.momentum;
    // SGD with a momentum is the optimizer "momentum"; asking for one by its number is enough.
    if (!config.optimizer && config.momentum > 0 && recipe.optimizer == OptimizerKind::sgd)
      recipe.optimizer = OptimizerKind::momentum;
  }
  request->device = config.device ? config.device : "auto";
  request->device_config.kernels = config.kernels ? config.kernels : "auto";
  request->device_config.threads = config.threads;
  request->device_config.deterministic = (config.flags & LT_DETERMINISTIC) != 0;
  request->seed = config.seed;
  request->memory_cap_bytes = config.memory_cap_bytes;
  request->shuffle = (config.flags & LT_NO_SHUFFLE) == 0;
  if ((config.flags & LT_FULL_LENGTHS) != 0) recipe.lengths = false;
  request->dropout = (config.flags & LT_NO_DROPOUT) == 0;
  request->skip_bad = (config.flags & LT_SKIP_BAD) != 0;
  return Status::ok;
}

Status write_text(const std::string& text, lt_write_fn write, void* user) {
  if (write(user, text.data(), text.size()) != 0) return fail(Status::io, "the caller's write function gave up");
  return Status::ok;
}

}  // namespace

void lt_config_init(lt_config* config) {
  if (!config) return;
  *config = {};
  config->size = sizeof *config;
  config->seed = 1;
  config->lr = config->momentum = -1;
}

lt_status lt_plan_create(const lt_config* config, lt_plan** out) {
  return guarded([&] {
    LT_NOT_NULL(config);
    LT_NOT_NULL(out);
    if (config->size != sizeof(lt_config))
      return fail(Status::argument, "config: its size field is %zu, this library knows %zu; call lt_config_init first",
                  config->size, sizeof(lt_config));
    LT_NOT_NULL(config->recipe);
    PlanRequest request;
    LT_TRY(choose_recipe(config->recipe, &request.recipe));
    LT_TRY(apply(*config, &request));
    auto plan = std::make_unique<lt_plan>();
    LT_TRY(plan_make(request, &plan->plan));
    *out = plan.release();
    return Status::ok;
  });
}

lt_status lt_plan_get(const lt_plan* plan, lt_plan_info* out) {
  return guarded([&] {
    LT_NOT_NULL(plan);
    LT_TRY(check_size(out, "out"));
    const Plan& p = *plan->plan;
    lt_plan_info result{};
    copy_text(result.model, p.recipe.name);
    copy_text(result.data, p.recipe.data);
    copy_text(result.device, p.device_name);
    copy_text(result.device_name, p.device->description());
    copy_text(result.kernels, p.device->kernels());
    copy_text(result.precision, precision_name(p.precision));
    copy_text(result.passed_over, p.passed_over);
    copy_text(result.optimizer, optimizer_name(p.recipe.optimizer));
    result.parameters = p.parameter_count();
    result.seed = p.seed;
    result.threads = p.device->threads();
    result.batch = p.recipe.batch;
    result.micro_batch = p.program.micro_batch;
    result.epochs = p.recipe.epochs;
    result.lr = p.recipe.lr;
    result.momentum = p.recipe.optimizer == OptimizerKind::momentum ? p.recipe.momentum : 0;
    const Extent& input = p.recipe.input;
    result.channels = p.recipe.sequences ? 1 : input.channels;
    result.height = input.height;
    result.width = p.recipe.sequences ? input.channels : input.width;
    result.classes = p.classes();
    result.inference = p.program.inference;
    result.sample_bytes = p.sample_bytes();
    copy_out(result, out);
    return Status::ok;
  });
}

lt_status lt_plan_memory(const lt_plan* plan, lt_memory* out) {
  return guarded([&] {
    LT_NOT_NULL(plan);
    LT_TRY(check_size(out, "out"));
    const auto bytes = [&](Segment segment) { return plan->plan->segments[static_cast<size_t>(segment)].bytes; };
    lt_memory result{};
    result.arena_bytes = plan->plan->program.region_bytes;
    result.alignment = region_alignment;
    result.parameters_bytes = bytes(Segment::parameters);
    result.state_bytes = bytes(Segment::state);
    result.activations_bytes = bytes(Segment::activations);
    result.scratch_bytes = bytes(Segment::scratch);
    result.staging_bytes = bytes(Segment::staging);
    result.weights_bytes = plan->plan->weights_bytes();
    if (plan->plan->calibration) result.calibration_bytes = plan->plan->calibration->program.region_bytes;
    copy_out(result, out);
    return Status::ok;
  });
}

lt_status lt_plan_describe(const lt_plan* plan, lt_form form, lt_write_fn write, void* user) {
  return guarded([&] {
    LT_NOT_NULL(plan);
    LT_NOT_NULL(write);
    if (form != LT_TEXT && form != LT_JSON)
      return fail(Status::argument, "form %d is neither LT_TEXT nor LT_JSON", static_cast<int>(form));
    return write_text(form == LT_JSON ? plan_json(*plan->plan) : plan_text(*plan->plan), write, user);
  });
}

lt_status lt_plan_recipe(const lt_plan* plan, lt_write_fn write, void* user) {
  return guarded([&] {
    LT_NOT_NULL(plan);
    LT_NOT_NULL(write);
    return write_text(recipe_write(plan->plan->recipe), write, user);
  });
}

void lt_plan_free(lt_plan* plan) { delete plan; }
