/* lean_train.h - the C API of lean-train: train and run small networks inside a memory block known beforehand.
 *
 * Rules that hold for every function:
 *   - never aborts, exits, prints, throws, or installs a signal handler;
 *   - returns lt_status; outputs come last and are written only on LT_OK (lt_report: see lt_session_step);
 *   - every public structure starts with `size`, set by the caller to sizeof(the structure);
 *   - a handle is used by one thread at a time, distinct handles are independent; a plan and a data set may be shared
 *     by sessions as long as they outlive them;
 *   - *_free(NULL) does nothing; returned strings belong to the library;
 *   - from a session's second step on no call allocates, lt_session_load, lt_session_load_weights, lt_session_save and
 *     lt_session_save_to apart, and on a GPU the first evaluation of each set.
 *
 *      lt_config config;  lt_plan *plan;  lt_session *session;  lt_report report;
 *      lt_config_init(&config);
 *      config.recipe = "mnist/cnn-same";
 *      if (lt_plan_create(&config, &plan) != LT_OK) puts(lt_last_error());
 */
/* clang-format off */
#ifndef LEAN_TRAIN_H
#define LEAN_TRAIN_H
#include <stddef.h>
#include <stdint.h>

#ifndef LT_API
#  if defined(__GNUC__)
#    define LT_API __attribute__((visibility("default")))
#  else
#    define LT_API
#  endif
#endif

#define LT_VERSION_MAJOR 0
#define LT_VERSION_MINOR 1
#define LT_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* Values are stable: new ones are only appended. */
typedef int32_t lt_status;
enum {
    LT_OK              = 0,
    LT_ERR_ARG         = 1,  /* NULL, a bad value, a structure of unknown size    */
    LT_ERR_STATE       = 2,  /* a call out of order, such as a step before a bind */
    LT_ERR_NOMEM       = 3,  /* the arena is too small, or memory was refused     */
    LT_ERR_IO          = 4,  /* open, read, write, sync, disk full                */
    LT_ERR_FORMAT      = 5,  /* a file is not what it claims to be                */
    LT_ERR_MISMATCH    = 6,  /* a valid file of another model, type or data set   */
    LT_ERR_DEVICE      = 7,  /* a device is absent or unusable                    */
    LT_ERR_UNSUPPORTED = 8,  /* an operation or shape without code on this device */
    LT_ERR_NUMERIC     = 9,  /* a loss, gradient or weight became NaN or infinite */
    LT_STOPPED         = 10, /* lt_session_request_stop was seen; state is good   */
    LT_ERR_INTERNAL    = 99  /* a bug in lean-train: please report it             */
};

typedef struct lt_plan    lt_plan;    /* immutable: operations and memory map   */
typedef struct lt_dataset lt_dataset; /* read-only labelled samples             */
typedef struct lt_session lt_session; /* arena, device state, place in training */

/* ---- library ------------------------------------------------------------------------------------------------- */

LT_API uint32_t    lt_version(void);    /* major * 10000 + minor * 100 + patch                                     */
LT_API const char *lt_build_info(void); /* "0.1.0 (commit 0123abc, gcc 12.2.0)"                                    */
LT_API const char *lt_build_commit(void); /* "0123abc", or "" where it was built outside a checkout                */
LT_API const char *lt_status_name(lt_status status); /* "LT_ERR_FORMAT"                                            */
LT_API const char *lt_last_error(void); /* this thread's last failure: one sentence in a fixed buffer              */

/* ---- devices ------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t   size;
    char     name[32];         /* what lt_config.device takes: "cpu", "reference" */
    char     description[256]; /* one line for people                             */
    uint64_t memory_total_bytes, memory_free_bytes; /* 0 where unknown            */
    int32_t  usable;           /* 0: in this build, but not usable on this machine */
    char     why_not[256];
} lt_device_info;

LT_API uint32_t  lt_device_count(void);
LT_API lt_status lt_device_get(uint32_t index, lt_device_info *out);

/* ---- built-in recipes ---------------------------------------------------------------------------------------- */

