// PlanRequest::skip_bad: which samples of a set are left out is found out when it is bound, so that an epoch has as many
// steps as it says and a batch is a mean over whole ones.
#include <string>
#include <utility>

#include "src/run/label_lists.h"
#include "src/run/session.h"

namespace lt {

Status Session::find_bad(Split split, const Dataset& dataset) {
  const size_t at = static_cast<size_t>(split);
  skipped_[at] = {};
  places_[at].clear();
  if (!plan_->skip_bad || plan_->recipe.loss != LossKind::ctc) return Status::ok;
  const auto count = static_cast<uint32_t>(dataset.info().count);
  std::vector<uint32_t> good;
  std::string first_fault;
  RunArguments run;
  for (uint32_t i = 0; i < count; ++i) {
    indices_[0] = i;
    run.samples = 1;
    LT_TRY(read_samples(dataset, &run));
    if (ok(check_label_lists(plan_->recipe, plan_->classes(), dataset.info().name, indices_.data(), run))) {
      good.push_back(i);
    } else if (skipped_[at].count++ == 0) {
      skipped_[at].first = i;
      first_fault = last_error();
    }
  }
  if (good.empty())
    return fail(Status::mismatch, "the %s set of %s has no sample left: all %u are bad; the first: %s", split_name(split),
                dataset.info().name, count, first_fault.c_str());
  if (split == Split::train && plan_->recipe.drop_last_batch && good.size() < plan_->recipe.batch)
    return fail(
        Status::mismatch,
        "the training set of %s has %zu samples that are not left out, model %s trains on whole batches of %u alone "
        "(last_batch)",
        dataset.info().name, good.size(), plan_->recipe.name.c_str(), plan_->recipe.batch);
  if (good.size() != count) places_[at] = std::move(good);
  return Status::ok;
}

}  // namespace lt
