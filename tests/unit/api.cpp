// The C API on a toy problem: every way to train gives what it should, bad arguments are refused, nothing is half done.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "src/lean_train.h"

namespace {

constexpr uint32_t side = 8, classes = 3, sample_count = 50;

const char recipe_text[] = R"(
name = "toy"
[input]
shape = [1, 8, 8]
scale = 0.01
[training]
batch = 16
epochs = 2
optimizer = "adam"
lr = 0.01
[[layer]]
type = "conv2d"
name = "conv1"
out_channels = 5
kernel = 3
padding = 1
[[layer]]
type = "max_pool"
kernel = 2
[[layer]]
type = "relu"
[[layer]]
type = "linear"
name = "fc1"
out_features = 20
[[layer]]
type = "relu"
[[layer]]
type = "dropout"
rate = 0.3
[[layer]]
type = "linear"
name = "fc2"
out_features = 3
)";

struct FreePlan {
  void operator()(lt_plan* p) const { lt_plan_free(p); }
};
struct FreeSession {
  void operator()(lt_session* s) const { lt_session_free(s); }
};
struct FreeDataset {
  void operator()(lt_dataset* d) const { lt_dataset_free(d); }
};
using PlanHandle = std::unique_ptr<lt_plan, FreePlan>;
using SessionHandle = std::unique_ptr<lt_session, FreeSession>;
using DatasetHandle = std::unique_ptr<lt_dataset, FreeDataset>;

struct Machine {
  const char *device, *precision;
};

class Api : public ::testing::TestWithParam<Machine> {
 protected:
  // Class c is bright in its own rows.
  void SetUp() override {
    uint32_t state = 7;
    for (uint32_t i = 0; i < sample_count; ++i) {
      labels_.push_back(static_cast<uint8_t>(i % classes));
      for (uint32_t p = 0; p < side * side; ++p) {
        state = state * 1664525u + 1013904223u;
        x_.push_back(static_cast<uint8_t>((state >> 26) + (p / side / 2 == i % classes ? 120 : 0)));
      }
    }
    lt_dataset* dataset = nullptr;
    ASSERT_EQ(lt_dataset_wrap(x_.data(), labels_.data(), sample_count, 1, side, side, classes, &dataset), LT_OK)
        << lt_last_error();
    dataset_.reset(dataset);
  }

  lt_config config() const {
    lt_config result;
    lt_config_init(&result);
    result.recipe = recipe_text;
    result.device = GetParam().device;
    result.precision = GetParam().precision;
    return result;
  }

  PlanHandle plan(const lt_config& config) const {
    lt_plan* plan = nullptr;
    EXPECT_EQ(lt_plan_create(&config, &plan), LT_OK) << lt_last_error();
    return PlanHandle(plan);
  }

  SessionHandle session(const PlanHandle& plan) const {
    lt_session* session = nullptr;
    EXPECT_EQ(lt_session_create(plan.get(), nullptr, 0, &session), LT_OK) << lt_last_error();
    EXPECT_EQ(lt_session_bind(session, LT_TRAIN, dataset_.get()), LT_OK) << lt_last_error();
    EXPECT_EQ(lt_session_bind(session, LT_TEST, dataset_.get()), LT_OK);
    return SessionHandle(session);
  }

  static std::vector<float> weights(lt_session* session) {
    std::vector<float> all;
    for (uint32_t i = 0; i < lt_session_tensor_count(session); ++i) {
      uint64_t dims[4];
      uint32_t rank = 0;
      const char* name = lt_session_tensor_name(session, i);
      EXPECT_EQ(lt_session_tensor_shape(session, name, dims, &rank), LT_OK);
      std::vector<float> values(dims[0] * dims[1] * dims[2] * dims[3]);
      EXPECT_EQ(lt_session_read(session, name, values.data(), values.size()), LT_OK) << lt_last_error();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

  static bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  }

  static double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
    double largest = a.size() == b.size() ? 0 : 1e9;
    for (size_t i = 0; i < a.size() && i < b.size(); ++i) largest = std::fmax(largest, std::fabs(a[i] - b[i]));
    return largest;
  }

  static lt_report report() {
    lt_report result{};
    result.size = sizeof result;
    return result;
  }

  std::vector<uint8_t> x_, labels_;
  DatasetHandle dataset_;
};

