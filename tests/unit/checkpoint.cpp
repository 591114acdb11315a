// A training that was saved and resumed ends with the same bits as one that was not broken off: every built-in model and
// optimizer, in the middle of an epoch and across its end, in fp32 and bf16, on one thread and two. What is not a whole
// checkpoint of the same training is refused before anything changes.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "src/lean_train.h"
#include "tests/data/temporary_folder.h"

namespace lt::test {
namespace {

using tests::read_file;
using tests::TemporaryFolder;
using tests::write_file;

// Nine batches, the last one short; eight where that is dropped. Small ones: the sanitizers take minutes for more.
constexpr uint32_t batch = 16, sample_count = 130;

constexpr const char* tiny = R"(
name = "tiny"
[input]
shape = [1, 2, 2]
type = "u8"
[training]
batch = 16
epochs = 1
optimizer = "adam"
lr = 0.01
[[layer]]
type = "linear"
name = "fc1"
out_features = 3
[[layer]]
type = "dropout"
rate = 0.25
[[layer]]
type = "linear"
name = "fc2"
out_features = 10
)";

struct Choice {
  std::string recipe = tiny, precision = "fp32", optimizer;
  uint32_t threads = 1, flags = 0;
  uint64_t seed = 1;
  double lr = -1;
};

class Trained {
 public:
  explicit Trained(const Choice& choice, bool bind = true) {
    lt_config config;
    lt_config_init(&config);
    config.recipe = choice.recipe.c_str();
    config.device = "cpu";
    config.kernels = "highway";
    config.precision = choice.precision.c_str();
    config.threads = choice.threads;
    config.seed = choice.seed;
    config.flags = choice.flags;
    config.lr = choice.lr;
    // Full batches stay so.
    if (choice.recipe.starts_with("mnist/cnn") || choice.recipe == "cifar10") config.batch = batch;
    if (!choice.optimizer.empty()) config.optimizer = choice.optimizer.c_str();
    EXPECT_EQ(lt_plan_create(&config, &plan_), LT_OK) << lt_last_error();
    lt_plan_info info{};
    info.size = sizeof info;
    EXPECT_EQ(lt_plan_get(plan_, &info), LT_OK);
    x_.resize(sample_count * info.sample_bytes);
    labels_.resize(sample_count);
    for (size_t i = 0; i < x_.size(); ++i) x_[i] = static_cast<uint8_t>(i * 2654435761u >> 24);
    for (uint32_t i = 0; i < sample_count; ++i) labels_[i] = static_cast<uint8_t>(i % 10);
    EXPECT_EQ(lt_dataset_wrap(x_.data(), labels_.data(), sample_count, info.channels, info.height, info.width, info.classes,
                              &data_),
              LT_OK)
        << lt_last_error();
    EXPECT_EQ(lt_session_create(plan_, nullptr, 0, &session_), LT_OK) << lt_last_error();
    if (!bind) return;
    EXPECT_EQ(lt_session_bind(session_, LT_TRAIN, data_), LT_OK) << lt_last_error();
    EXPECT_EQ(lt_session_bind(session_, LT_TEST, data_), LT_OK) << lt_last_error();
  }
  ~Trained() {
    lt_session_free(session_);
    lt_dataset_free(data_);
    lt_plan_free(plan_);
  }
  lt_session* session() const { return session_; }

  lt_report steps(int count) {
    lt_report report{};
    report.size = sizeof report;
    for (int i = 0; i < count; ++i) EXPECT_EQ(lt_session_step(session_, &report), LT_OK) << lt_last_error();
    return report;
  }
  std::string saved(const std::string& path) {
    EXPECT_EQ(lt_session_save(session_, path.c_str()), LT_OK) << lt_last_error();
    return read_file(path);
  }
  void load(const std::string& path) { ASSERT_EQ(lt_session_load(session_, path.c_str()), LT_OK) << lt_last_error(); }
  // Loading is refused with words of a sentence, and changes nothing.
  void refused(const std::string& path, lt_status status, const std::string& words) {
    TemporaryFolder folder;
    const std::string before = saved(folder / "before");
    EXPECT_EQ(lt_session_load(session_, path.c_str()), status) << words;
    EXPECT_NE(std::string(lt_last_error()).find(words), std::string::npos) << lt_last_error();
    EXPECT_EQ(saved(folder / "after"), before) << words;
  }

