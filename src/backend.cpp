#include "src/backend.h"

namespace lt {

Status Executor::train_kept(const KeptBatches&, const RunArguments&, KeptResult*) {
  return fail(Status::internal, "this device keeps no data set to train on");
}

Status Executor::evaluate_kept(const KeptBatches&, const RunArguments&, Statistics*) {
  return fail(Status::internal, "this device keeps no data set to evaluate");
}

}  // namespace lt
