// Sessions that take turns. See comparison.h.
#include "tools/compare/comparison.h"

#include <algorithm>
#include <limits>

#include "tools/data_command.h"
#include "tools/signals.h"
#include "tools/step_times.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace lt::tool {
namespace {

// Steps of one side before the next one has its turn: few, so that what else the machine does meets all of them alike, and
// more than one, since the first step of a turn finds its memory in no cache; the median of the times leaves it out.
constexpr uint64_t turn_steps = 5;

ExitCode failed(lt_status status, Stage stage) {
  complain("%s", lt_last_error());
  return exit_code(status, stage);
}

Words one_if_empty(const Words& words) { return words.empty() ? Words{""} : words; }

// Names the values of those lists that have several.
std::string side_name(const CompareOptions& options, const Side& side) {
  std::string name;
  const auto add = [&](const Words& list, const std::string& value) {
    if (list.size() > 1) name += (name.empty() ? "" : " ") + value;
  };
  add(options.devices, side.device);
  add(options.kernels, side.kernels);
  add(options.precisions, side.precision);
  add(options.threads, format_count_of(side.threads, "thread"));
  return name;
}

}  // namespace

Comparison::Comparison(const CompareOptions& options) : options_(options) {
  for (const std::string& device : one_if_empty(options.devices))
    for (const std::string& kernels : one_if_empty(options.kernels))
      for (const std::string& precision : one_if_empty(options.precisions))
        for (const std::string& threads : one_if_empty(options.threads)) {
          Side side;
          side.device = device.empty() ? "cpu" : device;
          side.kernels = kernels;
          side.precision = precision;
          side.threads = static_cast<uint32_t>(parse_whole_number(threads).value_or(0));
          side.name = side_name(options, side);
          sides_.push_back(std::move(side));
        }
}

ExitCode Comparison::plan(Side* side) {
  lt_config config = make_config(options_.training);
  config.recipe = options_.what.recipe.c_str();
  config.device = side->device.c_str();
  config.kernels = side->kernels.empty() ? nullptr : side->kernels.c_str();
  config.precision = side->precision.empty() ? nullptr : side->precision.c_str();
  config.threads = side->threads;
  lt_plan* plan = nullptr;
  if (const lt_status status = lt_plan_create(&config, &plan)) return failed(status, Stage::plan);
  side->plan_handle.reset(plan);
  side->plan = sized<lt_plan_info>();
  lt_memory memory = sized<lt_memory>();
  if (const lt_status status = lt_plan_get(plan, &side->plan)) return failed(status, Stage::plan);
  if (const lt_status status = lt_plan_memory(plan, &memory)) return failed(status, Stage::plan);
  if (side->plan.inference != 0) {
    complain(
        "model %s is for inference alone ([inference] in its recipe): compare trains, and this cannot be trained; "
        "lean-train bench %s times it, --device and --precision with lists side by side",
        side->plan.model, side->plan.model);
    return ExitCode::usage;
  }
  side->arena_bytes = memory.arena_bytes;
  const Side& base = sides_.front();
  if (side == &base) return ExitCode::ok;
  side->bound = bound_of(base.plan.precision, side->plan.precision, base.plan.optimizer);
  if (options_.bound >= 0)
    side->bound = {options_.bound, options_.bound, std::numeric_limits<double>::infinity(), options_.steps, "--bound"};
  return ExitCode::ok;
}

ExitCode Comparison::open(Side* side) {
  lt_session* session = nullptr;
  if (const lt_status status = lt_session_create(side->plan_handle.get(), nullptr, 0, &session))
    return failed(status, Stage::session);
  side->session.reset(session);
  if (const lt_status status = lt_session_bind(session, LT_TRAIN, data_.train.get())) return failed(status, Stage::data);
  const char* const weights = options_.training.weights.c_str();
  if (*weights != '\0')
    if (const lt_status status = lt_session_load_weights(session, weights, nullptr)) return failed(status, Stage::weights);
  side->reports.reserve(options_.steps);
  return ExitCode::ok;
}