TEST_P(Api, Learns) {
  const PlanHandle p = plan(config());
  const SessionHandle s = session(p);
  lt_report first = report(), last = report();
  ASSERT_EQ(lt_session_eval(s.get(), LT_TEST, &first), LT_OK) << lt_last_error();
  for (int epoch = 1; epoch <= 20; ++epoch) {
    ASSERT_EQ(lt_session_epoch(s.get(), &last), LT_OK) << lt_last_error();
    EXPECT_EQ(last.epoch, static_cast<uint64_t>(epoch));
    EXPECT_EQ(last.step, static_cast<uint64_t>(4 * epoch));
    EXPECT_EQ(last.batches, 4u);
    EXPECT_EQ(last.samples, 2u);  // the last, short batch
    EXPECT_EQ(last.epoch_samples, sample_count);
  }
  ASSERT_EQ(lt_session_eval(s.get(), LT_TEST, &last), LT_OK);
  EXPECT_EQ(last.samples, sample_count);
  EXPECT_LT(last.loss, 0.3 * first.loss);
  EXPECT_GT(last.accuracy, 0.95);
  std::vector<float> probabilities(sample_count * classes);
  ASSERT_EQ(lt_session_predict(s.get(), x_.data(), sample_count, probabilities.data(), probabilities.size()), LT_OK)
      << lt_last_error();
  uint32_t correct = 0;
  for (uint32_t i = 0; i < sample_count; ++i) {
    const float* row = &probabilities[i * classes];
    EXPECT_NEAR(row[0] + row[1] + row[2], 1, 1e-5);
    correct += row[labels_[i]] >= *std::max_element(row, row + classes);
  }
  EXPECT_NEAR(correct / static_cast<double>(sample_count), last.accuracy, 1e-9);
  std::vector<float> part(3 * classes);
  ASSERT_EQ(lt_session_predict_split(s.get(), LT_TEST, 5, 3, part.data(), part.size()), LT_OK) << lt_last_error();
  EXPECT_EQ(part, std::vector<float>(&probabilities[5 * classes], &probabilities[8 * classes]));
  EXPECT_EQ(lt_session_predict_split(s.get(), LT_TEST, sample_count - 2, 3, part.data(), part.size()), LT_ERR_ARG);
}

TEST_P(Api, ThreeWaysGiveTheSameBits) {
  lt_config asked = config();
  asked.flags = LT_NO_SHUFFLE;
  const PlanHandle p = plan(asked);
  const SessionHandle by_set = session(p), by_batch = session(p), by_push = session(p);
  lt_report r = report();
  for (int epoch = 0; epoch < 2; ++epoch) {
    ASSERT_EQ(lt_session_epoch(by_set.get(), &r), LT_OK);
    for (uint32_t first = 0; first < sample_count; first += 16)
      ASSERT_EQ(lt_session_step_on(by_batch.get(), &x_[first * side * side], &labels_[first],
                                   std::min(16u, sample_count - first), &r),
                LT_OK);
    uint32_t steps = 0;
    for (uint32_t i = 0; i < sample_count; ++i) {
      ASSERT_EQ(lt_session_push(by_push.get(), &x_[i * side * side], labels_[i], &r), LT_OK) << lt_last_error();
      steps += r.samples > 0;
    }
    EXPECT_EQ(steps, 3u);
    ASSERT_EQ(lt_session_flush(by_push.get(), &r), LT_OK);
    EXPECT_EQ(r.samples, 2u);
    ASSERT_EQ(lt_session_flush(by_push.get(), &r), LT_OK);
    EXPECT_EQ(r.samples, 0u);
  }
  EXPECT_TRUE(same_bits(weights(by_set.get()), weights(by_batch.get())));
  EXPECT_TRUE(same_bits(weights(by_set.get()), weights(by_push.get())));
}

TEST_P(Api, SameSeedSameBitsAnotherSeedOthers) {
  lt_config asked = config();
  const PlanHandle p = plan(asked);
  asked.seed = 2;
  const PlanHandle other = plan(asked);
  const SessionHandle a = session(p), b = session(p), c = session(other);
  EXPECT_TRUE(same_bits(weights(a.get()), weights(b.get())));
  EXPECT_FALSE(same_bits(weights(a.get()), weights(c.get())));
  lt_report r = report();
  for (const SessionHandle* s : {&a, &b, &c}) ASSERT_EQ(lt_session_epoch(s->get(), &r), LT_OK);
  EXPECT_TRUE(same_bits(weights(a.get()), weights(b.get())));
}

