// Whole training steps, operation by operation: see bench_ops.h.
#include "tools/bench_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>

#include "src/backend.h"
#include "src/base/bf16.h"
#include "src/base/clock.h"
#include "src/plan/plan.h"
#include "src/run/region.h"
#include "tools/bench_ops_batch.h"
#include "tools/bench_ops_count.h"
#include "tools/terminal.h"

namespace lt::tool {
namespace {

// A plan on one device, with weights and a batch in place.
class Bench {
 public:
  // `alike`: each op on its own, as every device computes it; else as a training has them, updates and lookups joined.
  Status open(const Recipe& recipe, const std::string& device, const std::string& kernels, const BenchOps& what,
              bool alike) {
    PlanRequest request;
    LT_TRY(precision_from_name(what.precision.c_str(), &request.device_config.precision));
    request.recipe = recipe;
    request.device = device;
    request.device_config.kernels = kernels;
    request.device_config.threads = device == "reference" ? 1 : what.threads;
    if (alike) request.fold_least_bytes = fold_nothing;
    LT_TRY(plan_make(request, &plan_));
    LT_TRY(region_.reserve(plan_->program.region_bytes));
    LT_TRY(plan_->device->attach(plan_->program, region_.bytes(), &executor_));
    batch_ = make_ops_batch(*plan_);
    return upload_weights();
  }

  const Plan& plan() const { return *plan_; }
  const Op& op(uint32_t index) const { return plan_->program.ops[index]; }
  // Those of a step: what brings an embedding up to date before it is saved stands behind them.
  uint32_t op_count() const {
    const std::vector<Op>& ops = plan_->program.ops;
    return static_cast<uint32_t>(ops.size()) - (ops.back().kind == OpKind::embedding_catch_up ? 1 : 0);
  }

  Status run(uint32_t index, float learning_rate, uint64_t step) {
    RunArguments arguments;
    arguments.samples = arguments.batch_samples = plan_->program.micro_batch;
    arguments.training = !plan_->program.inference;
    arguments.seed = 1;
    arguments.step = step;
    arguments.learning_rate = learning_rate;
    arguments.momentum = static_cast<float>(plan_->recipe.momentum);
    arguments.x = batch_.x.data();
    arguments.labels = batch_.labels.data();
    arguments.lengths = batch_.lengths.empty() ? nullptr : batch_.lengths.data();
    LT_TRY(executor_->run(index, index + 1, arguments));
    return executor_->synchronize();
  }

  Status read(TensorId tensor, std::vector<float>* values) {
    const Tensor& t = plan_->program.tensors[tensor];
    values->resize(t.bytes / dtype_bytes(t.dtype));
    LT_TRY(executor_->download(tensor, 0, values->data(), t.bytes));
    LT_TRY(executor_->synchronize());
    if (t.dtype != DType::bf16) return Status::ok;
    const auto* const narrow = reinterpret_cast<const Bf16*>(values->data());
    for (size_t i = values->size(); i-- > 0;) {  // from the back: no number is written over before it is read
      Bf16 value;
      std::memcpy(&value, narrow + i, sizeof value);
      (*values)[i] = to_float(value);
    }
    return Status::ok;
  }

  // The op's inputs as the other plan has them, so that rounding in earlier ops (another winner of a max-pool) is not taken
  // for this one's. What a kernel keeps for itself from its forward pass stays its own.
  Status take_inputs(Bench& other, uint32_t index) {
    const Op &to = op(index), &from = other.op(index);
    LT_TRY(take(other, to.x, from.x));
    LT_TRY(take(other, to.gradients, from.gradients));
    if (to.dy == no_tensor) return Status::ok;
    LT_TRY(take(other, to.dy, from.dy));
    LT_TRY(take(other, to.y, from.y));
    LT_TRY(take(other, to.argmax, from.argmax));
    return take(other, to.mask, from.mask);
  }

 private:
  Status take(Bench& other, TensorId to, TensorId from) {
    if (to == no_tensor || from == no_tensor) return Status::ok;
    std::vector<std::byte> bytes(plan_->program.tensors[to].bytes);
    LT_TRY(other.executor_->download(from, 0, bytes.data(), bytes.size()));
    LT_TRY(other.executor_->synchronize());
    LT_TRY(executor_->upload(to, 0, bytes.data(), bytes.size()));
    return executor_->synchronize();
  }

