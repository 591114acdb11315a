/* A program that trains through the C API alone, as a user's own would: C11, one header, a memory block of its own.
 *
 *   embed [FOLDER]        MNIST from FOLDER; without it the built-in synthetic digits
 *
 * The same samples in the same order go in by three ways: a data set, batches of the caller's, and single examples from
 * which the library forms the batches. All three have to end with the same bits. Owns every block it hands to the
 * library; one thread. Exit status 0 where all checks hold. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lean_train.h"

enum { batch = 64, batches = 6, tail = 17, sample_count = batch * batches + tail, epochs = 2, warm_steps = 110 };

static int failures;

static void check(int holds, const char* format, ...) {
  va_list arguments;
  if (holds) return;
  failures++;
  va_start(arguments, format);
  fputs("failed: ", stderr);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

/* For calls without which the rest makes no sense. */
static void need(lt_status status, const char* call) {
  if (status == LT_OK) return;
  fprintf(stderr, "failed: %s: %s: %s\n", call, lt_status_name(status), lt_last_error());
  exit(1);
}

static void expect(lt_status status, lt_status expected, const char* call) {
  check(status == expected, "%s: %s, expected %s", call, lt_status_name(status), lt_status_name(expected));
  check(status == LT_OK || strlen(lt_last_error()) > 5, "%s: the error is told in no sentence", call);
}

/* A session with a memory block of the caller's, and what it was trained to. */
typedef struct {
  void* arena;
  lt_session* session;
  double losses[epochs];
} Run;

static lt_report new_report(void) {
  lt_report report;
  memset(&report, 0, sizeof report);
  report.size = sizeof report;
  return report;
}

static Run start(const lt_plan* plan, const lt_memory* memory) {
  Run run = {NULL, NULL, {0}};
  run.arena = aligned_alloc((size_t)memory->alignment, (size_t)((memory->arena_bytes + memory->alignment - 1) /
                                                                memory->alignment * memory->alignment));
  if (run.arena == NULL) exit(1);
  memset(run.arena, 0xAB, (size_t)memory->arena_bytes); /* what lay there before must not matter */
  need(lt_session_create(plan, run.arena, (size_t)memory->arena_bytes, &run.session), "lt_session_create");
  return run;
}

static void finish(Run* run) {
  lt_session_free(run->session);
  free(run->arena);
}

static void train_on_data_set(Run* run, const lt_dataset* dataset) {
  lt_report report = new_report();
  need(lt_session_bind(run->session, LT_TRAIN, dataset), "lt_session_bind");
  for (int epoch = 0; epoch < epochs; epoch++) {
    need(lt_session_epoch(run->session, &report), "lt_session_epoch");
    check(report.epoch_samples == sample_count, "an epoch has %" PRIu64 " samples, expected %d", report.epoch_samples,
          sample_count);
    check(report.batches == batches + 1 && report.batch == batches + 1, "an epoch has %" PRIu64 " steps, expected %d",
          report.batches, batches + 1);
    check(report.samples == tail, "the last step has %" PRIu32 " samples, expected %d", report.samples, tail);
    run->losses[epoch] = report.epoch_loss;
  }
  check(report.step == epochs * (batches + 1), "%" PRIu64 " steps are done, expected %d", report.step,
        epochs * (batches + 1));
}

static void train_on_batches(Run* run, const uint8_t* x, const uint8_t* labels, size_t sample_bytes) {
  for (int epoch = 0; epoch < epochs; epoch++)
    for (uint32_t first = 0; first < sample_count; first += batch) {
      const uint32_t n = sample_count - first < batch ? sample_count - first : batch;
      lt_report report = new_report();
      need(lt_session_step_on(run->session, x + first * sample_bytes, labels + first, n, &report), "lt_session_step_on");
      run->losses[epoch] += report.loss * n;
    }
}

static void train_on_examples(Run* run, const uint8_t* x, const uint8_t* labels, size_t sample_bytes) {
  for (int epoch = 0; epoch < epochs; epoch++) {
    int steps = 0;
    for (uint32_t i = 0; i < sample_count; i++) {
      lt_report report = new_report();
      need(lt_session_push(run->session, x + i * sample_bytes, labels[i], &report), "lt_session_push");
      check(report.samples == ((i + 1) % batch == 0 ? batch : 0), "push %" PRIu32 " stepped on %" PRIu32 " samples", i,
            report.samples);
      if (report.samples != 0) steps++, run->losses[epoch] += report.loss * report.samples;
    }
    lt_report report = new_report();
    need(lt_session_flush(run->session, &report), "lt_session_flush");
    check(steps == batches && report.samples == tail, "%d steps and then %" PRIu32 " samples to flush", steps,
          report.samples);
    run->losses[epoch] += report.loss * report.samples;
  }
}

