// Replays what PyTorch did (make_golden.py) through the C API on every device and kernel choice of this machine: shapes and
// names, probabilities, the first step's gradients, every loss, the final weights. One thread drives; sessions own their
// memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "src/lean_train.h"
#include "tests/golden/golden_file.h"
#include "tests/golden/kernel_choices.h"

namespace lt::test {
namespace {

const char* const models[] = {"cnn-same", "cnn-same-momentum", "cnn-valid", "linear", "nn", "cifar10", "gru", "bigru",
                              "bilstm"};

struct Choice {
  std::string device, kernels;
  friend std::ostream& operator<<(std::ostream& out, const Choice& choice) {
    return out << choice.device << " " << choice.kernels;
  }
};

std::vector<Choice> choices() {
  std::vector<Choice> found;
  for (uint32_t i = 0; i < lt_device_count(); ++i) {
    lt_device_info info{};
    info.size = sizeof info;
    if (lt_device_get(i, &info) != LT_OK || !info.usable) continue;
    const std::string device = info.name;
    for (const std::string& kernels : kernel_choices())
      if (device == "cpu" || kernels == "auto") found.push_back({device, kernels});
  }
  return found;
}

struct PlanFree {
  void operator()(lt_plan* plan) const { lt_plan_free(plan); }
};
struct SessionFree {
  void operator()(lt_session* session) const { lt_session_free(session); }
};
using Plan = std::unique_ptr<lt_plan, PlanFree>;
using Session = std::unique_ptr<lt_session, SessionFree>;

// The largest difference, and the largest value to see it beside.
struct Distance {
  double difference = 0, largest = 0;
};

Distance distance(const std::vector<float>& found, const std::vector<float>& expected) {
  Distance result;
  if (found.size() != expected.size()) return {INFINITY, 0};
  for (size_t i = 0; i < found.size(); ++i) {
    const double difference = std::fabs(double{found[i]} - double{expected[i]});
    result.difference = std::isnan(difference) ? INFINITY : std::max(result.difference, difference);
    result.largest = std::max(result.largest, std::fabs(double{expected[i]}));
  }
  return result;
}

class Replay : public testing::TestWithParam<std::tuple<const char*, Choice>> {
 protected:
  Replay()
      : golden(std::string(LT_GOLDEN_FOLDER) + "/" + std::get<0>(GetParam()) + ".safetensors"),
        recipe(golden.metadata("recipe")) {
    const Choice& choice = std::get<1>(GetParam());
    lt_config_init(&config);
    config.recipe = recipe.c_str();
    config.device = choice.device.c_str();
    config.kernels = choice.kernels.c_str();
    config.flags = LT_NO_DROPOUT;
    x = golden.read<uint8_t>("x");
    labels = golden.read<uint8_t>("labels");
    for (const int32_t n : golden.read<int32_t>("steps")) steps.push_back(static_cast<uint32_t>(n));
    losses = golden.read<double>("losses");
    sample_bytes = x.size() / labels.size();
  }

  // False where the machine lacks what the choice asks for (a kernel library that is not installed, instructions), and
  // where a device has no kernels for sequences.
  bool open() {
    lt_plan* made = nullptr;
    const lt_status status = lt_plan_create(&config, &made);
    plan.reset(made);
    const std::string& kernels = std::get<1>(GetParam()).kernels;
    if (status == LT_ERR_UNSUPPORTED && recipe.find("steps = ") != std::string::npos) return false;
    if (status == LT_ERR_DEVICE && kernels != "auto" && kernels != "highway") return false;
    EXPECT_EQ(status, LT_OK) << lt_last_error();
    lt_session* begun = nullptr;
    EXPECT_EQ(lt_session_create(plan.get(), nullptr, 0, &begun), LT_OK) << lt_last_error();
    session.reset(begun);
    for (const std::string& name : golden.parameters()) {
      const std::vector<float> values = golden.read<float>("initial/" + name);
      EXPECT_EQ(lt_session_write(session.get(), name.c_str(), values.data(), values.size()), LT_OK) << lt_last_error();
    }
    return session != nullptr;
  }

  std::vector<float> read(const std::string& name) {
    std::vector<float> values(golden.read<float>("initial/" + name).size());
    EXPECT_EQ(lt_session_read(session.get(), name.c_str(), values.data(), values.size()), LT_OK) << lt_last_error();
    return values;
  }

  double step(size_t index) {
    if (first + steps[index] > labels.size()) first = 0;
    lt_report report{};
    report.size = sizeof report;
    EXPECT_EQ(lt_session_step_on(session.get(), &x[first * sample_bytes], &labels[first], steps[index], &report), LT_OK)
        << lt_last_error();
    EXPECT_EQ(report.samples, steps[index]);
    EXPECT_EQ(report.step, index + 1);
    first += steps[index];
    return report.loss;
  }

