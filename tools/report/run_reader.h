// A run log read back: what its records say, checked and bounded, ready to be drawn. Records and fields that are not known
// here are skipped, since logs of later versions have more of them. Closing only; any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tools/exit_code.h"

namespace lt::tool {

inline constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

struct StepRecord {
  uint64_t step = 0;
  double loss = no_number, seconds = no_number;
  double loss_difference = no_number, weights_distance = no_number;  // of a comparison's side, from its base
};

struct EpochRecord {
  uint64_t epoch = 0, steps = 0;
  double train_loss = no_number, train_accuracy = no_number, test_loss = no_number, test_accuracy = no_number;
  double seconds = no_number, samples_per_second = no_number;
};

struct OpRecord {
  std::string layer, operation, kernel;
  uint64_t scratch_bytes = 0;
};

struct TensorRecord {
  std::string name, segment, part_of;
  uint64_t offset = 0, bytes = 0, first_op = 0, last_op = 0;
};

struct MistakeRecord {
  uint64_t index = 0, label = 0, predicted = 0;
  double loss = no_number, probability = no_number;
  uint32_t channels = 0, height = 0, width = 0;
  std::vector<uint8_t> pixels;  // channel by channel; empty where the log has none
};

// Numbers that the log lacks are NaN.
struct Run {
  std::string path;
  std::string name;  // the file's, without folders and ".jsonl"; whoever reads several makes them differ
  std::string command, model, device, device_name, kernels, precision, data;
  std::string side, compared_with;  // of `compare`: the side's name, and its base's ("" of the base); both "" of a training
  double batch = no_number, arena_bytes = no_number;
  std::vector<std::pair<std::string, std::string>> settings;  // the run record's, in its order, as text
  std::vector<StepRecord> steps;
  std::vector<EpochRecord> epochs;
  std::vector<OpRecord> ops;
  std::vector<TensorRecord> tensors;
  std::vector<MistakeRecord> mistakes;
  std::string status = "unfinished";  // the end record's
  double seconds = no_number, first_step_seconds = no_number, median_step_seconds = no_number;
  double best_test_accuracy = no_number, peak_anonymous_bytes = no_number, peak_rss_bytes = no_number;
  std::vector<std::string> notes;  // sentences: what the reader of the report has to know about this log

  // "mnist/cnn-same", "cifar10": the built-in recipe's name, whichever command trained it.
  std::string recipe() const;
  // The median of the epochs; by the median step where no epoch was finished. NaN where the log tells neither.
  double samples_per_second() const;
};

// Appends the run of a log, or the sides of a comparison's. Says what is wrong, with file and line, where the result is not
// ok: io where the file cannot be read, data where it is no run log. A last line that is cut short becomes a note.
ExitCode read_runs(const std::string& path, std::vector<Run>* runs);

}  // namespace lt::tool