/* Every parameter of both sessions, bit for bit. */
static void compare_bits(lt_session* a, lt_session* b, const char* ways) {
  const uint32_t tensors = lt_session_tensor_count(a);
  check(tensors == lt_session_tensor_count(b) && tensors > 0, "%s: %" PRIu32 " tensors", ways, tensors);
  for (uint32_t t = 0; t < tensors; t++) {
    const char* name = lt_session_tensor_name(a, t);
    uint64_t dims[4] = {1, 1, 1, 1};
    uint32_t rank = 0;
    need(lt_session_tensor_shape(a, name, dims, &rank), "lt_session_tensor_shape");
    size_t n = 1;
    for (uint32_t d = 0; d < rank; d++) n *= (size_t)dims[d];
    float *left = malloc(n * sizeof *left), *right = malloc(n * sizeof *right);
    if (left == NULL || right == NULL) exit(1);
    need(lt_session_read(a, name, left, n), "lt_session_read");
    need(lt_session_read(b, name, right, n), "lt_session_read");
    check(memcmp(left, right, n * sizeof *left) == 0, "%s: %s differs", ways, name);
    expect(lt_session_read(a, name, left, n - 1), LT_ERR_ARG, "lt_session_read into too few floats");
    free(left);
    free(right);
  }
}

static void check_refusals(const lt_config* config, const lt_plan* plan, const lt_memory* memory, Run* run) {
  lt_plan* no_plan = NULL;
  lt_config bad = *config;
  bad.size = 3;
  expect(lt_plan_create(&bad, &no_plan), LT_ERR_ARG, "lt_plan_create with a structure of unknown size");
  expect(lt_plan_create(NULL, &no_plan), LT_ERR_ARG, "lt_plan_create(NULL)");
  bad = *config;
  bad.device = "abacus";
  expect(lt_plan_create(&bad, &no_plan), LT_ERR_DEVICE, "lt_plan_create for an unknown device");
  check(no_plan == NULL, "a call that failed has written its output");

  lt_session* no_session = NULL;
  expect(lt_session_create(plan, run->arena, (size_t)memory->arena_bytes - 1, &no_session), LT_ERR_NOMEM,
         "lt_session_create in too small a block");
  expect(lt_session_create(plan, (char*)run->arena + 1, (size_t)memory->arena_bytes, &no_session), LT_ERR_ARG,
         "lt_session_create in a block that is not aligned");
  check(no_session == NULL, "a call that failed has written its output");

  uint8_t x[28 * 28] = {0}, label = 10;
  lt_report report = new_report();
  expect(lt_session_step(run->session, &report), LT_ERR_STATE, "lt_session_step before a data set is bound");
  expect(lt_session_step_on(run->session, x, &label, 1, &report), LT_ERR_ARG,
         "lt_session_step_on with label 10 of 10 classes");
  expect(lt_session_step_on(run->session, x, &label, 0, &report), LT_ERR_ARG, "lt_session_step_on with no sample");
  expect(lt_session_push(run->session, NULL, 0, &report), LT_ERR_ARG, "lt_session_push(NULL)");
  lt_session_free(NULL);
  lt_plan_free(NULL);
  lt_dataset_free(NULL);
}

