// Features of a small ResNet that PyTorch computed (make_golden.py), on every device and kernel choice of this machine: the
// names of a state dict, batch norms folded into convolutions, residuals, strides and both pools. One thread drives.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "src/lean_train.h"
#include "tests/feature_distance.h"
#include "tests/golden/golden_file.h"
#include "tests/golden/kernel_choices.h"

namespace lt::test {
namespace {

struct PlanFree {
  void operator()(lt_plan* plan) const { lt_plan_free(plan); }
};
struct SessionFree {
  void operator()(lt_session* session) const { lt_session_free(session); }
};

struct Opened {
  std::unique_ptr<lt_plan, PlanFree> plan;
  std::unique_ptr<lt_session, SessionFree> session;  // before the plan, which it stands on, is freed
};

class Features : public testing::Test {
 protected:
  const std::string path = std::string(LT_GOLDEN_FOLDER) + "/resnet.safetensors";
  const GoldenFile golden{path};
  const std::string recipe = golden.metadata("recipe");
  const std::vector<uint8_t> x = golden.read<uint8_t>("x");
  const std::vector<float> expected = golden.read<float>("features");
  const uint32_t samples = static_cast<uint32_t>(golden.shape("features")[0]);

  lt_status open(const char* device, const char* kernels, const char* precision, uint32_t batch, Opened* opened) {
    lt_config config;
    lt_config_init(&config);
    config.recipe = recipe.c_str();
    config.device = device;
    config.kernels = kernels;
    config.precision = precision;
    config.batch = batch;
    lt_plan* plan = nullptr;
    lt_session* session = nullptr;
    lt_status status = lt_plan_create(&config, &plan);
    opened->plan.reset(plan);
    if (status == LT_OK) status = lt_session_create(plan, nullptr, 0, &session);
    opened->session.reset(session);
    return status;
  }
  // On what the machine takes by itself, with the recipe's batch.
  void open(const char* device, Opened* opened) {
    ASSERT_EQ(open(device, nullptr, nullptr, 0, opened), LT_OK) << lt_last_error();
  }

