// How --help looks: descriptions wrapped to 100 columns, one blank line between groups, no internal relations of options.
// Set-up only.
#pragma once

#include <CLI/App.hpp>
#include <memory>

namespace lt::tool {

// For the app before commands are added to it: they take it over.
std::shared_ptr<CLI::Formatter> help_formatter();

}  // namespace lt::tool