LT_API uint32_t    lt_recipe_count(void);
LT_API const char *lt_recipe_name(uint32_t index);      /* "mnist/cnn-same"; NULL past the end            */
LT_API const char *lt_recipe_text(const char *name);    /* its TOML; NULL where there is none of the name */

/* ---- plan: shapes, operations and every byte, before anything is reserved ------------------------------------ */

typedef struct {
    size_t      size;
    const char *recipe;    /* a built-in name, or TOML text                                                */
    const char *device;    /* "auto" (or NULL), "cpu", "cuda", "cuda:1", "reference"; asked for by name it never falls back */
    const char *kernels;   /* "auto" (or NULL); CPU: "highway", "highway:avx2", "onednn"; CUDA: "cudnn", "own" */
    const char *precision; /* "fp32" (or NULL); "tf32", "bf16" and "int8" where the device computes in them   */
    const char *optimizer; /* NULL: the recipe's; "sgd", "momentum", "adam"                                */
    uint64_t    seed;      /* initial weights, order of samples, dropout                                   */
    uint32_t    batch;     /* 0: the recipe's                                                              */
    uint32_t    epochs;    /* 0: the recipe's                                                              */
    uint32_t    threads;   /* 0: as many as this process may use                                           */
    double      lr;        /* negative: the recipe's                                                       */
    double      momentum;  /* negative: the recipe's                                                       */
    uint64_t    memory_cap_bytes; /* 0: none; else batches are split to fit, or planning fails             */
    uint32_t    flags;     /* LT_NO_SHUFFLE | ...                                                          */
} lt_config;
#define LT_DETERMINISTIC 1u /* reproducible kernels alone (all CPU kernels are)     */
#define LT_NO_SHUFFLE    2u /* samples in the data set's own order, every epoch     */
#define LT_NO_DROPOUT    4u /* dropout layers let everything through                */
#define LT_FULL_LENGTHS  8u /* sequences have all steps, whatever the data set says */
#define LT_SKIP_BAD     16u /* ctc: leaves out samples that no path can give, which else are an error */

/* Sets `size` and every field to its default; seed 1. */
LT_API void lt_config_init(lt_config *config);

typedef struct {
    size_t   size;
    uint64_t arena_bytes;   /* the whole block: what lt_session_create takes                       */
    uint64_t alignment;     /* of a caller's block                                                 */
    uint64_t parameters_bytes, state_bytes, activations_bytes, scratch_bytes, staging_bytes;
    uint64_t calibration_bytes; /* int8: what lt_session_calibrate takes beside the block, and gives back */
    uint64_t weights_bytes; /* part of the block: weights and biases in the form that products read        */
} lt_memory;

typedef struct {
    size_t   size;
    char     model[64];       /* the recipe's name                                     */
    char     data[32];        /* the kind of data it wants: "mnist"                    */
    char     device[32], device_name[160], kernels[96], precision[8], optimizer[16];
    uint64_t parameters;      /* trainable numbers                                     */
    uint64_t seed;
    uint32_t threads;
    uint32_t batch;           /* samples a step; 0: the whole training set             */
    uint32_t micro_batch;     /* samples the memory block holds at a time              */
    uint32_t epochs;
    double   lr, momentum;
    uint32_t channels, height, width, classes; /* as in lt_dataset_info; of the output   */
    uint64_t sample_bytes;    /* of one raw input sample                               */
    char     passed_over[512]; /* device "auto": why the devices in front of this one were not taken, or "" */
    int32_t  inference;       /* 1: for lt_session_forward alone; there is nothing to train */
} lt_plan_info;

typedef enum { LT_TEXT = 0, LT_JSON = 1 } lt_form;
/* Takes n bytes; a result other than 0 ends the call with LT_ERR_IO. */
typedef int (*lt_write_fn)(void *user, const void *bytes, size_t n);