  // Of the size that PyTorch draws them in: activations neither vanish nor grow.
  Status upload_weights() {
    std::vector<float> values;
    for (const Parameter& parameter : plan_->parameters) {
      const double bound = 1 / std::sqrt(static_cast<double>(parameter.fan_in));
      values.resize(parameter.elements());
      for (uint64_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>((2 * uniform(i, parameter.tensor) - 1) * bound);
      LT_TRY(executor_->upload(parameter.tensor, 0, values.data(), values.size() * sizeof(float)));
    }
    return executor_->synchronize();
  }

  std::shared_ptr<const Plan> plan_;
  Region region_;  // as a session has it, huge pages and all
  std::unique_ptr<Executor> executor_;
  OpsBatch batch_;
};

std::string text_of(const Extent& extent) {
  if (extent.height == 1 && extent.width == 1) return std::to_string(extent.channels);
  return std::to_string(extent.channels) + "x" + std::to_string(extent.height) + "x" + std::to_string(extent.width);
}

bool is_conv(const Op& op) { return op.kind == OpKind::conv2d || op.kind == OpKind::conv2d_backward; }

std::string shape_of(const Op& op, uint32_t samples) {
  if (op.parameter_elements != 0 && op.y == no_tensor && op.dy == no_tensor)
    return std::to_string(op.parameter_elements) + " numbers";
  std::string text = std::to_string(samples) + " x " + text_of(op.x_extent);
  if (op.kind != OpKind::softmax_cross_entropy && op.kind != OpKind::input) text += " -> " + text_of(op.y_extent);
  if (is_conv(op)) text += ", " + std::to_string(op.conv.kernel) + "x" + std::to_string(op.conv.kernel);
  return text;
}

std::string title_of(const Op& op) {
  std::string title = op_kind_name(op.kind);
  if (op.residual != no_tensor) title += " + residual";
  if (op.has_pool) title += " + max_pool";
  if (op.has_relu) title += " + relu";
  if (op.dropout > 0) title += " + dropout";
  if (op.folded_update) title += std::string(" + ") + op_kind_name(*op.folded_update);
  return title;
}

// The tensors that an op writes and whose floats lie alike on all devices here. An update writes all parameters.
std::vector<TensorId> outputs_of(const Plan& plan, const Op& op) {
  std::vector<TensorId> tensors;
  if (op.parameters != no_tensor && !plan.program.inference)
    for (const Parameter& parameter : plan.parameters) tensors.push_back(parameter.tensor);
  const bool backward = op.dy != no_tensor;
  for (const TensorId tensor : {backward ? no_tensor : op.y, op.dx, op.dweight, op.dbias})
    if (tensor != no_tensor) tensors.push_back(tensor);
  return tensors;
}

// The largest over the op's outputs. Both have just run the op.
Status compare(Bench& bench, Bench& reference, uint32_t index, double* error) {
  std::vector<float> found, expected;
  const std::vector<TensorId> outputs = outputs_of(bench.plan(), bench.op(index));
  const std::vector<TensorId> others = outputs_of(reference.plan(), reference.op(index));
  for (size_t i = 0; i < outputs.size(); ++i) {
    LT_TRY(bench.read(outputs[i], &found));
    LT_TRY(reference.read(others[i], &expected));
    double differences = 0, squares = 0;
    for (size_t k = 0; k < expected.size(); ++k) {
      const double difference = double{found[k]} - double{expected[k]};
      differences += difference * difference;
      squares += double{expected[k]} * double{expected[k]};
    }
    const double relative = squares > 0 ? std::sqrt(differences / squares) : std::sqrt(differences);
    *error = std::isnan(relative) ? INFINITY : std::max(*error, relative);
  }
  return Status::ok;
}

// The families take turns, step by step, so that whatever else the machine does meets all of them.
Status measure(const BenchOps& what, std::vector<Bench>* benches, std::vector<std::vector<OpTime>>* times) {
  constexpr uint32_t warm_rounds = 2;
  std::vector<std::vector<std::vector<double>>> seconds(benches->size());  // [family][op][round]
  for (size_t k = 0; k < benches->size(); ++k) seconds[k].resize((*benches)[k].op_count());
  for (uint32_t round = 0; round < what.rounds + warm_rounds; ++round) {
    for (size_t k = 0; k < benches->size(); ++k) {
      for (uint32_t i = 0; i < seconds[k].size(); ++i) {
        const double begun = now_seconds();
        LT_TRY((*benches)[k].run(i, 0, round + 1));  // the weights stay
        if (round >= warm_rounds) seconds[k][i].push_back(now_seconds() - begun);
      }
    }
  }
  for (size_t k = 0; k < benches->size(); ++k) {
    for (uint32_t i = 0; i < seconds[k].size(); ++i) {
      std::vector<double>& found = seconds[k][i];
      std::sort(found.begin(), found.end());
      (*times)[k][i].seconds = found[found.size() / 2];
      (*times)[k][i].least_seconds = found.front();
    }
  }
  return Status::ok;
}

void describe(const Bench& bench, const std::string& kernels, OpTime* rows) {
  const Plan& plan = bench.plan();
  for (uint32_t i = 0; i < bench.op_count(); ++i) {
    const Op& op = bench.op(i);
    OpTime& row = rows[i];
    row.model = plan.recipe.name;
    row.op = i;
    row.layer = op.layer;
    row.operation = title_of(op);
    row.shape = shape_of(op, plan.program.micro_batch);
    row.kernels = kernels;
    row.kernel = plan.needs[i].kernel;
    row.threads = plan.device->threads();
    row.operations = 2 * multiply_adds(op, 1).nominal * plan.program.micro_batch;
  }
}

// Every op's error by family, each from the reference's inputs. An op that a training joins with another is found under its
// own name here.
using Errors = std::map<std::string, double>;
std::string key(const Op& op) { return op.layer + " " + op_kind_name(op.kind); }

Status find_errors(const BenchOps& what, const Recipe& recipe, std::vector<Errors>* errors) {
  Bench reference;
  LT_TRY(reference.open(recipe, "reference", "auto", what, true));
  std::vector<Bench> benches(what.kernels.size());
  for (size_t k = 0; k < benches.size(); ++k) LT_TRY(benches[k].open(recipe, "cpu", what.kernels[k], what, true));
  for (uint32_t i = 0; i < reference.op_count(); ++i) {
    for (Bench& bench : benches) LT_TRY(bench.take_inputs(reference, i));
    LT_TRY(reference.run(i, 0.01f, 1));
    for (size_t k = 0; k < benches.size(); ++k) {
      LT_TRY(benches[k].run(i, 0.01f, 1));
      if (outputs_of(reference.plan(), reference.op(i)).empty()) continue;
      double* const error = &(*errors)[k].try_emplace(key(reference.op(i)), -1).first->second;
      LT_TRY(compare(benches[k], reference, i, error));
    }
  }
  return Status::ok;
}

Status bench_recipe(const BenchOps& what, std::vector<OpTime>* rows) {
  const BuiltInRecipe* built_in = built_in_recipe(what.recipe);
  if (!built_in) return fail(Status::argument, "no built-in recipe \"%.60s\"", what.recipe.c_str());
  Recipe recipe;
  LT_TRY(recipe_parse(built_in->text, built_in->name, &recipe));
  std::vector<Errors> errors(what.kernels.size());
  if (what.check) LT_TRY(find_errors(what, recipe, &errors));
  std::vector<Bench> benches(what.kernels.size());
  std::vector<std::vector<OpTime>> times(what.kernels.size());
  for (size_t k = 0; k < benches.size(); ++k) {
    LT_TRY(benches[k].open(recipe, "cpu", what.kernels[k], what, false));
    times[k].resize(benches[k].op_count());
    describe(benches[k], what.kernels[k], times[k].data());
    for (uint32_t i = 0; i < benches[k].op_count(); ++i)
      if (const auto found = errors[k].find(key(benches[k].op(i))); found != errors[k].end())
        times[k][i].error = found->second;
  }
  LT_TRY(measure(what, &benches, &times));
  size_t longest = 0;
  for (const std::vector<OpTime>& family : times) longest = std::max(longest, family.size());
  for (size_t i = 0; i < longest; ++i)
    for (const std::vector<OpTime>& family : times)
      if (i < family.size()) rows->push_back(family[i]);
  return Status::ok;
}

}  // namespace

ExitCode bench_ops(const BenchOps& what, std::vector<OpTime>* rows) {
  const Status status = bench_recipe(what, rows);
  if (ok(status)) return ExitCode::ok;
  complain("%s", last_error());
  return exit_code(static_cast<lt_status>(status), Stage::plan);
}

}  // namespace lt::tool
