// Checkpoints: one safetensors file that a training goes on from as if it had never ended. Weights under PyTorch's names,
// the optimizer's numbers of each under "optimizer.NAME.momentum_buffer" or "optimizer.NAME.exp_avg" and ".exp_avg_sq",
// both in PyTorch's shapes; and texts in the metadata:
//
//   format         "pt"
//   lean_train     "checkpoint 1": the version of this list
//   checksum       "xxh3-128:..." (src/base/safetensors_checksum.h)
//   model, recipe  the recipe's name, and the recipe as it is in effect (TOML) but for the number of epochs
//   precision, seed, shuffle, dropout; skip_bad where it is "true"
//   data           name of the training set, or "" where batches were the caller's; data_hash: 32 digits
//   vocabulary_hash   of words: 32 digits of the file that tells them, or "" where there is none
//   step, epoch    steps done; passes finished
//   position       samples of the present pass that were used
//   epoch_end      "no"; "reached" where the last step ended a pass; "evaluated" where the test set was gone over since
//   epoch_samples, epoch_loss_sum, epoch_correct   sums over the pass, or over the one just ended
//   best_epoch, best_test_accuracy   the pass after which the test set was answered best, and how well; 0 before the first
//
// No time, path, device, number of threads or version, and no word on when the training shall end: equal states are equal
// bytes.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "src/backend.h"
#include "src/base/digest.h"
#include "src/base/file.h"
#include "src/base/safetensors.h"
#include "src/base/status.h"
#include "src/plan/plan.h"
#include "src/run/weights.h"

namespace lt {

// Letters of a data set's name that a checkpoint has room for.
inline constexpr size_t checkpoint_name_most = 31;

enum class EpochEnd : uint8_t { no, reached, evaluated };

// What a training goes on from, besides its weights and the optimizer's state.
struct TrainingPlace {
  uint64_t step = 0, epoch = 0;
  uint32_t position = 0;
  EpochEnd epoch_end = EpochEnd::no;
  uint64_t epoch_samples = 0, epoch_correct = 0;
  double epoch_loss_sum = 0;
  uint64_t best_epoch = 0;  // 0: none was tested after
  double best_test_accuracy = 0;
};

// The training set: its name, and 32 digits of its hash; both empty where there is none. Of words their file's hash.
struct TrainingData {
  std::string name, hash, vocabulary_hash;
};

inline constexpr char checkpoint_version[] = "checkpoint 1", optimizer_prefix[] = "optimizer.";

// A tensor of the file.
struct CheckpointTensor {
  std::string name;
  const Parameter* parameter;  // whose shape and order it has
  WeightPlace place;
};
// In the file's order. They point into the plan.
std::vector<CheckpointTensor> checkpoint_tensors(const Plan& plan);
// The recipe in effect without its number of epochs.
std::string checkpoint_recipe(const Recipe& recipe);

// Writes one checkpoint after the other to the same path. `prepare` allocates, starts a thread and takes the path's lock,
// which is held as long as the object lives; what comes after allocates nothing. Memory: a row of the largest tensor, or
// 256 KiB where that is more, and 64 KiB of the thread's. Used by the session's thread.
class CheckpointWriter {
 public:
  explicit CheckpointWriter(const Plan& plan) : plan_(plan) {}
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // The `keep` files before the last one stay as PATH.1 (the youngest), PATH.2 ...
  Status prepare(const char* path, uint32_t keep);
  // Copies the state into a new file. The thread reads it back, makes it durable and puts it in its place; a failure there
  // is told by the next call.
  Status write(Executor* executor, const TrainingPlace& place, const TrainingData& data);
  // Waits until the last file written is in its place.
  Status finish();

 private:
  Status write_file(Executor* executor, const TrainingPlace& place, const TrainingData& data);
  void compose_header(const TrainingPlace& place, const TrainingData& data);
  Status write_tensor(Executor* executor, const CheckpointTensor& tensor, Digest* digest);
  void run_thread();
  Status settle();

  const Plan& plan_;
  FileLock lock_;
  FileReplacement file_;
  std::vector<CheckpointTensor> tensors_;
  std::string head_, tail_;  // of the header: what never changes, in front of and behind what does
  std::vector<char> header_;
  std::vector<float> rows_;
  uint64_t file_bytes_ = 0;

  std::vector<char> read_back_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool pending_ = false, closing_ = false;  // under the mutex, as is what follows
  char digits_[digest_digits] = {};
  Status settled_ = Status::ok;
  char error_[error_text_bytes] = "";
};

// Brings weights and the optimizer's state from a file, and says where the training was. Everything is checked, the
// checksum first, before anything changes: Status::format where the file is broken, mismatch, with the first field that
// differs, where it is of another training. `data`: of the bound training set; `epoch_samples` its samples of a pass, 0
// where none is bound.
Status checkpoint_load(const char* path, const Plan& plan, const TrainingData& data, uint32_t epoch_samples,
                       Executor* executor, TrainingPlace* place);

// Whether a reader's file is a whole checkpoint of a version that is known.
Status checkpoint_check(const SafetensorsReader& reader);
// The weights alone are there and have the model's shapes; `found` in the order of the plan's parameters.
// Null for a bias that is a batch norm's.
Status weights_find(const SafetensorsReader& reader, const Plan& plan, std::vector<const SafetensorsEntry*>* found);
// One tensor of floats, by name and dims.
Status weights_find_tensor(const SafetensorsReader& reader, const Plan& plan, const std::string& name,
                           const std::vector<uint64_t>& dims, const SafetensorsEntry** found);

}  // namespace lt
