// cuBLASLt's functions, as libcublasLt.so exports them, in a table that is filled when the program runs; tests fill it with
// functions of their own. Compiled against the library's header, linked with nothing.
#pragma once

#include <cublasLt.h>

#include "src/base/status.h"

// F(name): all that is called.
#define LT_CUBLASLT_FUNCTIONS(F)          \
  F(cublasLtCreate)                       \
  F(cublasLtDestroy)                      \
  F(cublasLtGetVersion)                   \
  F(cublasLtGetStatusName)                \
  F(cublasLtGetStatusString)              \
  F(cublasLtMatmulDescCreate)             \
  F(cublasLtMatmulDescDestroy)            \
  F(cublasLtMatmulDescSetAttribute)       \
  F(cublasLtMatrixLayoutCreate)           \
  F(cublasLtMatrixLayoutDestroy)          \
  F(cublasLtMatrixLayoutSetAttribute)     \
  F(cublasLtMatmulPreferenceCreate)       \
  F(cublasLtMatmulPreferenceDestroy)      \
  F(cublasLtMatmulPreferenceSetAttribute) \
  F(cublasLtMatmulAlgoGetHeuristic)       \
  F(cublasLtMatmul)

namespace lt::cuda {

struct CublasLtTable {
#define LT_CUBLASLT_ENTRY(name) decltype(&::name) name = nullptr;
  LT_CUBLASLT_FUNCTIONS(LT_CUBLASLT_ENTRY)
#undef LT_CUBLASLT_ENTRY
};

// Fills the table by lookup(library, name), as dlsym does it. False, with the name in `missing`, where a function is not
// there.
bool fill(CublasLtTable* table, void* (*lookup)(void* library, const char* name), void* library, const char** missing);

// A handle for the current context; fails with Status::device and the reason where the library is of another major version
// than the header or cannot start.
Status open_cublaslt(const CublasLtTable& table, void** handle);
void close_cublaslt(const CublasLtTable& table, void* handle);

// Status::ok, or "cuBLASLt: WHAT: CUBLAS_STATUS_..., explanation" with Status::device, with Status::memory where memory ran
// out, with Status::unsupported where the library has nothing for what was asked.
Status check(const CublasLtTable& table, cublasStatus_t result, const char* what);

}  // namespace lt::cuda