LT_API lt_status lt_plan_create(const lt_config *config, lt_plan **out);
LT_API lt_status lt_plan_get(const lt_plan *plan, lt_plan_info *out);
LT_API lt_status lt_plan_memory(const lt_plan *plan, lt_memory *out);
/* Writes the memory table: segments, operations with their kernels, tensors with offset, bytes, first and last operation. */
LT_API lt_status lt_plan_describe(const lt_plan *plan, lt_form form, lt_write_fn write, void *user);
/* Writes the recipe as it is in effect, the configuration's changes included: TOML that lt_config.recipe takes again. */
LT_API lt_status lt_plan_recipe(const lt_plan *plan, lt_write_fn write, void *user);
LT_API void      lt_plan_free(lt_plan *plan);

/* ---- data ---------------------------------------------------------------------------------------------------- */

typedef enum { LT_TRAIN = 0, LT_TEST = 1 } lt_split;

typedef struct {
    size_t   size;
    char     name[32];    /* as the run log says it: "mnist", "synthetic" */
    uint64_t count, sample_bytes;
    uint32_t channels, height, width, classes; /* of sequences: height = time steps, width = features      */
    uint32_t vocabulary;  /* not 0: samples are int32_t words below this, zeros behind the last one         */
    char     vocabulary_hash[40]; /* hex digits of the words' own file (XXH3-128), or "" where none is known */
    uint64_t cut;         /* samples that are longer in the file: of these the last time steps are given    */
} lt_dataset_info;

typedef struct {
    size_t      size;
    char        name[32];     /* "mnist", "synthetic-digits"                                 */
    char        title[96];
    char        stand_in[32]; /* the built-in set that serves where no files are found, or "" */
    char        folder[64];   /* the publishers' folder name, or ""                          */
    int32_t     synthetic;    /* made by the library, from a seed; no files                  */
} lt_dataset_kind;

LT_API uint32_t  lt_dataset_kind_count(void);
LT_API lt_status lt_dataset_kind_get(uint32_t index, lt_dataset_kind *out);
/* 1 where `dir`, or the publishers' folder in it, holds files of this kind, whole or not; else 0. */
LT_API int       lt_dataset_found(const char *kind, const char *dir);
/* Opens and checks the files of one split, down to the last byte and label. A synthetic kind ignores dir and takes the seed. */
LT_API lt_status lt_dataset_open(const char *kind, const char *dir, lt_split split, uint64_t seed, lt_dataset **out);
/* Opens a single file of a kind's samples, such as one batch of CIFAR-10, or images of MNIST with or without the labels' file beside
 * them: `labelled` says whether labels were found, else all are 0. Checked like a split. LT_ERR_UNSUPPORTED: no such kind of file. */
LT_API lt_status lt_dataset_open_file(const char *kind, const char *path, lt_dataset **out, int *labelled);
/* The caller's own samples, used in place: x is [count][channels][height][width] bytes, labels are 0 .. classes - 1. */
LT_API lt_status lt_dataset_wrap(const uint8_t *x, const uint8_t *labels, uint64_t count, uint32_t channels, uint32_t height,
                                 uint32_t width, uint32_t classes, lt_dataset **out);
LT_API lt_status lt_dataset_get(const lt_dataset *dataset, lt_dataset_info *out);
/* Copies one raw sample (sample_bytes bytes) and its label. Either output may be NULL. */
LT_API lt_status lt_dataset_read(const lt_dataset *dataset, uint64_t index, void *x, uint32_t *label);
/* The time steps that one sample has: at most height, and just that where samples are no sequences. */
LT_API lt_status lt_dataset_length(const lt_dataset *dataset, uint64_t index, uint32_t *out);
LT_API lt_status lt_dataset_hash(const lt_dataset *dataset, uint8_t out[16]); /* XXH3-128 of the files' bytes */
LT_API void      lt_dataset_free(lt_dataset *dataset);

/* ---- files of weights and checkpoints ------------------------------------------------------------------------ */

typedef struct lt_file lt_file; /* a safetensors file, mapped; read-only */

typedef struct {
    size_t   size;
    char     name[256], dtype[16]; /* "conv1.weight", "F32"                          */
    uint64_t dims[8];
    uint32_t rank;
    uint64_t offset, bytes;        /* in the file                                    */
} lt_tensor_info;