/* Some steps on the whole training set, then the test set: it has to have learned something. */
static void train_and_evaluate(const lt_plan* plan, const lt_memory* memory, const char* kind, const char* folder) {
  lt_dataset *train = NULL, *test = NULL;
  need(lt_dataset_open(kind, folder, LT_TRAIN, 1, &train), "lt_dataset_open");
  need(lt_dataset_open(kind, folder, LT_TEST, 1, &test), "lt_dataset_open");
  Run run = start(plan, memory);
  lt_report first = new_report(), report = new_report(), after = new_report();
  need(lt_session_bind(run.session, LT_TRAIN, train), "lt_session_bind");
  need(lt_session_bind(run.session, LT_TEST, test), "lt_session_bind");
  need(lt_session_eval(run.session, LT_TEST, &first), "lt_session_eval");
  for (int step = 1; step <= warm_steps; step++) {
    need(lt_session_step(run.session, &report), "lt_session_step");
    check(report.step == (uint64_t)step && report.samples == batch && isfinite(report.loss), "step %d: loss %f", step,
          report.loss);
  }
  need(lt_session_eval(run.session, LT_TEST, &after), "lt_session_eval");
  printf("%d steps: test loss %.4f, accuracy %.4f (before: %.4f, %.4f)\n", warm_steps, after.loss, after.accuracy,
         first.loss, first.accuracy);
  check(after.loss < 0.95 * first.loss && after.accuracy > 0.4, "nothing was learned");

  /* Saved and loaded elsewhere, the weights give the same loss, to the last bit. */
  const char* path = "embed.safetensors";
  uint32_t ignored = 9;
  lt_report loaded = new_report();
  Run other = start(plan, memory);
  need(lt_session_save(run.session, path), "lt_session_save");
  need(lt_session_load_weights(other.session, path, &ignored), "lt_session_load_weights");
  need(lt_session_bind(other.session, LT_TEST, test), "lt_session_bind");
  need(lt_session_eval(other.session, LT_TEST, &loaded), "lt_session_eval");
  check(loaded.loss == after.loss && loaded.accuracy == after.accuracy, "after loading the test loss is %.9g, was %.9g",
        loaded.loss, after.loss);
  compare_bits(run.session, other.session, "saved and loaded");
  remove(path);

  /* Probabilities of the first test samples add up to one, and their largest is right as often as the evaluation says. */
  static uint8_t x[32][28 * 28];
  static float y[32][10];
  for (uint32_t i = 0; i < 32; i++) need(lt_dataset_read(test, i, x[i], NULL), "lt_dataset_read");
  need(lt_session_predict(run.session, x, 32, &y[0][0], 320), "lt_session_predict");
  for (uint32_t i = 0; i < 32; i++) {
    float sum = 0;
    for (int k = 0; k < 10; k++) sum += y[i][k];
    check(fabsf(sum - 1) < 1e-4f, "the probabilities of sample %" PRIu32 " add up to %f", i, (double)sum);
  }
  finish(&other);
  finish(&run);
  lt_dataset_free(test);
  lt_dataset_free(train);
}

int main(int argc, char** argv) {
  const char *kind = argc > 1 ? "mnist" : "synthetic-digits", *folder = argc > 1 ? argv[1] : NULL;
  lt_config config;
  lt_plan* plan = NULL;
  lt_memory memory = {.size = sizeof memory};
  lt_config_init(&config);
  config.recipe = "mnist/cnn-same";
  config.batch = batch;
  config.flags = LT_NO_SHUFFLE;
  need(lt_plan_create(&config, &plan), "lt_plan_create");
  need(lt_plan_memory(plan, &memory), "lt_plan_memory");
  printf("%s; %" PRIu64 " bytes\n", lt_build_info(), memory.arena_bytes);

  lt_dataset *source = NULL, *samples = NULL;
  lt_dataset_info info = {.size = sizeof info};
  need(lt_dataset_open(kind, folder, LT_TRAIN, 1, &source), "lt_dataset_open");
  need(lt_dataset_get(source, &info), "lt_dataset_get");
  const size_t sample_bytes = (size_t)info.sample_bytes;
  uint8_t *x = malloc(sample_count * sample_bytes), labels[sample_count];
  if (x == NULL || info.count < sample_count) return 1;
  for (uint32_t i = 0; i < sample_count; i++) {
    uint32_t label = 99;
    need(lt_dataset_read(source, i, x + i * sample_bytes, &label), "lt_dataset_read");
    labels[i] = (uint8_t)label;
  }
  lt_dataset_free(source);
  need(lt_dataset_wrap(x, labels, sample_count, info.channels, info.height, info.width, info.classes, &samples),
       "lt_dataset_wrap");

  Run by_set = start(plan, &memory), by_batch = start(plan, &memory), by_example = start(plan, &memory);
  check_refusals(&config, plan, &memory, &by_batch);
  train_on_data_set(&by_set, samples);
  train_on_batches(&by_batch, x, labels, sample_bytes);
  train_on_examples(&by_example, x, labels, sample_bytes);
  compare_bits(by_set.session, by_batch.session, "data set and batches");
  compare_bits(by_batch.session, by_example.session, "batches and single examples");
  for (int epoch = 0; epoch < epochs; epoch++) {
    const double by_hand = by_batch.losses[epoch] / sample_count;
    printf("epoch %d: loss %.6f\n", epoch + 1, by_set.losses[epoch]);
    check(fabs(by_hand - by_set.losses[epoch]) < 1e-9, "epoch %d: loss %.12g by batches", epoch + 1, by_hand);
    check(by_example.losses[epoch] == by_batch.losses[epoch], "epoch %d: losses by examples and by batches differ",
          epoch + 1);
  }
  check(by_set.losses[1] < by_set.losses[0], "the loss does not fall");
  finish(&by_set);
  finish(&by_batch);
  finish(&by_example);
  lt_dataset_free(samples);
  free(x);

  train_and_evaluate(plan, &memory, kind, folder);
  lt_plan_free(plan);
  if (failures != 0) fprintf(stderr, "%d checks failed\n", failures);
  return failures != 0;
}