  // All steps. The bounds are those of float sums over a few hundred terms, carried through twelve steps; Adam divides by
  // the gradient's own size, so that a weight whose gradient is close to nothing feels the rounding most.
  void replay() {
    for (size_t i = 0; i < steps.size(); ++i) EXPECT_NEAR(step(i), losses[i], 2e-5 * losses[i]) << "step " << i + 1;
    for (const std::string& name : golden.parameters())
      EXPECT_LT(distance(read(name), golden.read<float>("final/" + name)).difference, 2e-5) << name;
  }

  GoldenFile golden;
  std::string recipe;
  lt_config config{};
  Plan plan;
  Session session;
  std::vector<uint8_t> x, labels;
  std::vector<uint32_t> steps;
  std::vector<double> losses;
  size_t sample_bytes = 0, first = 0;
};

TEST_P(Replay, HasPyTorchsNamesAndShapes) {
  if (!open()) GTEST_SKIP() << lt_last_error();
  EXPECT_EQ(lt_session_tensor_count(session.get()), golden.parameters().size());
  for (const std::string& name : golden.parameters()) {
    uint64_t dims[4] = {};
    uint32_t rank = 0;
    ASSERT_EQ(lt_session_tensor_shape(session.get(), name.c_str(), dims, &rank), LT_OK) << lt_last_error();
    EXPECT_EQ(std::vector<uint64_t>(dims, dims + rank), golden.shape("initial/" + name)) << name;
    EXPECT_EQ(read(name), golden.read<float>("initial/" + name)) << name << ": written and read back";
  }
}

TEST_P(Replay, GivesTheSameProbabilities) {
  if (!open()) GTEST_SKIP() << lt_last_error();
  const std::vector<float> expected = golden.read<float>("probabilities");
  std::vector<float> found(expected.size());
  ASSERT_EQ(lt_session_predict(session.get(), x.data(), steps[0], found.data(), found.size()), LT_OK) << lt_last_error();
  EXPECT_LT(distance(found, expected).difference, 1e-6);
}

TEST_P(Replay, GivesTheSameGradients) {
  config.optimizer = "sgd";  // with a rate of one, the step is the gradient
  config.lr = 1;
  if (!open()) GTEST_SKIP() << lt_last_error();
  EXPECT_NEAR(step(0), losses[0], 2e-6 * losses[0]);
  for (const std::string& name : golden.parameters()) {
    std::vector<float> gradient = golden.read<float>("initial/" + name);
    const std::vector<float> after = read(name);
    for (size_t i = 0; i < gradient.size(); ++i) gradient[i] -= after[i];
    const Distance apart = distance(gradient, golden.read<float>("gradient/" + name));
    // Where only its last step counts, the other direction takes one step, from zeros: its recurrent weights have none.
    const bool from_zeros = name.find("weight_hh") != std::string::npos && name.ends_with("_reverse") && apart.largest == 0;
    EXPECT_TRUE(from_zeros || apart.largest > (name.starts_with("rnn.") ? 1e-4 : 1e-3))
        << name << ": a gradient of nothing proves nothing";
    EXPECT_LT(apart.difference, 1e-6 * std::max(1.0, apart.largest)) << name;
  }
}

TEST_P(Replay, LosesAndEndsAlike) {
  if (!open()) GTEST_SKIP() << lt_last_error();
  replay();
}

TEST_P(Replay, LosesAndEndsAlikeInALittleMemory) {
  if (!open()) GTEST_SKIP() << lt_last_error();
  lt_memory memory{};
  lt_plan_info info{};
  memory.size = sizeof memory;
  info.size = sizeof info;
  ASSERT_EQ(lt_plan_memory(plan.get(), &memory), LT_OK);
  // The least cap that a plan can be made under, to a page: between what cannot do and what does.
  uint64_t too_little = memory.parameters_bytes + memory.state_bytes, enough = memory.arena_bytes;
  lt_plan* made = nullptr;
  while (enough - too_little > 4096) {
    config.memory_cap_bytes = too_little + (enough - too_little) / 2;
    lt_plan* tried = nullptr;
    if (lt_plan_create(&config, &tried) == LT_OK) {
      enough = config.memory_cap_bytes;
      lt_plan_free(made);
      made = tried;
    } else {
      too_little = config.memory_cap_bytes;
    }
  }
  config.memory_cap_bytes = enough;
  ASSERT_NE(made, nullptr) << lt_last_error();
  ASSERT_EQ(lt_plan_get(made, &info), LT_OK);
  ASSERT_EQ(lt_plan_memory(made, &memory), LT_OK);
  lt_plan_free(made);
  EXPECT_LT(info.micro_batch, steps[0]);
  EXPECT_LE(memory.arena_bytes, config.memory_cap_bytes);
  session.reset();
  ASSERT_TRUE(open());
  replay();
}

std::string name_of(const testing::TestParamInfo<Replay::ParamType>& info) {
  const Choice& choice = std::get<1>(info.param);
  std::string name = std::string(std::get<0>(info.param)) + "_" + choice.device + "_" + choice.kernels;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Golden, Replay, testing::Combine(testing::ValuesIn(models), testing::ValuesIn(choices())),
                         name_of);

}  // namespace
}  // namespace lt::test
