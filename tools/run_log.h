// The run log: one JSON object a line, written with write(2) from fixed buffers, a record at a time, so that a killed run
// leaves whole lines. A failing log never ends the training: it is said once, and the exit code tells. Main thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "src/lean_train.h"
#include "tools/exit_code.h"
#include "tools/json_record.h"
#include "tools/mistakes.h"

namespace lt::tool {

// What the run record says.
struct RunFacts {
  std::string command, model, data;
  lt_plan_info plan;
  uint64_t arena_bytes, train_samples, test_samples;
  uint64_t skipped_train_samples = 0, skipped_test_samples = 0;  // --skip-bad; not among the samples above
  uint64_t cut_train_samples = 0, cut_test_samples = 0;          // longer in their file than the model's time steps
  uint64_t resumed_step = 0;                                     // 0: from the beginning
  uint64_t weights_bytes = 0;                                    // of features: as the kernels read them
  std::string side, base;  // of a comparison (`compare`): its name, and the side that it is compared with ("": itself)
};

// What the end record says. Accuracies are negative and hashes empty where there is none.
struct RunEnd {
  const char* status = "ok";  // or "stopped", or the name of the exit code
  int exit_code = 0;
  const char* error = "";
  double seconds = 0, first_step_seconds = -1, median_step_seconds = -1;
  uint64_t steps = 0, epochs = 0;
  double train_accuracy = -1, test_accuracy = -1, best_test_accuracy = -1;
  uint64_t best_epoch = 0;
  uint64_t arena_bytes = 0, peak_rss_bytes = 0, peak_anonymous_bytes = 0;
  char data_hash[33] = "", test_data_hash[33] = "";
};

class RunLog {
 public:
  RunLog() = default;
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  // Replaces the file, or goes on behind what it has. False, with errno set, where it cannot be made.
  bool open(const std::string& path, bool append);
  bool is_open() const { return fd_ >= 0; }
  bool failed() const { return failed_; }

  void run(const RunFacts& facts);
  // Puts the hash, known only now, into the run record already written (where the file is no pipe).
  void set_data_hash(const char* hash);
  // One record an operation ("op") and one a tensor ("plan"): what lives where, from which operation to which.
  void plan(const lt_plan* plan);
  void step(const lt_report& report);
  // The same of a side of a comparison: how far it is from the base by then; NaN where that was not looked at.
  void step(const lt_report& report, double loss_difference, double weights_distance);
  // A step of a model that is not trained.
  void batch(uint64_t step, double seconds, uint32_t images);
  void epoch(const lt_report& train, const lt_report& test);
  // One record ("mistakes") a sample. Images travel with it, as base64 of their bytes, channel by channel, so that a report
  // needs no data set.
  void mistakes(const std::vector<Mistake>& mistakes, const lt_dataset* test, const lt_dataset_info& info);
  void end(std::string_view record);
  // Everything is handed to the kernel and the file closed; false where anything failed.
  bool close();

 private:
  void write(std::string_view record);
  void keep_failure(int error);

  std::string path_;
  int fd_ = -1;
  int64_t begin_ = 0;  // of our records in the file
  bool failed_ = false;
  size_t hash_offset_ = 0;  // in the file
};

// The end record: the log's last line, and what --json prints.
JsonRecord end_record(const RunFacts& facts, const RunEnd& end);

}  // namespace lt::tool