TEST_P(Api, MemoryCapTrainsToTheSameWeightsWithinRounding) {
  lt_config asked = config();
  const PlanHandle whole = plan(asked);
  lt_memory memory{};
  memory.size = sizeof memory;
  ASSERT_EQ(lt_plan_memory(whole.get(), &memory), LT_OK);
  asked.memory_cap_bytes = memory.arena_bytes - 4096;
  const PlanHandle split = plan(asked);
  lt_plan_info info{};
  info.size = sizeof info;
  ASSERT_EQ(lt_plan_get(split.get(), &info), LT_OK);
  EXPECT_LT(info.micro_batch, 16u);
  const SessionHandle a = session(whole), b = session(split);
  for (int step = 0; step < 8; ++step) {
    lt_report ra = report(), rb = report();
    ASSERT_EQ(lt_session_step(a.get(), &ra), LT_OK);
    ASSERT_EQ(lt_session_step(b.get(), &rb), LT_OK);
    EXPECT_NEAR(ra.loss, rb.loss, 1e-5 * ra.loss);
  }
  EXPECT_LT(largest_difference(weights(a.get()), weights(b.get())), 1e-3);
}

TEST_P(Api, FullBatchIsOneStepAnEpoch) {
  lt_config asked = config();
  std::string text = recipe_text;
  text.replace(text.find("batch = 16"), 10, "batch = \"all\"");
  asked.recipe = text.c_str();
  asked.flags = LT_NO_DROPOUT;
  const PlanHandle p = plan(asked);
  const SessionHandle s = session(p);
  lt_report r = report();
  ASSERT_EQ(lt_session_epoch(s.get(), &r), LT_OK);
  EXPECT_EQ(r.batches, 1u);
  EXPECT_EQ(r.samples, sample_count);
  EXPECT_EQ(lt_session_push(s.get(), x_.data(), 0, &r), LT_ERR_STATE);
}

TEST_P(Api, ShortLastBatchesAreDroppedWhereTheRecipeSaysSo) {
  lt_config asked = config(), kept = config();
  std::string text = recipe_text;
  text.replace(text.find("batch = 16"), 10, "batch = 16\nlast_batch = \"drop\"");
  asked.recipe = text.c_str();
  asked.flags = kept.flags = LT_NO_SHUFFLE;
  const PlanHandle p = plan(asked), q = plan(kept);
  const SessionHandle s = session(p), other = session(q);
  lt_report r = report();
  lt_report last = report();
  for (uint64_t step = 1; step <= 6; ++step) {
    ASSERT_EQ(lt_session_step(s.get(), &r), LT_OK) << lt_last_error();
    ASSERT_EQ(lt_session_step(other.get(), &last), LT_OK);
    EXPECT_EQ(r.epoch, step <= 3 ? 1u : 2u);
    EXPECT_EQ(r.batch, (step - 1) % 3 + 1);
    EXPECT_EQ(r.batches, 3u);
    EXPECT_EQ(r.samples, 16u);
    EXPECT_EQ(r.epoch_samples, 16 * r.batch);
    // Then comes the other's short batch.
    EXPECT_EQ(same_bits(weights(s.get()), weights(other.get())), step <= 3) << "step " << step;
    EXPECT_EQ(last.samples, step == 4 ? 2u : 16u);
  }
  ASSERT_EQ(lt_session_eval(s.get(), LT_TEST, &r), LT_OK);
  EXPECT_EQ(r.samples, sample_count);  // every sample is tested
  EXPECT_EQ(lt_session_step_on(s.get(), x_.data(), labels_.data(), 3, &r), LT_OK);

  asked.batch = sample_count;  // the whole set is one whole batch
  const PlanHandle whole = plan(asked);
  const SessionHandle once = session(whole);
  ASSERT_EQ(lt_session_epoch(once.get(), &r), LT_OK) << lt_last_error();
  EXPECT_EQ(r.batches, 1u);
  asked.batch = sample_count + 1;
  const PlanHandle larger = plan(asked);
  lt_session* raw = nullptr;
  ASSERT_EQ(lt_session_create(larger.get(), nullptr, 0, &raw), LT_OK);
  const SessionHandle none(raw);
  EXPECT_EQ(lt_session_bind(raw, LT_TRAIN, dataset_.get()), LT_ERR_MISMATCH);
  for (const char* word : {"50 samples", "51", "last_batch"})
    EXPECT_NE(std::string(lt_last_error()).find(word), std::string::npos) << lt_last_error();
  EXPECT_EQ(lt_session_bind(raw, LT_TEST, dataset_.get()), LT_OK);
}

