// Where the time from the start of main to the first finished step on a GPU goes, part by part. Prints one JSON line.
//
// usage: gpu-start-up RECIPE KERNELS PRECISION DATA      such as: gpu-start-up mnist/cnn-same auto fp32 synthetic-digits
#include <chrono>
#include <cstdio>
#include <string>

#include "tests/cuda/small_training.h"
#include "tests/gpu/counted_libraries.h"

namespace {

using namespace lt::cuda;

class Parts {
 public:
  // Ends the part that began with the one before, and prints it with the driver's calls that it made.
  void end(const char* name) {
    const auto now = std::chrono::steady_clock::now();
    std::printf("%s\"%s\": {\"seconds\": %.6f", first_ ? "" : ", ", name,
                std::chrono::duration<double>(now - begun_).count());
    counted::for_each(
        [](void*, const char* function, const counted::Calls& calls) {
          if (calls.seconds >= 1e-4) std::printf(", \"%s\": %.6f", function, calls.seconds);
        },
        nullptr);
    std::printf("}");
    counted::reset_calls();
    first_ = false;
    begun_ = std::chrono::steady_clock::now();
  }

 private:
  bool first_ = true;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

int stop(const char* what) {
  std::fprintf(stderr, "%s: %s\n", what, lt_last_error());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: gpu-start-up RECIPE KERNELS PRECISION DATA\n");
    return 2;
  }
  lt_config config;
  lt_config_init(&config);
  config.recipe = argv[1];
  config.device = "cuda";
  config.kernels = argv[2];
  config.precision = argv[3];
  const auto begun = std::chrono::steady_clock::now();
  Parts parts;
  lt_plan* plan = nullptr;
  std::printf("{\"parts\": {");
  if (lt_plan_create(&config, &plan) != LT_OK) return stop("plan");
  const PlanPtr plan_owner(plan);
  parts.end("open the device and plan");
  lt_dataset* opened[2] = {};
  for (const lt_split split : {LT_TRAIN, LT_TEST})
    if (lt_dataset_open(argv[4], nullptr, split, 1, &opened[split]) != LT_OK) return stop("data");
  const DatasetPtr train(opened[LT_TRAIN]), test(opened[LT_TEST]);
  parts.end("data");
  lt_session* session = nullptr;
  if (lt_session_create(plan, nullptr, 0, &session) != LT_OK) return stop("session");
  const SessionPtr session_owner(session);
  parts.end("memory, kernels and initial weights");
  if (lt_session_bind(session, LT_TRAIN, train.get()) != LT_OK || lt_session_bind(session, LT_TEST, test.get()) != LT_OK)
    return stop("bind");
  parts.end("data to the device");
  lt_report report{};
  report.size = sizeof report;
  if (lt_session_step(session, &report) != LT_OK) return stop("step");
  parts.end("capture and first step");
  if (lt_session_step(session, &report) != LT_OK) return stop("step");
  parts.end("second step");
  if (lt_session_eval(session, LT_TEST, &report) != LT_OK) return stop("evaluation");
  parts.end("first evaluation");
  std::printf("}, \"seconds\": %.6f}\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  return 0;
}