 private:
  lt_plan* plan_ = nullptr;
  lt_dataset* data_ = nullptr;
  lt_session* session_ = nullptr;
  std::vector<uint8_t> x_, labels_;
};

// A place of text of the same length.
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

class Resume : public testing::TestWithParam<std::tuple<const char*, const char*, const char*>> {};

TEST_P(Resume, HasTheBitsOfATrainingThatWasNotBrokenOff) {
  const auto [recipe, optimizer, precision] = GetParam();
  TemporaryFolder folder;
  Choice choice;
  choice.recipe = recipe;
  choice.optimizer = optimizer;
  choice.precision = precision;
  // Step 5 is in the middle of an epoch; of steps 6 to 10 one ends it. A full batch ends it with every step.
  Trained whole(choice);
  whole.steps(5);
  const std::string middle = whole.saved(folder / "5");
  const lt_report end = whole.steps(5);
  const std::string final_state = whole.saved(folder / "10");
  for (const uint32_t threads : {1u, 2u}) {
    choice.threads = threads;
    Trained second(choice);
    second.load(folder / "5");
    EXPECT_EQ(second.saved(folder / "5 again"), middle);
    const lt_report report = second.steps(5);
    EXPECT_EQ(second.saved(folder / "10 again"), final_state) << threads << " threads";
    EXPECT_EQ(report.step, end.step);
    EXPECT_EQ(report.epoch, end.epoch);
    EXPECT_EQ(report.batch, end.batch);
    EXPECT_EQ(report.loss, end.loss);
    EXPECT_EQ(report.epoch_loss, end.epoch_loss);
    EXPECT_EQ(report.epoch_accuracy, end.epoch_accuracy);
    EXPECT_EQ(report.epoch_samples, end.epoch_samples);
  }
}

std::string name_of(const testing::TestParamInfo<Resume::ParamType>& info) {
  std::string recipe = std::get<0>(info.param);
  if (recipe == tiny) recipe = "tiny";
  std::string name = recipe + "_" + std::get<1>(info.param) + "_" + std::get<2>(info.param);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, Resume,
                         testing::Combine(testing::Values("mnist/cnn-same", "mnist/cnn-valid", "mnist/linear", "mnist/nn",
                                                          "cifar10"),
                                          testing::Values(""), testing::Values("fp32", "bf16")),
                         name_of);
// Large linear layers are updated in their backward operations (mnist/cnn-same), small ones are not.
INSTANTIATE_TEST_SUITE_P(Optimizers, Resume,
                         testing::Combine(testing::Values(tiny, "mnist/cnn-same"),
                                          testing::Values("sgd", "momentum", "adam"), testing::Values("fp32", "bf16")),
                         name_of);

TEST(Checkpoint, TellsOfAnEpochThatEnded) {
  TemporaryFolder folder;
  Trained run{Choice()};
  const lt_report end = run.steps(9);
  ASSERT_EQ(end.batch, end.batches);
  run.saved(folder / "reached");
  Trained reached{Choice()};
  reached.load(folder / "reached");
  lt_report place{}, test{};
  place.size = test.size = sizeof place;
  int evaluated = -1;
  ASSERT_EQ(lt_session_place(reached.session(), &place, &evaluated), LT_OK);
  EXPECT_EQ(evaluated, 0);
  EXPECT_EQ(place.epoch, 1u);
  EXPECT_EQ(place.batch, end.batches);
  EXPECT_EQ(place.epoch_loss, end.epoch_loss);
  EXPECT_EQ(place.epoch_accuracy, end.epoch_accuracy);
  ASSERT_EQ(lt_session_eval(reached.session(), LT_TEST, &test), LT_OK);
  reached.saved(folder / "evaluated");
  Trained evaluated_run{Choice()};
  evaluated_run.load(folder / "evaluated");
  ASSERT_EQ(lt_session_place(evaluated_run.session(), &place, &evaluated), LT_OK);
  EXPECT_EQ(evaluated, 1);
  EXPECT_EQ(evaluated_run.steps(1).epoch, 2u);
}

TEST(Checkpoint, OfAnotherTrainingIsRefusedByItsFirstDifference) {
  TemporaryFolder folder;
  Trained run{Choice()};
  run.steps(3);
  run.saved(folder / "F");
  const auto other = [&](auto change, const char* words) {
    Choice choice;
    change(&choice);
    Trained(choice).refused(folder / "F", LT_ERR_MISMATCH, words);
  };
  other([](Choice* c) { c->recipe = replaced(tiny, "\"tiny\"", "\"teeny\""); },
        "differs in model: the checkpoint has tiny, this training teeny");
  other([](Choice* c) { c->precision = "bf16"; }, "differs in precision: the checkpoint has fp32, this training bf16");
  other([](Choice* c) { c->recipe = replaced(tiny, "batch = 16", "batch = 32"); },
        "differs in batch: the checkpoint has 16, this training 32");
  other([](Choice* c) { c->lr = 0.5; }, "differs in lr: the checkpoint has 0.01, this training 0.5");
  other([](Choice* c) { c->optimizer = "sgd"; },
        "differs in optimizer: the checkpoint has \"adam\", this training \"sgd\"");
  other([](Choice* c) { c->recipe = replaced(tiny, "out_features = 3", "out_features = 4"); },
        "differs in out_features of \"fc1\"");
  other([](Choice* c) { c->seed = 2; }, "differs in seed: the checkpoint has 1, this training 2");
  other([](Choice* c) { c->flags = LT_NO_SHUFFLE; }, "differs in shuffle");
  other([](Choice* c) { c->flags = LT_NO_DROPOUT; }, "differs in dropout");
  Trained(Choice(), false)
      .refused(folder / "F", LT_ERR_MISMATCH, "differs in data: the checkpoint has memory, this training none");
  // Epochs may differ: they say when to stop.
  Choice longer;
  longer.recipe = replaced(tiny, "epochs = 1", "epochs = 9");
  Trained(longer).load(folder / "F");
}

TEST(Checkpoint, EveryFlippedBitAndEveryCutIsFound) {
  TemporaryFolder folder;
  const std::string path = folder / "F";
  Trained run{Choice()};
  run.steps(2);
  const std::string whole = run.saved(path);
  ASSERT_LT(whole.size(), 8000u);
  Trained other{Choice()};
  const std::string before = other.saved(folder / "before");
  const int file = ::open(path.c_str(), O_WRONLY);
  ASSERT_GE(file, 0);
  for (size_t i = 0; i < whole.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      const char flipped = static_cast<char>(whole[i] ^ (1 << bit));
      ASSERT_EQ(::pwrite(file, &flipped, 1, static_cast<off_t>(i)), 1);
      ASSERT_NE(lt_session_load(other.session(), path.c_str()), LT_OK) << "byte " << i << ", bit " << bit;
      ASSERT_EQ(::pwrite(file, &whole[i], 1, static_cast<off_t>(i)), 1);
    }
  for (size_t length = whole.size(); length-- > 0;) {
    ASSERT_EQ(::ftruncate(file, static_cast<off_t>(length)), 0);
    ASSERT_EQ(lt_session_load(other.session(), path.c_str()), LT_ERR_FORMAT) << length;
  }
  ::close(file);
  EXPECT_EQ(other.saved(folder / "after"), before);
  write_file(path, whole);
  other.load(path);
  EXPECT_EQ(other.saved(folder / "after"), whole);
}

TEST(Checkpoint, ForeignFilesAreRefused) {
  TemporaryFolder folder;
  Trained run{Choice()};
  const std::string tensor = R"({"fc1.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  std::string file(8, '\0');
  file[0] = static_cast<char>(tensor.size());
  write_file(folder / "F", file + tensor + "1234");
  run.refused(folder / "F", LT_ERR_MISMATCH, "is not a checkpoint of lean-train");
  run.refused(folder / "none", LT_ERR_IO, "No such file");
  write_file(folder / "F", "PK\3\4 a zip of PyTorch's");
  run.refused(folder / "F", LT_ERR_FORMAT, "not a safetensors file");
  const std::string whole = run.saved(folder / "F");
  write_file(folder / "F", replaced(whole, "checkpoint 1", "checkpoint 2"));
  run.refused(folder / "F", LT_ERR_FORMAT, "its bytes are not those that were written");
  // The texts of a changed file whose checksum is gone as well.
  write_file(folder / "F", replaced(whole, "\"checksum\"", "\"checksun\""));
  run.refused(folder / "F", LT_ERR_FORMAT, "has lost its checksum");
  EXPECT_EQ(lt_session_load_weights(run.session(), (folder / "F").c_str(), nullptr), LT_ERR_FORMAT);
}

TEST(Checkpoint, EqualStatesAreEqualBytes) {
  TemporaryFolder folder, elsewhere;
  Choice choice;
  Trained first(choice);
  choice.threads = 2;
  choice.recipe = replaced(tiny, "epochs = 1", "epochs = 7");
  Trained second(choice);
  first.steps(4);
  second.steps(4);
  EXPECT_EQ(first.saved(folder / "a"), second.saved(elsewhere / "another name"));
}

TEST(Checkpoint, OlderOnesStay) {
  TemporaryFolder folder;
  Trained run{Choice()};
  ASSERT_EQ(lt_session_save_to(run.session(), (folder / "F").c_str(), 2), LT_OK) << lt_last_error();
  std::vector<std::string> states;
  for (int i = 0; i < 5; ++i) {
    run.steps(1);
    ASSERT_EQ(lt_session_checkpoint(run.session()), LT_OK) << lt_last_error();
    ASSERT_EQ(lt_session_checkpoint_finish(run.session()), LT_OK) << lt_last_error();
    states.push_back(read_file(folder / "F"));
  }
  EXPECT_EQ(read_file(folder / "F.1"), states[3]);
  EXPECT_EQ(read_file(folder / "F.2"), states[2]);
  EXPECT_FALSE(std::filesystem::exists(folder / "F.3"));
  Trained older{Choice()};
  older.load(folder / "F.2");
  older.steps(2);
  EXPECT_EQ(older.saved(folder / "again"), states[4]);
}

TEST(Checkpoint, OneWriterAtATime) {
  TemporaryFolder folder;
  const std::string path = folder / "F";
  {
    Trained first{Choice()}, second{Choice()};
    ASSERT_EQ(lt_session_checkpoint(first.session()), LT_ERR_STATE);
    ASSERT_EQ(lt_session_save_to(first.session(), path.c_str(), 0), LT_OK) << lt_last_error();
    EXPECT_EQ(lt_session_save_to(second.session(), path.c_str(), 0), LT_ERR_IO);
    EXPECT_NE(std::string(lt_last_error()).find("another training saves there"), std::string::npos) << lt_last_error();
    EXPECT_EQ(lt_session_save(second.session(), path.c_str()), LT_ERR_IO);
    EXPECT_FALSE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path + ".lock"));
  Trained third{Choice()};
  third.saved(path);
}

