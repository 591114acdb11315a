// The report as one HTML page: pictures inline, numbers as tables, no script, nothing from elsewhere. One thread.
#pragma once

#include <string>
#include <vector>

#include "tools/report/pictures_of_runs.h"
#include "tools/report/run_reader.h"

namespace lt::tool {

std::string report_page(const std::vector<Run>& runs, const ReportPictures& pictures);

}  // namespace lt::tool
