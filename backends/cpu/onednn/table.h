// The C functions of oneDNN that the kernels need, found with dlopen and dlsym. Code includes plain dnnl.hpp; stubs.cpp
// defines each function that dnnl.hpp calls and forwards it through the table. The table is filled once and read-only
// after.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

#include "src/base/status.h"

#if DNNL_VERSION_MAJOR < 2 || (DNNL_VERSION_MAJOR == 2 && DNNL_VERSION_MINOR < 6) || DNNL_VERSION_MAJOR > 3
#error "oneDNN 2.6 to 3.x is needed"
#endif

#define LT_ONEDNN_FUNCTIONS_ALL(X)           \
  X(dnnl_version)                            \
  X(dnnl_set_primitive_cache_capacity)       \
  X(dnnl_engine_create)                      \
  X(dnnl_engine_destroy)                     \
  X(dnnl_memory_create)                      \
  X(dnnl_memory_destroy)                     \
  X(dnnl_memory_desc_get_size)               \
  X(dnnl_memory_desc_equal)                  \
  X(dnnl_memory_set_data_handle)             \
  X(dnnl_post_ops_create)                    \
  X(dnnl_post_ops_destroy)                   \
  X(dnnl_primitive_attr_create)              \
  X(dnnl_primitive_attr_destroy)             \
  X(dnnl_primitive_attr_set_post_ops)        \
  X(dnnl_primitive_attr_set_scratchpad_mode) \
  X(dnnl_primitive_create)                   \
  X(dnnl_primitive_desc_destroy)             \
  X(dnnl_primitive_desc_query)               \
  X(dnnl_primitive_desc_query_md)            \
  X(dnnl_primitive_destroy)                  \
  X(dnnl_primitive_execute)                  \
  X(dnnl_reorder_primitive_desc_create)      \
  X(dnnl_stream_create)                      \
  X(dnnl_stream_destroy)

#if DNNL_VERSION_MAJOR == 2
#define LT_ONEDNN_FUNCTIONS(X)                   \
  LT_ONEDNN_FUNCTIONS_ALL(X)                     \
  X(dnnl_convolution_backward_data_desc_init)    \
  X(dnnl_convolution_backward_weights_desc_init) \
  X(dnnl_convolution_forward_desc_init)          \
  X(dnnl_matmul_desc_init)                       \
  X(dnnl_memory_desc_init_by_strides)            \
  X(dnnl_memory_desc_init_by_tag)                \
  X(dnnl_post_ops_append_sum)                    \
  X(dnnl_post_ops_append_sum_v2)                 \
  X(dnnl_primitive_desc_iterator_create)         \
  X(dnnl_primitive_desc_iterator_destroy)        \
  X(dnnl_primitive_desc_iterator_fetch)
#else
#define LT_ONEDNN_FUNCTIONS(X)                               \
  LT_ONEDNN_FUNCTIONS_ALL(X)                                 \
  X(dnnl_convolution_backward_data_primitive_desc_create)    \
  X(dnnl_convolution_backward_weights_primitive_desc_create) \
  X(dnnl_convolution_forward_primitive_desc_create)          \
  X(dnnl_matmul_primitive_desc_create)                       \
  X(dnnl_memory_desc_clone)                                  \
  X(dnnl_memory_desc_create_with_strides)                    \
  X(dnnl_memory_desc_create_with_tag)                        \
  X(dnnl_memory_desc_destroy)                                \
  X(dnnl_memory_desc_query)                                  \
  X(dnnl_post_ops_append_sum)
#endif

namespace lt::cpu::onednn {

struct FunctionTable {
#define LT_ONEDNN_MEMBER(function) decltype(&::function) function = nullptr;
  LT_ONEDNN_FUNCTIONS(LT_ONEDNN_MEMBER)
#undef LT_ONEDNN_MEMBER
  // Of the OpenMP runtime that the library calls; null where it was built without threads.
  int (*omp_get_max_threads)() = nullptr;
  void (*omp_set_num_threads)(int) = nullptr;
};

// Filled by load_functions; no stub may be called before.
extern FunctionTable functions;

// Opens the library and fills the table. Called once, under OneDnn::open's lock.
Status load_functions();

// While it lives, oneDNN does all work on the calling thread: OpenMP's number of threads is a setting of each thread.
class SingleThread {
 public:
  SingleThread() {
    if (functions.omp_set_num_threads == nullptr) return;
    threads_before_ = functions.omp_get_max_threads();
    if (threads_before_ != 1) functions.omp_set_num_threads(1);
  }
  ~SingleThread() {
    if (threads_before_ > 1) functions.omp_set_num_threads(threads_before_);
  }
  SingleThread(const SingleThread&) = delete;
  SingleThread& operator=(const SingleThread&) = delete;

 private:
  int threads_before_ = 1;
};

}  // namespace lt::cpu::onednn