// What a killed process leaves is a lock file that nobody holds.
TEST(Checkpoint, AStaleLockIsNoHindrance) {
  TemporaryFolder folder;
  write_file(folder / "F.lock", "");
  Trained run{Choice()};
  run.saved(folder / "F");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(Checkpoint, FilesAreReadThroughTheInterface) {
  TemporaryFolder folder;
  Trained run{Choice()};
  run.steps(1);
  run.saved(folder / "F");
  lt_file* file = nullptr;
  ASSERT_EQ(lt_file_open((folder / "F").c_str(), &file), LT_OK) << lt_last_error();
  lt_tensor_info info{};
  info.size = sizeof info;
  ASSERT_EQ(lt_file_tensor_count(file), 12u);
  ASSERT_EQ(lt_file_tensor_get(file, 0, &info), LT_OK);
  EXPECT_STREQ(info.name, "fc1.weight");
  EXPECT_EQ(info.offset % 64, 0u);
  EXPECT_EQ(info.bytes, 48u);
  ASSERT_EQ(lt_file_tensor_get(file, 5, &info), LT_OK);
  EXPECT_STREQ(info.name, "optimizer.fc1.weight.exp_avg_sq");
  EXPECT_EQ(lt_file_tensor_get(file, 12, &info), LT_ERR_ARG);
  int present = -1;
  EXPECT_EQ(lt_file_check(file, &present), LT_OK);
  EXPECT_EQ(present, 1);
  EXPECT_STREQ(lt_file_text(file, "step"), "1");
  EXPECT_EQ(lt_file_text(file, "time"), nullptr);
  lt_config config;
  lt_config_init(&config);
  ASSERT_EQ(lt_file_config(file, &config), LT_OK) << lt_last_error();
  EXPECT_EQ(config.epochs, 0u);
  lt_plan* plan = nullptr;
  EXPECT_EQ(lt_plan_create(&config, &plan), LT_OK) << lt_last_error();
  lt_plan_free(plan);
  lt_file_free(file);
}

}  // namespace
}  // namespace lt::test