/* Maps a file and checks all but the numbers. */
LT_API lt_status   lt_file_open(const char *path, lt_file **out);
LT_API uint32_t    lt_file_tensor_count(const lt_file *file);
LT_API lt_status   lt_file_tensor_get(const lt_file *file, uint32_t index, lt_tensor_info *out); /* in the file's order  */
LT_API uint32_t    lt_file_text_count(const lt_file *file);                /* of the metadata                             */
LT_API const char *lt_file_text_name(const lt_file *file, uint32_t index); /* NULL past the end                           */
LT_API const char *lt_file_text(const lt_file *file, const char *name);    /* NULL where there is none of the name        */
/* Reads the whole file. LT_ERR_FORMAT where it is damaged; `present` 0 where it bears no checksum of ours: nothing to hold it against. */
LT_API lt_status   lt_file_check(const lt_file *file, int *present);
/* The configuration of the training that a checkpoint is of, for an initialized `config`, whose strings then point into the
 * file: recipe, precision, seed, flags; epochs where the model is a built-in one, else 0 (the caller knows when to stop).
 * LT_ERR_FORMAT where it is damaged, LT_ERR_MISMATCH where it is no checkpoint. */
LT_API lt_status   lt_file_config(const lt_file *file, lt_config *config);
LT_API void        lt_file_free(lt_file *file);

/* ---- session ------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t   size;
    uint64_t step;            /* steps done since the start of the training                          */
    uint64_t epoch;           /* the epoch that this step belongs to, counted from 1                  */
    uint64_t batch, batches;  /* its place in the epoch, counted from 1, and the epoch's steps; 0: no data set */
    uint32_t samples;         /* samples of this step; 0: lt_session_push took the sample, no step yet */
    double   loss;            /* mean over the step's samples (evaluation: over the split's), before the update */
    double   accuracy;        /* fraction, likewise                                                  */
    double   seconds;         /* of this step, or of the evaluation                                  */
    double   data_wait_seconds; /* of these, spent on gathering samples                              */
    /* Sums over the epoch up to and with this step: */
    uint64_t epoch_samples;
    double   epoch_loss, epoch_accuracy, epoch_seconds, epoch_data_wait_seconds;
    uint32_t steps;           /* that `seconds` covers: more than 1 by lt_session_advance alone; loss and accuracy are the last one's */
} lt_report;

typedef void (*lt_event_fn)(void *user, const lt_report *report);

/* arena: NULL (the library reserves the block), or at least lt_memory.arena_bytes bytes of the device's memory (the GPU's own
 * for "cuda"), aligned, that outlive the session.
 * Initial weights are drawn from the seed. */
LT_API lt_status lt_session_create(const lt_plan *plan, void *arena, size_t bytes, lt_session **out);
/* The data set has to fit the model, and to outlive the session. A GPU keeps a copy of it in its memory. */
LT_API lt_status lt_session_bind(lt_session *session, lt_split split, const lt_dataset *dataset);
/* How many samples of a bound set LT_SKIP_BAD leaves out, and the first one's number (may be NULL; only where there is one). */
LT_API lt_status lt_session_skipped(const lt_session *session, lt_split split, uint64_t *count, uint64_t *first);
/* Called after every step by lt_session_epoch. */
LT_API lt_status lt_session_on_event(lt_session *session, lt_event_fn event, void *user);
/* One step on the bound training set's next batch. LT_ERR_NUMERIC: weights are as before the step. */
LT_API lt_status lt_session_step(lt_session *session, lt_report *out);
/* Steps on as many batches as the device takes in one go, `most` or fewer, and not past the end of the epoch: a GPU that keeps
 * the data in its memory is asked once for all of them; where the host feeds the device that is one step. */
