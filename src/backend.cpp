#include "src/backend.h"

#include <cstring>

namespace lt {
namespace {

constexpr const char* precision_names[] = {"fp32", "tf32", "bf16", "int8"};

}  // namespace

const char* precision_name(Precision precision) { return precision_names[static_cast<int>(precision)]; }

Status precision_from_name(const char* name, Precision* precision) {
  for (int i = 0; i < 4; ++i)
    if (std::strcmp(name, precision_names[i]) == 0) {
      *precision = static_cast<Precision>(i);
      return Status::ok;
    }
  return fail(Status::argument, "precision \"%.40s\", expected fp32, tf32, bf16 or int8", name);
}

Status Executor::train_kept(const KeptBatches&, const RunArguments&, KeptResult*) {
  return fail(Status::internal, "this device keeps no data set to train on");
}

Status Executor::evaluate_kept(Split, const RunArguments&, Statistics*) {
  return fail(Status::internal, "this device keeps no data set to evaluate");
}

}  // namespace lt
