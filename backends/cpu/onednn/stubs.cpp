// The C functions that dnnl.hpp calls, each forwarded through the table: the linker finds these in place of libdnnl's.
// One function below is one entry of LT_ONEDNN_FUNCTIONS; a missing one does not link. Parameters go by their place. Any
// thread, once the table is filled.
#include "backends/cpu/onednn/table.h"

namespace table = lt::cpu::onednn;

#define LT_STUB(result, function, parameters, arguments) \
  result function parameters { return table::functions.function arguments; }

extern "C" {
LT_STUB(const dnnl_version_t*, dnnl_version, (), ())
LT_STUB(dnnl_status_t, dnnl_set_primitive_cache_capacity, (int a), (a))
LT_STUB(dnnl_status_t, dnnl_engine_create, (dnnl_engine_t * a, dnnl_engine_kind_t b, size_t c), (a, b, c))
LT_STUB(dnnl_status_t, dnnl_engine_destroy, (dnnl_engine_t a), (a))
LT_STUB(dnnl_status_t, dnnl_memory_destroy, (dnnl_memory_t a), (a))
LT_STUB(dnnl_status_t, dnnl_memory_set_data_handle, (dnnl_memory_t a, void* b), (a, b))
LT_STUB(dnnl_status_t, dnnl_post_ops_create, (dnnl_post_ops_t * a), (a))
LT_STUB(dnnl_status_t, dnnl_post_ops_destroy, (dnnl_post_ops_t a), (a))
LT_STUB(dnnl_status_t, dnnl_primitive_attr_create, (dnnl_primitive_attr_t * a), (a))
LT_STUB(dnnl_status_t, dnnl_primitive_attr_destroy, (dnnl_primitive_attr_t a), (a))
LT_STUB(dnnl_status_t, dnnl_primitive_attr_set_post_ops, (dnnl_primitive_attr_t a, const_dnnl_post_ops_t b), (a, b))
LT_STUB(dnnl_status_t, dnnl_primitive_attr_set_scratchpad_mode, (dnnl_primitive_attr_t a, dnnl_scratchpad_mode_t b), (a, b))
LT_STUB(dnnl_status_t, dnnl_primitive_create, (dnnl_primitive_t * a, const_dnnl_primitive_desc_t b), (a, b))
LT_STUB(dnnl_status_t, dnnl_primitive_desc_destroy, (dnnl_primitive_desc_t a), (a))
LT_STUB(dnnl_status_t, dnnl_primitive_desc_query, (const_dnnl_primitive_desc_t a, dnnl_query_t b, int c, void* d),
        (a, b, c, d))
LT_STUB(dnnl_status_t, dnnl_primitive_destroy, (dnnl_primitive_t a), (a))
LT_STUB(dnnl_status_t, dnnl_primitive_execute, (const_dnnl_primitive_t a, dnnl_stream_t b, int c, const dnnl_exec_arg_t* d),
        (a, b, c, d))
LT_STUB(dnnl_status_t, dnnl_stream_create, (dnnl_stream_t * a, dnnl_engine_t b, unsigned c), (a, b, c))
LT_STUB(dnnl_status_t, dnnl_stream_destroy, (dnnl_stream_t a), (a))
#if DNNL_VERSION_MAJOR == 2
LT_STUB(dnnl_status_t, dnnl_memory_create, (dnnl_memory_t * a, const dnnl_memory_desc_t* b, dnnl_engine_t c, void* d),
        (a, b, c, d))
LT_STUB(size_t, dnnl_memory_desc_get_size, (const dnnl_memory_desc_t* a), (a))
LT_STUB(int, dnnl_memory_desc_equal, (const dnnl_memory_desc_t* a, const dnnl_memory_desc_t* b), (a, b))
LT_STUB(const dnnl_memory_desc_t*, dnnl_primitive_desc_query_md, (const_dnnl_primitive_desc_t a, dnnl_query_t b, int c),
        (a, b, c))
LT_STUB(dnnl_status_t, dnnl_reorder_primitive_desc_create,
        (dnnl_primitive_desc_t * a, const dnnl_memory_desc_t* b, dnnl_engine_t c, const dnnl_memory_desc_t* d,
         dnnl_engine_t e, const_dnnl_primitive_attr_t f),
        (a, b, c, d, e, f))
LT_STUB(dnnl_status_t, dnnl_convolution_backward_data_desc_init,
        (dnnl_convolution_desc_t * a, dnnl_alg_kind_t b, const dnnl_memory_desc_t* c, const dnnl_memory_desc_t* d,
         const dnnl_memory_desc_t* e, const dnnl_dims_t f, const dnnl_dims_t g, const dnnl_dims_t h),
        (a, b, c, d, e, f, g, h))
LT_STUB(dnnl_status_t, dnnl_convolution_backward_weights_desc_init,
        (dnnl_convolution_desc_t * a, dnnl_alg_kind_t b, const dnnl_memory_desc_t* c, const dnnl_memory_desc_t* d,
         const dnnl_memory_desc_t* e, const dnnl_memory_desc_t* f, const dnnl_dims_t g, const dnnl_dims_t h,
         const dnnl_dims_t i),
        (a, b, c, d, e, f, g, h, i))
LT_STUB(dnnl_status_t, dnnl_convolution_forward_desc_init,
        (dnnl_convolution_desc_t * a, dnnl_prop_kind_t b, dnnl_alg_kind_t c, const dnnl_memory_desc_t* d,
         const dnnl_memory_desc_t* e, const dnnl_memory_desc_t* f, const dnnl_memory_desc_t* g, const dnnl_dims_t h,
         const dnnl_dims_t i, const dnnl_dims_t j),
        (a, b, c, d, e, f, g, h, i, j))
LT_STUB(dnnl_status_t, dnnl_matmul_desc_init,
        (dnnl_matmul_desc_t * a, const dnnl_memory_desc_t* b, const dnnl_memory_desc_t* c, const dnnl_memory_desc_t* d,
         const dnnl_memory_desc_t* e),
        (a, b, c, d, e))
LT_STUB(dnnl_status_t, dnnl_memory_desc_init_by_strides,
        (dnnl_memory_desc_t * a, int b, const dnnl_dims_t c, dnnl_data_type_t d, const dnnl_dims_t e), (a, b, c, d, e))
LT_STUB(dnnl_status_t, dnnl_memory_desc_init_by_tag,
        (dnnl_memory_desc_t * a, int b, const dnnl_dims_t c, dnnl_data_type_t d, dnnl_format_tag_t e), (a, b, c, d, e))
LT_STUB(dnnl_status_t, dnnl_post_ops_append_sum, (dnnl_post_ops_t a, float b), (a, b))
LT_STUB(dnnl_status_t, dnnl_post_ops_append_sum_v2, (dnnl_post_ops_t a, float b, dnnl_data_type_t c), (a, b, c))
LT_STUB(dnnl_status_t, dnnl_primitive_desc_iterator_create,
        (dnnl_primitive_desc_iterator_t * a, const_dnnl_op_desc_t b, const_dnnl_primitive_attr_t c, dnnl_engine_t d,
         const_dnnl_primitive_desc_t e),
        (a, b, c, d, e))
LT_STUB(dnnl_status_t, dnnl_primitive_desc_iterator_destroy, (dnnl_primitive_desc_iterator_t a), (a))
LT_STUB(dnnl_primitive_desc_t, dnnl_primitive_desc_iterator_fetch, (const_dnnl_primitive_desc_iterator_t a), (a))
#else
LT_STUB(dnnl_status_t, dnnl_memory_create, (dnnl_memory_t * a, const_dnnl_memory_desc_t b, dnnl_engine_t c, void* d),
        (a, b, c, d))
LT_STUB(size_t, dnnl_memory_desc_get_size, (const_dnnl_memory_desc_t a), (a))
LT_STUB(int, dnnl_memory_desc_equal, (const_dnnl_memory_desc_t a, const_dnnl_memory_desc_t b), (a, b))
LT_STUB(const_dnnl_memory_desc_t, dnnl_primitive_desc_query_md, (const_dnnl_primitive_desc_t a, dnnl_query_t b, int c),
        (a, b, c))
LT_STUB(dnnl_status_t, dnnl_reorder_primitive_desc_create,
        (dnnl_primitive_desc_t * a, const_dnnl_memory_desc_t b, dnnl_engine_t c, const_dnnl_memory_desc_t d,
         dnnl_engine_t e, const_dnnl_primitive_attr_t f),
        (a, b, c, d, e, f))
LT_STUB(dnnl_status_t, dnnl_convolution_backward_data_primitive_desc_create,
        (dnnl_primitive_desc_t * a, dnnl_engine_t b, dnnl_alg_kind_t c, const_dnnl_memory_desc_t d,
         const_dnnl_memory_desc_t e, const_dnnl_memory_desc_t f, const dnnl_dims_t g, const dnnl_dims_t h,
         const dnnl_dims_t i, const dnnl_dims_t j, const_dnnl_primitive_desc_t k, const_dnnl_primitive_attr_t l),
        (a, b, c, d, e, f, g, h, i, j, k, l))
LT_STUB(dnnl_status_t, dnnl_convolution_backward_weights_primitive_desc_create,
        (dnnl_primitive_desc_t * a, dnnl_engine_t b, dnnl_alg_kind_t c, const_dnnl_memory_desc_t d,
         const_dnnl_memory_desc_t e, const_dnnl_memory_desc_t f, const_dnnl_memory_desc_t g, const dnnl_dims_t h,
         const dnnl_dims_t i, const dnnl_dims_t j, const dnnl_dims_t k, const_dnnl_primitive_desc_t l,
         const_dnnl_primitive_attr_t m),
        (a, b, c, d, e, f, g, h, i, j, k, l, m))
LT_STUB(dnnl_status_t, dnnl_convolution_forward_primitive_desc_create,
        (dnnl_primitive_desc_t * a, dnnl_engine_t b, dnnl_prop_kind_t c, dnnl_alg_kind_t d, const_dnnl_memory_desc_t e,
         const_dnnl_memory_desc_t f, const_dnnl_memory_desc_t g, const_dnnl_memory_desc_t h, const dnnl_dims_t i,
         const dnnl_dims_t j, const dnnl_dims_t k, const dnnl_dims_t l, const_dnnl_primitive_attr_t m),
        (a, b, c, d, e, f, g, h, i, j, k, l, m))
LT_STUB(dnnl_status_t, dnnl_matmul_primitive_desc_create,
        (dnnl_primitive_desc_t * a, dnnl_engine_t b, const_dnnl_memory_desc_t c, const_dnnl_memory_desc_t d,
         const_dnnl_memory_desc_t e, const_dnnl_memory_desc_t f, const_dnnl_primitive_attr_t g),
        (a, b, c, d, e, f, g))
LT_STUB(dnnl_status_t, dnnl_memory_desc_clone, (dnnl_memory_desc_t * a, const_dnnl_memory_desc_t b), (a, b))
LT_STUB(dnnl_status_t, dnnl_memory_desc_create_with_strides,
        (dnnl_memory_desc_t * a, int b, const dnnl_dims_t c, dnnl_data_type_t d, const dnnl_dims_t e), (a, b, c, d, e))
LT_STUB(dnnl_status_t, dnnl_memory_desc_create_with_tag,
        (dnnl_memory_desc_t * a, int b, const dnnl_dims_t c, dnnl_data_type_t d, dnnl_format_tag_t e), (a, b, c, d, e))
LT_STUB(dnnl_status_t, dnnl_memory_desc_destroy, (dnnl_memory_desc_t a), (a))
LT_STUB(dnnl_status_t, dnnl_memory_desc_query, (const_dnnl_memory_desc_t a, dnnl_query_t b, void* c), (a, b, c))
LT_STUB(dnnl_status_t, dnnl_post_ops_append_sum, (dnnl_post_ops_t a, float b, int32_t c, dnnl_data_type_t d), (a, b, c, d))
#endif

}  // extern "C"