LT_API lt_status lt_session_advance(lt_session *session, uint64_t most, lt_report *out);
/* Steps to the end of the epoch; LT_STOPPED after a whole step where a stop was asked for, `out` then written too. */
LT_API lt_status lt_session_epoch(lt_session *session, lt_report *out);
/* One step on the caller's batch: x is n raw samples, labels n bytes; n from 1 to the batch size (a full-batch model: any n). */
LT_API lt_status lt_session_step_on(lt_session *session, const void *x, const uint8_t *labels, uint32_t n, lt_report *out);
/* One example; the library forms the batch and steps when it is full (out->samples tells). */
LT_API lt_status lt_session_push(lt_session *session, const void *x, uint8_t label, lt_report *out);
/* Steps on the examples pushed since the last step; no step where there are none. */
LT_API lt_status lt_session_flush(lt_session *session, lt_report *out);
/* Loss and accuracy over a bound split. */
LT_API lt_status lt_session_eval(lt_session *session, lt_split split, lt_report *out);
/* Class probabilities of n raw samples: y is [n][classes]. */
LT_API lt_status lt_session_predict(lt_session *session, const void *x, uint32_t n, float *y, size_t y_floats);
/* The same of samples first .. first + n - 1 of a bound split; of sequences each ends where its data set says. */
LT_API lt_status lt_session_predict_split(lt_session *session, lt_split split, uint64_t first, uint32_t n, float *y, size_t y_floats);
/* Precision int8: finds the scales of what is between layers by a pass in fp32 over n raw samples, which should be like those
 * to come. In front of the first lt_session_forward, and again after weights were loaded or written. It takes
 * lt_memory.calibration_bytes while it lasts. */
LT_API lt_status lt_session_calibrate(lt_session *session, const void *x, uint32_t n);
/* The network's outputs for n raw samples as they are, logits or features: y is [n][classes]. */
LT_API lt_status lt_session_forward(lt_session *session, const void *x, uint32_t n, float *y, size_t y_floats);
/* Parameters by name, in PyTorch's shapes and order: "conv1.weight" is [out][in][row][column]. */
LT_API uint32_t    lt_session_tensor_count(const lt_session *session);
LT_API const char *lt_session_tensor_name(const lt_session *session, uint32_t index);
LT_API lt_status lt_session_tensor_shape(const lt_session *session, const char *name, uint64_t dims[4], uint32_t *rank);
LT_API lt_status lt_session_read(lt_session *session, const char *name, float *out, size_t floats);
LT_API lt_status lt_session_write(lt_session *session, const char *name, const float *values, size_t floats);
/* A checkpoint: weights with PyTorch's names, the optimizer's state and the place in the training, as one safetensors file that
 * is replaced in one piece or not at all, and durable when this returns. Equal states are equal bytes. Examples pushed since the
 * last step are not in it. */
LT_API lt_status lt_session_save(lt_session *session, const char *path);
/* Checkpoints one after the other, all at `path`: reserves what they need, and holds a lock (PATH.lock) until the session is
 * freed; LT_ERR_IO where another training holds it. The `keep` ones before the last stay as PATH.1 (the youngest), PATH.2 ... */
LT_API lt_status lt_session_save_to(lt_session *session, const char *path, uint32_t keep);
/* Copies the state into such a checkpoint. A thread makes it durable and puts it in its place; what fails there is told by the
 * next of these two calls, and the file before is whole. */
LT_API lt_status lt_session_checkpoint(lt_session *session);
/* Waits until the last one is in its place. */
LT_API lt_status lt_session_checkpoint_finish(lt_session *session);
/* Goes on from a checkpoint: what follows has the same bits as if the training had not been broken off. After its training set
 * was bound. The file is checked whole before anything changes: LT_ERR_FORMAT where it is damaged, LT_ERR_MISMATCH where it is of
 * another model, recipe, precision, data set or seed, the first difference named; the number of epochs may differ. */
LT_API lt_status lt_session_load(lt_session *session, const char *path);
/* The last step's report as far as it is known after lt_session_load; `evaluated` (may be NULL): 1 where that step ended an epoch
 * and the test set was gone over since. */
LT_API lt_status lt_session_place(const lt_session *session, lt_report *out, int *evaluated);
/* Weights from any safetensors file that has the model's tensors; `ignored` (may be NULL): tensors that it does not use. */
LT_API lt_status lt_session_load_weights(lt_session *session, const char *path, uint32_t *ignored);
/* Asks the session to stop after the step in progress. May be called from a signal handler or another thread. */
LT_API void      lt_session_request_stop(lt_session *session);
LT_API void      lt_session_free(lt_session *session);

#ifdef __cplusplus
}
#endif
#endif