TEST_P(Api, SavedWeightsLoadIntoTheSameBits) {
  const std::string path = ::testing::TempDir() + "lean-train-api-" + std::to_string(getpid()) + ".safetensors";
  const PlanHandle p = plan(config());
  const SessionHandle a = session(p), b = session(p);
  lt_report r = report();
  ASSERT_EQ(lt_session_epoch(a.get(), &r), LT_OK);
  ASSERT_EQ(lt_session_save(a.get(), path.c_str()), LT_OK) << lt_last_error();
  uint32_t ignored = 9;
  ASSERT_EQ(lt_session_load_weights(b.get(), path.c_str(), &ignored), LT_OK) << lt_last_error();
  EXPECT_EQ(ignored, 0u);
  EXPECT_TRUE(same_bits(weights(a.get()), weights(b.get())));
  ASSERT_EQ(truncate(path.c_str(), 1000), 0);
  EXPECT_EQ(lt_session_load_weights(b.get(), path.c_str(), &ignored), LT_ERR_FORMAT);
  EXPECT_TRUE(same_bits(weights(a.get()), weights(b.get())));
  unlink(path.c_str());
  EXPECT_EQ(lt_session_load_weights(b.get(), path.c_str(), nullptr), LT_ERR_IO);
  EXPECT_EQ(lt_session_save(a.get(), "/nonexistent/x.safetensors"), LT_ERR_IO);
}

TEST_P(Api, WeightsOfAnotherModelAreRefused) {
  const std::string path = ::testing::TempDir() + "lean-train-other-" + std::to_string(getpid()) + ".safetensors";
  lt_config asked = config();
  const PlanHandle p = plan(asked);
  std::string text = recipe_text;
  text.replace(text.find("out_features = 20"), 17, "out_features = 21");
  asked.recipe = text.c_str();
  const PlanHandle other = plan(asked);
  const SessionHandle a = session(p), b = session(other);
  ASSERT_EQ(lt_session_save(b.get(), path.c_str()), LT_OK);
  const std::vector<float> before = weights(a.get());
  EXPECT_EQ(lt_session_load_weights(a.get(), path.c_str(), nullptr), LT_ERR_MISMATCH);
  EXPECT_NE(std::string(lt_last_error()).find("fc1.weight"), std::string::npos) << lt_last_error();
  EXPECT_TRUE(same_bits(before, weights(a.get())));
  unlink(path.c_str());
}

TEST_P(Api, NonFiniteLossStopsAndNamesTheStepAndTheOperation) {
  const PlanHandle p = plan(config());
  const SessionHandle s = session(p);
  lt_report r = report();
  ASSERT_EQ(lt_session_step(s.get(), &r), LT_OK);
  std::vector<float> bias(20, std::numeric_limits<float>::max());
  std::vector<float> weight(classes * 20, std::numeric_limits<float>::max());
  ASSERT_EQ(lt_session_write(s.get(), "fc1.bias", bias.data(), bias.size()), LT_OK);
  ASSERT_EQ(lt_session_write(s.get(), "fc2.weight", weight.data(), weight.size()), LT_OK);
  const std::vector<float> before = weights(s.get());
  EXPECT_EQ(lt_session_step(s.get(), &r), LT_ERR_NUMERIC);
  EXPECT_NE(std::string(lt_last_error()).find("step 2: the output of fc"), std::string::npos) << lt_last_error();
  EXPECT_TRUE(same_bits(before, weights(s.get())));
  bias[3] = std::numeric_limits<float>::quiet_NaN();
  ASSERT_EQ(lt_session_write(s.get(), "fc1.bias", bias.data(), bias.size()), LT_OK);
  EXPECT_EQ(lt_session_step(s.get(), &r), LT_ERR_NUMERIC);
  EXPECT_NE(std::string(lt_last_error()).find("fc1.bias"), std::string::npos) << lt_last_error();
}

