// The object between two processes of one program: both ends name the members in one list. See measurement.h.
#include "tools/bench/measurement.h"

#include <nlohmann/json.hpp>

namespace lt::tool {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Measurement, device, device_name, kernels, precision, optimizer, data, threads, batch,
                                   parameters, arena_bytes, weights_bytes, peak_anonymous_bytes, peak_rss_bytes,
                                   first_step_seconds, warm_up_steps, timed_steps, step_seconds, timed_seconds,
                                   data_wait_seconds, waited_seconds, nominal_operations, real_operations)

// Names of devices come from the system, and need not be UTF-8.
std::string to_json(const Measurement& measurement) {
  return nlohmann::json(measurement).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool from_json(std::string_view text, Measurement* measurement) {
  const nlohmann::json parsed = nlohmann::json::parse(text, nullptr, false);
  if (parsed.is_discarded()) return false;
  try {
    *measurement = parsed.get<Measurement>();
  } catch (const nlohmann::json::exception&) {
    return false;
  }
  return true;
}

}  // namespace lt::tool
