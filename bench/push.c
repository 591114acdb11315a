/* Examples pushed one by one against batches in the same order: the speed of both in turns, round after round, and whether
 * the weights are the same bits. Prints one JSON line; exit code 1 where the bits differ.
 *
 *     push [MNIST_FOLDER] [ROUNDS]        without a folder: the built-in digits
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/lean_train.h"

static void need(lt_status status) {
  if (status == LT_OK) return;
  fprintf(stderr, "push: %s\n", lt_last_error());
  exit(2);
}

static double now_seconds(void) {
  struct timespec time;
  timespec_get(&time, TIME_UTC);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int ascending(const void* a, const void* b) {
  return (*(const double*)a > *(const double*)b) - (*(const double*)a < *(const double*)b);
}

static double median(double* values, int n) {
  qsort(values, (size_t)n, sizeof *values, ascending);
  return values[n / 2];
}

int main(int argc, char** argv) {
  enum { max_rounds = 99 };
  const char* folder = argc > 1 && *argv[1] ? argv[1] : NULL;
  int rounds = argc > 2 ? atoi(argv[2]) : 5;
  if (rounds < 1 || rounds > max_rounds) rounds = max_rounds;

  lt_config config;
  lt_plan* plan;
  lt_dataset* digits;
  lt_session *by_batch, *by_push;
  lt_config_init(&config);
  config.recipe = "mnist/cnn-same";
  need(lt_plan_create(&config, &plan));
  lt_plan_info model = {.size = sizeof model};
  need(lt_plan_get(plan, &model));
  need(lt_dataset_open(folder ? "mnist" : "synthetic-digits", folder, LT_TRAIN, 1, &digits));
  lt_dataset_info info = {.size = sizeof info};
  need(lt_dataset_get(digits, &info));
  uint8_t *x = malloc(info.count * info.sample_bytes), *labels = malloc(info.count);
  if (!x || !labels) return 2;
  for (uint64_t i = 0; i < info.count; ++i) {
    uint32_t label;
    need(lt_dataset_read(digits, i, x + i * info.sample_bytes, &label));
    labels[i] = (uint8_t)label;
  }
  need(lt_session_create(plan, NULL, 0, &by_batch));
  need(lt_session_create(plan, NULL, 0, &by_push));

  double batch_seconds[max_rounds], push_seconds[max_rounds], ratios[max_rounds];
  for (int round = 0; round < rounds; ++round) {
    lt_report report = {.size = sizeof report};
    double start = now_seconds();
    for (uint64_t i = 0; i < info.count; i += model.batch) {
      const uint32_t n = (uint32_t)(info.count - i < model.batch ? info.count - i : model.batch);
      need(lt_session_step_on(by_batch, x + i * info.sample_bytes, labels + i, n, &report));
    }
    batch_seconds[round] = now_seconds() - start;
    start = now_seconds();
    for (uint64_t i = 0; i < info.count; ++i) need(lt_session_push(by_push, x + i * info.sample_bytes, labels[i], &report));
    need(lt_session_flush(by_push, &report));
    push_seconds[round] = now_seconds() - start;
    ratios[round] = batch_seconds[round] / push_seconds[round];
  }

  int same = 1;
  for (uint32_t i = 0; i < lt_session_tensor_count(by_batch); ++i) {
    const char* name = lt_session_tensor_name(by_batch, i);
    uint64_t dims[4];
    uint32_t rank;
    need(lt_session_tensor_shape(by_batch, name, dims, &rank));
    const size_t n = (size_t)(dims[0] * dims[1] * dims[2] * dims[3]);
    float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
    if (!a || !b) return 2;
    need(lt_session_read(by_batch, name, a, n));
    need(lt_session_read(by_push, name, b, n));
    same = same && memcmp(a, b, n * sizeof *a) == 0;
    free(a), free(b);
  }
  printf("{\"model\":\"%s\",\"samples\":%" PRIu64
         ",\"rounds\":%d,\"batch_seconds\":%.4f,\"push_seconds\":%.4f,\"speed_of_push\":%.4f,\"same_bits\":%s}\n",
         model.model, info.count, rounds, median(batch_seconds, rounds), median(push_seconds, rounds),
         median(ratios, rounds), same ? "true" : "false");
  lt_session_free(by_batch), lt_session_free(by_push), lt_dataset_free(digits), lt_plan_free(plan);
  free(x), free(labels);
  return same ? 0 : 1;
}