TEST_P(Api, StopEndsTheEpochAfterAWholeStep) {
  const PlanHandle p = plan(config());
  const SessionHandle s = session(p);
  lt_session_on_event(
      s.get(),
      [](void* user, const lt_report* r) {
        if (r->batch == 2) lt_session_request_stop(static_cast<lt_session*>(user));
      },
      s.get());
  lt_report r = report();
  EXPECT_EQ(lt_session_epoch(s.get(), &r), LT_STOPPED);
  EXPECT_EQ(r.batch, 2u);
  lt_session_on_event(s.get(), nullptr, nullptr);
  EXPECT_EQ(lt_session_epoch(s.get(), &r), LT_OK);
  EXPECT_EQ(r.batch, 4u);
  EXPECT_EQ(r.epoch, 1u);
}

TEST_P(Api, CallersArena) {
  const PlanHandle p = plan(config());
  lt_memory memory{};
  memory.size = sizeof memory;
  ASSERT_EQ(lt_plan_memory(p.get(), &memory), LT_OK);
  void* arena = std::aligned_alloc(memory.alignment, memory.arena_bytes + memory.alignment);
  std::memset(arena, 0x5a, memory.arena_bytes + memory.alignment);
  lt_session* s = nullptr;
  EXPECT_EQ(lt_session_create(p.get(), arena, memory.arena_bytes - 1, &s), LT_ERR_NOMEM);
  EXPECT_NE(std::string(lt_last_error()).find(std::to_string(memory.arena_bytes)), std::string::npos) << lt_last_error();
  EXPECT_EQ(lt_session_create(p.get(), arena, 1024, &s), LT_ERR_NOMEM);
  EXPECT_NE(std::string(lt_last_error()).find("that fits: 0"), std::string::npos) << lt_last_error();
  EXPECT_EQ(lt_session_create(p.get(), static_cast<char*>(arena) + 64, memory.arena_bytes, &s), LT_ERR_ARG);
  EXPECT_EQ(s, nullptr);
  ASSERT_EQ(lt_session_create(p.get(), arena, memory.arena_bytes, &s), LT_OK) << lt_last_error();
  ASSERT_EQ(lt_session_bind(s, LT_TRAIN, dataset_.get()), LT_OK);
  const SessionHandle own = session(p);
  lt_report r = report();
  ASSERT_EQ(lt_session_epoch(s, &r), LT_OK);
  ASSERT_EQ(lt_session_epoch(own.get(), &r), LT_OK);
  EXPECT_TRUE(same_bits(weights(s), weights(own.get())));
  lt_session_free(s);
  for (uint64_t i = 0; i < memory.alignment; ++i) ASSERT_EQ(static_cast<char*>(arena)[memory.arena_bytes + i], 0x5a) << i;
  std::free(arena);
}

