// Owners of the library's handles: each is freed when its owner goes, sessions before the plan and data they use.
#pragma once

#include <memory>

#include "src/lean_train.h"

namespace lt::tool {

struct PlanDeleter {
  void operator()(lt_plan* plan) const { lt_plan_free(plan); }
};
struct DatasetDeleter {
  void operator()(lt_dataset* dataset) const { lt_dataset_free(dataset); }
};
struct FileDeleter {
  void operator()(lt_file* file) const { lt_file_free(file); }
};
struct SessionDeleter {
  void operator()(lt_session* session) const { lt_session_free(session); }
};

using PlanPtr = std::unique_ptr<lt_plan, PlanDeleter>;
using DatasetPtr = std::unique_ptr<lt_dataset, DatasetDeleter>;
using FilePtr = std::unique_ptr<lt_file, FileDeleter>;
using SessionPtr = std::unique_ptr<lt_session, SessionDeleter>;

// A structure of the C API, zeroed, its size filled in.
template <class T>
T sized() {
  T value{};
  value.size = sizeof(T);
  return value;
}

}  // namespace lt::tool