  // The largest distance of a picture's features from PyTorch's, by their length; negative where the machine lacks what is
  // asked for.
  double distance(const char* device, const char* kernels, const char* precision, uint32_t batch) {
    Opened opened;
    const lt_status status = open(device, kernels, precision, batch, &opened);
    if (status == LT_ERR_DEVICE || status == LT_ERR_UNSUPPORTED) return -1;
    EXPECT_EQ(status, LT_OK) << lt_last_error();
    const auto& session = opened.session;
    uint32_t ignored = 0;
    EXPECT_EQ(lt_session_load_weights(session.get(), path.c_str(), &ignored), LT_OK) << lt_last_error();
    EXPECT_EQ(ignored, 4u + 15) << "x, features and fc.*, and num_batches_tracked of each norm";
    std::vector<float> found(expected.size());
    EXPECT_EQ(lt_session_forward(session.get(), x.data(), samples, found.data(), found.size()), LT_OK) << lt_last_error();
    return feature_distance(found, expected, expected.size() / samples);
  }
};

TEST_F(Features, AreThoseOfPyTorch) {
  ASSERT_GE(distance("cpu", "auto", "fp32", 9), 0) << lt_last_error();
  for (const std::string& kernels : kernel_choices())
    // Batches of 9 have their weights prepared once, those of 1 and 4 not.
    for (const uint32_t batch : {1u, 4u, 9u}) {
      EXPECT_LT(distance("cpu", kernels.c_str(), "fp32", batch), 2e-6) << kernels << ", batch " << batch;
      EXPECT_LT(distance("cpu", kernels.c_str(), "bf16", batch), 2e-2) << kernels << ", batch " << batch;
    }
  EXPECT_LT(distance("reference", "auto", "fp32", 9), 2e-6);
  EXPECT_LT(distance("reference", "auto", "bf16", 9), 2e-2);
}

// A cosine similarity of 0.99 and more is what features in 8 bits are used for; this small model's channels are few and
// errors do not average out as in a large one (0.9999 there).
TEST_F(Features, InBytesPointTheSameWay) {
  std::vector<std::pair<const char*, std::string>> choices = {{"reference", "auto"}};
  for (const std::string& kernels : kernel_choices()) choices.emplace_back("cpu", kernels);
  for (const auto& [device, kernels] : choices) {
    Opened opened;
    const lt_status status = open(device, kernels.c_str(), "int8", 0, &opened);
    if (status == LT_ERR_DEVICE || status == LT_ERR_UNSUPPORTED) {
      EXPECT_TRUE(kernels != "auto" && kernels != "highway") << lt_last_error();
      continue;
    }
    ASSERT_EQ(status, LT_OK) << lt_last_error();
    const auto& session = opened.session;
    std::vector<float> found(expected.size());
    EXPECT_EQ(lt_session_forward(session.get(), x.data(), samples, found.data(), found.size()), LT_ERR_STATE);
    ASSERT_EQ(lt_session_load_weights(session.get(), path.c_str(), nullptr), LT_OK) << lt_last_error();
    ASSERT_EQ(lt_session_calibrate(session.get(), x.data(), samples), LT_OK) << lt_last_error();
    ASSERT_EQ(lt_session_forward(session.get(), x.data(), samples, found.data(), found.size()), LT_OK) << lt_last_error();
    const size_t features = expected.size() / samples;
    for (size_t first = 0; first < found.size(); first += features) {
      double product = 0, one = 0, other = 0;
      for (size_t i = first; i < first + features; ++i) {
        product += double{found[i]} * double{expected[i]};
        one += double{found[i]} * double{found[i]};
        other += double{expected[i]} * double{expected[i]};
      }
      EXPECT_GE(product / std::sqrt(one * other), 0.99) << device << " " << kernels;
    }
    // Other weights have other ranges.
    ASSERT_EQ(lt_session_load_weights(session.get(), path.c_str(), nullptr), LT_OK) << lt_last_error();
    EXPECT_EQ(lt_session_forward(session.get(), x.data(), samples, found.data(), found.size()), LT_ERR_STATE);
    EXPECT_NE(std::string(lt_last_error()).find("calibrate"), std::string::npos) << lt_last_error();
  }
}

TEST_F(Features, OfNewWeightsAreNew) {
  Opened opened;
  ASSERT_NO_FATAL_FAILURE(open("cpu", &opened));
  const auto& session = opened.session;
  std::vector<float> drawn(expected.size()), loaded(expected.size());
  ASSERT_EQ(lt_session_forward(session.get(), x.data(), samples, drawn.data(), drawn.size()), LT_OK) << lt_last_error();
  ASSERT_EQ(lt_session_load_weights(session.get(), path.c_str(), nullptr), LT_OK) << lt_last_error();
  ASSERT_EQ(lt_session_forward(session.get(), x.data(), samples, loaded.data(), loaded.size()), LT_OK) << lt_last_error();
  EXPECT_NE(drawn, loaded);
  for (size_t i = 0; i < loaded.size(); ++i) ASSERT_NEAR(loaded[i], expected[i], 1e-4);
}

TEST_F(Features, AreAllThatAModelForInferenceHas) {
  Opened opened;
  ASSERT_NO_FATAL_FAILURE(open("reference", &opened));
  const auto& session = opened.session;
  lt_report report{};
  report.size = sizeof report;
  const uint8_t label = 0;
  EXPECT_EQ(lt_session_step_on(session.get(), x.data(), &label, 1, &report), LT_ERR_STATE);
  EXPECT_NE(std::string(lt_last_error()).find("inference alone"), std::string::npos) << lt_last_error();
  EXPECT_EQ(lt_session_push(session.get(), x.data(), 0, &report), LT_ERR_STATE);
  EXPECT_EQ(lt_session_eval(session.get(), LT_TEST, &report), LT_ERR_STATE);
  EXPECT_EQ(lt_session_save(session.get(), "never-written.safetensors"), LT_ERR_STATE);
  std::vector<float> y(64);
  EXPECT_EQ(lt_session_predict(session.get(), x.data(), 1, y.data(), y.size()), LT_ERR_STATE);
  EXPECT_EQ(lt_session_forward(session.get(), x.data(), 1, y.data(), y.size() - 1), LT_ERR_ARG);
}

}  // namespace
}  // namespace lt::test