TEST_P(Api, BadArgumentsAreRefused) {
  lt_config asked = config();
  const PlanHandle p = plan(asked);
  const SessionHandle s = session(p);
  lt_plan* none = nullptr;
  lt_report r = report();
  EXPECT_EQ(lt_plan_create(nullptr, &none), LT_ERR_ARG);
  EXPECT_EQ(lt_plan_create(&asked, nullptr), LT_ERR_ARG);
  uint32_t length = 0;
  EXPECT_EQ(lt_dataset_length(dataset_.get(), sample_count - 1, &length), LT_OK);
  EXPECT_EQ(length, side);
  EXPECT_EQ(lt_dataset_length(dataset_.get(), sample_count, &length), LT_ERR_ARG);
  EXPECT_EQ(lt_dataset_length(dataset_.get(), 0, nullptr), LT_ERR_ARG);
  for (const char* recipe : {"", "mnist/cnn", "a = b", "\n"}) {
    asked.recipe = recipe;
    EXPECT_EQ(lt_plan_create(&asked, &none), LT_ERR_ARG) << recipe;
  }
  const std::string long_name(4096, 'x');
  asked.recipe = long_name.c_str();
  EXPECT_EQ(lt_plan_create(&asked, &none), LT_ERR_ARG);
  const auto refused = [&](auto change) {
    lt_config wrong = config();
    change(wrong);
    const lt_status status = lt_plan_create(&wrong, &none);
    return status == LT_ERR_ARG || status == LT_ERR_DEVICE;
  };
  EXPECT_TRUE(refused([](lt_config& c) { c.size = 0; }));
  EXPECT_TRUE(refused([](lt_config& c) { c.size = sizeof c + 8; }));
  EXPECT_TRUE(refused([](lt_config& c) { c.recipe = nullptr; }));
  EXPECT_TRUE(refused([](lt_config& c) { c.device = "tpu"; }));
  EXPECT_TRUE(refused([](lt_config& c) { c.precision = "fp8"; }));
  EXPECT_TRUE(refused([](lt_config& c) { c.optimizer = "lion"; }));
  EXPECT_TRUE(refused([](lt_config& c) { c.flags = 1u << 20; }));
  EXPECT_TRUE(refused([](lt_config& c) { c.lr = NAN; }));
  EXPECT_TRUE(refused([](lt_config& c) { c.momentum = 2; }));
  EXPECT_EQ(none, nullptr);
  r.size = 0;
  EXPECT_EQ(lt_session_step(s.get(), &r), LT_ERR_ARG);
  r.size = sizeof r + 1;
  EXPECT_EQ(lt_session_step(s.get(), &r), LT_ERR_ARG);
  r.size = sizeof r;
  EXPECT_EQ(lt_session_step(nullptr, &r), LT_ERR_ARG);
  EXPECT_EQ(lt_session_step(s.get(), nullptr), LT_ERR_ARG);
  EXPECT_EQ(lt_session_step_on(s.get(), x_.data(), labels_.data(), 17, &r), LT_ERR_ARG);
  EXPECT_EQ(lt_session_step_on(s.get(), x_.data(), labels_.data(), 0, &r), LT_ERR_ARG);
  const uint8_t wrong_label = classes;
  EXPECT_EQ(lt_session_step_on(s.get(), x_.data(), &wrong_label, 1, &r), LT_ERR_ARG);
  EXPECT_EQ(lt_session_push(s.get(), x_.data(), classes, &r), LT_ERR_ARG);
  float value = 0;
  EXPECT_EQ(lt_session_read(s.get(), "fc9.weight", &value, 1), LT_ERR_ARG);
  EXPECT_EQ(lt_session_read(s.get(), "fc2.weight", &value, 1), LT_ERR_ARG);
  EXPECT_EQ(lt_session_predict(s.get(), x_.data(), 1, &value, 1), LT_ERR_ARG);
  lt_session* unbound = nullptr;
  ASSERT_EQ(lt_session_create(p.get(), nullptr, 0, &unbound), LT_OK);
  EXPECT_EQ(lt_session_step(unbound, &r), LT_ERR_STATE);
  EXPECT_EQ(lt_session_eval(unbound, LT_TEST, &r), LT_ERR_STATE);
  EXPECT_EQ(lt_session_predict_split(unbound, LT_TEST, 0, 1, &value, 1), LT_ERR_STATE);
  lt_session_free(unbound);
  lt_session_free(nullptr);
  lt_plan_free(nullptr);
  lt_dataset_free(nullptr);
}

TEST_P(Api, RecipesInEffectAreWrittenOut) {
  lt_config asked = config();
  asked.lr = 0.125;
  asked.batch = 5;
  const PlanHandle p = plan(asked);
  std::string text;
  ASSERT_EQ(lt_plan_recipe(
                p.get(),
                [](void* user, const void* bytes, size_t n) {
                  static_cast<std::string*>(user)->append(static_cast<const char*>(bytes), n);
                  return 0;
                },
                &text),
            LT_OK);
  EXPECT_NE(text.find("lr = 0.125"), std::string::npos) << text;
  lt_config again = config();
  again.recipe = text.c_str();
  lt_plan_info info{};
  info.size = sizeof info;
  ASSERT_EQ(lt_plan_get(plan(again).get(), &info), LT_OK);
  EXPECT_EQ(info.batch, 5u);
  EXPECT_EQ(info.lr, 0.125);
  EXPECT_EQ(lt_plan_describe(
                p.get(), LT_TEXT, [](void*, const void*, size_t) { return 1; }, nullptr),
            LT_ERR_IO);
}

INSTANTIATE_TEST_SUITE_P(Devices, Api,
                         ::testing::Values(Machine{"reference", "fp32"}, Machine{"cpu", "fp32"},
                                           Machine{"reference", "bf16"}, Machine{"cpu", "bf16"}),
                         [](const auto& param) { return std::string(param.param.device) + "_" + param.param.precision; });

}  // namespace
