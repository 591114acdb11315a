// lt_session: argument checks in front of lt::Session.
#include "src/api/handles.h"

using namespace lt;
using namespace lt::api;

namespace {

lt_report to_public(const Report& report) {
  lt_report result{};
  result.step = report.step;
  result.epoch = report.epoch;
  result.batch = report.batch;
  result.batches = report.batches;
  result.samples = report.samples;
  result.loss = report.loss;
  result.accuracy = report.accuracy;
  result.seconds = report.seconds;
  result.data_wait_seconds = report.data_wait_seconds;
  result.steps = report.steps;
  result.epoch_samples = report.epoch_samples;
  result.epoch_loss = report.epoch_loss;
  result.epoch_accuracy = report.epoch_accuracy;
  result.epoch_seconds = report.epoch_seconds;
  result.epoch_data_wait_seconds = report.epoch_data_wait_seconds;
  return result;
}

// Runs a call that makes a report; the report is given out on success, and where a stop ended an epoch.
template <class Call>
lt_status reporting(lt_session* session, lt_report* out, const Call& call) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_TRY(check_size(out, "out"));
    Report report;
    const Status status = call(*session->session, &report);
    if (ok(status) || (status == Status::stopped && report.samples > 0)) copy_out(to_public(report), out);
    return status;
  });
}

Status check_split(lt_split split) {
  if (split != LT_TRAIN && split != LT_TEST)
    return fail(Status::argument, "split %d is neither LT_TRAIN nor LT_TEST", static_cast<int>(split));
  return Status::ok;
}

Split to_split(lt_split split) { return split == LT_TRAIN ? Split::train : Split::test; }

}  // namespace

lt_status lt_session_create(const lt_plan* plan, void* arena, size_t bytes, lt_session** out) {
  return guarded([&] {
    LT_NOT_NULL(plan);
    LT_NOT_NULL(out);
    auto session = std::make_unique<lt_session>();
    LT_TRY(Session::create(plan->plan, arena, bytes, &session->session));
    *out = session.release();
    return Status::ok;
  });
}

lt_status lt_session_bind(lt_session* session, lt_split split, const lt_dataset* dataset) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_NOT_NULL(dataset);
    LT_TRY(check_split(split));
    return session->session->bind(to_split(split), dataset->dataset.get());
  });
}

lt_status lt_session_skipped(const lt_session* session, lt_split split, uint64_t* count, uint64_t* first) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_NOT_NULL(count);
    LT_TRY(check_split(split));
    const Session::Skipped skipped = session->session->skipped(to_split(split));
    *count = skipped.count;
    if (first != nullptr && skipped.count != 0) *first = skipped.first;
    return Status::ok;
  });
}

lt_status lt_session_on_event(lt_session* session, lt_event_fn event, void* user) {
  return guarded([&] {
    LT_NOT_NULL(session);
    session->event = event;
    session->event_user = user;
    return Status::ok;
  });
}

lt_status lt_session_step(lt_session* session, lt_report* out) {
  return reporting(session, out, [](Session& s, Report* report) { return s.step(report); });
}

lt_status lt_session_advance(lt_session* session, uint64_t most, lt_report* out) {
  return reporting(session, out, [most](Session& s, Report* report) { return s.advance(most, report); });
}

lt_status lt_session_epoch(lt_session* session, lt_report* out) {
  return reporting(session, out, [session](Session& s, Report* report) {
    // Who listens hears of every step.
    return s.epoch(session->event ? 1 : UINT64_MAX, report, [session](const Report& step) {
      if (!session->event) return;
      lt_report event = to_public(step);
      event.size = sizeof event;
      session->event(session->event_user, &event);
    });
  });
}

lt_status lt_session_step_on(lt_session* session, const void* x, const uint8_t* labels, uint32_t n, lt_report* out) {
  return reporting(session, out, [&](Session& s, Report* report) {
    LT_NOT_NULL(x);
    LT_NOT_NULL(labels);
    return s.step_on(x, labels, n, report);
  });
}

lt_status lt_session_push(lt_session* session, const void* x, uint8_t label, lt_report* out) {
  return reporting(session, out, [&](Session& s, Report* report) {
    LT_NOT_NULL(x);
    return s.push(x, label, report);
  });
}