ExitCode Comparison::set_up() {
  for (Side& side : sides_)
    if (const ExitCode code = plan(&side); code != ExitCode::ok) return code;
  const char* const kind = sides_.front().plan.data;
  std::string folder = options_.training.data;
  if (const Fetched texts = prepare_texts_once(kind, &folder, options_.training.quiet); texts.result != Fetched::ok)
    return exit_code_of(texts);
  if (const lt_status status = open_data(kind, folder, &data_)) return failed(status, Stage::data);
  install_signal_handlers(data_.folder.c_str());
  for (Side& side : sides_)
    if (const ExitCode code = open(&side); code != ExitCode::ok) return code;
  if (const ExitCode code = keep_start(); code != ExitCode::ok) return code;
  return compare_weights(0);
}

ExitCode Comparison::steps_of(Side* side, uint64_t last) {
  const std::vector<lt_report>& base = sides_.front().reports;
  while (side->reports.size() < last) {
    lt_report report = sized<lt_report>();
    if (const lt_status status = lt_session_step(side->session.get(), &report)) {
      clear_live_line();
      complain("%s: %s", side->name.c_str(), lt_last_error());
      return exit_code(status, Stage::training);
    }
    side->reports.push_back(report);
    if (side != &sides_.front())
      side->parting.loss_differences.push_back(relative_difference(base[side->reports.size() - 1].loss, report.loss));
  }
  return ExitCode::ok;
}

ExitCode Comparison::read_weights(const Side& side, uint32_t tensor, std::vector<float>* values) const {
  lt_session* const session = side.session.get();
  const char* const name = lt_session_tensor_name(session, tensor);
  uint64_t dims[4] = {}, elements = 1;
  uint32_t rank = 0;
  if (const lt_status status = lt_session_tensor_shape(session, name, dims, &rank)) return failed(status, Stage::session);
  for (uint32_t i = 0; i < rank; ++i) elements *= dims[i];
  values->resize(elements);
  if (const lt_status status = lt_session_read(session, name, values->data(), elements))
    return failed(status, Stage::session);
  return ExitCode::ok;
}

ExitCode Comparison::keep_start() {
  start_.resize(lt_session_tensor_count(sides_.front().session.get()));
  for (uint32_t tensor = 0; tensor < start_.size(); ++tensor)
    if (const ExitCode code = read_weights(sides_.front(), tensor, &start_[tensor]); code != ExitCode::ok) return code;
  return ExitCode::ok;
}

// All sides' weights against the base's, tensor by tensor.
ExitCode Comparison::compare_weights(uint64_t step) {
  std::vector<WeightsDistance> distances(sides_.size(), WeightsDistance(step));
  std::vector<float> of_base, of_side;
  for (uint32_t tensor = 0; tensor < start_.size(); ++tensor) {
    const char* const name = lt_session_tensor_name(sides_.front().session.get(), tensor);
    if (const ExitCode code = read_weights(sides_.front(), tensor, &of_base); code != ExitCode::ok) return code;
    for (size_t side = 1; side < sides_.size(); ++side) {
      if (const ExitCode code = read_weights(sides_[side], tensor, &of_side); code != ExitCode::ok) return code;
      distances[side].add(name, start_[tensor].data(), of_base.data(), of_side.data(), of_base.size());
    }
  }
  for (size_t side = 1; side < sides_.size(); ++side) sides_[side].parting.weights.push_back(distances[side].finish());
  return ExitCode::ok;
}

ExitCode Comparison::run() {
  const bool live = !options_.training.quiet && is_live_terminal(2);
  for (uint64_t done = 0; done < options_.steps;) {
    // A first turn of one step: what is wrong already there is said of step 1.
    const uint64_t last = done == 0 ? 1 : std::min(options_.steps, (done / turn_steps + 1) * turn_steps);
    for (Side& side : sides_) {
      const std::string line = "step " + std::to_string(done) + " of " + std::to_string(options_.steps) + "  " + side.name;
      if (live) draw_live_line(line.c_str());
      if (const ExitCode code = steps_of(&side, last); code != ExitCode::ok) return code;
    }
    if (const ExitCode code = compare_weights(last); code != ExitCode::ok) return code;
    done = last;
  }
  if (live) clear_live_line();
  for (Side& side : sides_) {
    StepTimes times;
    for (const lt_report& report : side.reports) times.add(report.seconds, 1);
    side.median_step_seconds = times.median();
    if (&side != &sides_.front()) side.verdict = judge(side.parting, side.bound);
  }
  return ExitCode::ok;
}

bool Comparison::agrees() const {
  return std::all_of(sides_.begin() + 1, sides_.end(), [](const Side& side) { return side.verdict.agrees; });
}

}  // namespace lt::tool