lt_status lt_session_flush(lt_session* session, lt_report* out) {
  return reporting(session, out, [](Session& s, Report* report) { return s.flush(report); });
}

lt_status lt_session_eval(lt_session* session, lt_split split, lt_report* out) {
  return reporting(session, out, [split](Session& s, Report* report) {
    LT_TRY(check_split(split));
    return s.evaluate(to_split(split), report);
  });
}

lt_status lt_session_predict(lt_session* session, const void* x, uint32_t n, float* y, size_t y_floats) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_NOT_NULL(x);
    LT_NOT_NULL(y);
    return session->session->predict(x, n, y, y_floats);
  });
}

lt_status lt_session_predict_split(lt_session* session, lt_split split, uint64_t first, uint32_t n, float* y,
                                   size_t y_floats) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_NOT_NULL(y);
    LT_TRY(check_split(split));
    return session->session->predict_split(to_split(split), first, n, y, y_floats);
  });
}

lt_status lt_session_calibrate(lt_session* session, const void* x, uint32_t n) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_NOT_NULL(x);
    return session->session->calibrate(x, n);
  });
}

lt_status lt_session_forward(lt_session* session, const void* x, uint32_t n, float* y, size_t y_floats) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_NOT_NULL(x);
    LT_NOT_NULL(y);
    return session->session->forward(x, n, y, y_floats);
  });
}

uint32_t lt_session_tensor_count(const lt_session* session) {
  return session ? static_cast<uint32_t>(session->session->plan().parameters.size()) : 0;
}

const char* lt_session_tensor_name(const lt_session* session, uint32_t index) {
  return index < lt_session_tensor_count(session) ? session->session->plan().parameters[index].name.c_str() : nullptr;
}

lt_status lt_session_tensor_shape(const lt_session* session, const char* name, uint64_t dims[4], uint32_t* rank) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_NOT_NULL(name);
    LT_NOT_NULL(dims);
    LT_NOT_NULL(rank);
    const Parameter* parameter = session->session->parameter(name);
    if (!parameter) return Status::argument;
    for (size_t i = 0; i < 4; ++i) dims[i] = i < parameter->dims.size() ? parameter->dims[i] : 1;
    *rank = static_cast<uint32_t>(parameter->dims.size());
    return Status::ok;
  });
}

lt_status lt_session_read(lt_session* session, const char* name, float* out, size_t floats) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_NOT_NULL(name);
    LT_NOT_NULL(out);
    return session->session->read(name, out, floats);
  });
}

lt_status lt_session_write(lt_session* session, const char* name, const float* values, size_t floats) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_NOT_NULL(name);
    LT_NOT_NULL(values);
    return session->session->write(name, values, floats);
  });
}

lt_status lt_session_save(lt_session* session, const char* path) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_NOT_NULL(path);
    return session->session->save(path);
  });
}

lt_status lt_session_save_to(lt_session* session, const char* path, uint32_t keep) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_NOT_NULL(path);
    return session->session->save_to(path, keep);
  });
}

lt_status lt_session_checkpoint(lt_session* session) {
  return guarded([&] {
    LT_NOT_NULL(session);
    return session->session->checkpoint();
  });
}

lt_status lt_session_checkpoint_finish(lt_session* session) {
  return guarded([&] {
    LT_NOT_NULL(session);
    return session->session->checkpoint_finish();
  });
}

lt_status lt_session_load(lt_session* session, const char* path) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_NOT_NULL(path);
    return session->session->load(path);
  });
}

lt_status lt_session_place(const lt_session* session, lt_report* out, int* evaluated) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_TRY(check_size(out, "out"));
    Report report;
    bool tested = false;
    session->session->place(&report, &tested);
    copy_out(to_public(report), out);
    if (evaluated) *evaluated = tested;
    return Status::ok;
  });
}

lt_status lt_session_load_weights(lt_session* session, const char* path, uint32_t* ignored) {
  return guarded([&] {
    LT_NOT_NULL(session);
    LT_NOT_NULL(path);
    return session->session->load_weights(path, ignored);
  });
}

void lt_session_request_stop(lt_session* session) {
  if (session) session->session->request_stop();
}

void lt_session_free(lt_session* session) { delete session; }
