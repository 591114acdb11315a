// The commands of the program. Each function adds its command to `app`; when the line is parsed, the chosen one runs and
// leaves the program's exit status in `exit_code`, which outlives the app.
#pragma once

#include <CLI/App.hpp>

namespace lt::tool {

void add_mnist_command(CLI::App& app, int* exit_code);
void add_cifar10_command(CLI::App& app, int* exit_code);
void add_imdb_command(CLI::App& app, int* exit_code);
void add_rnn_command(CLI::App& app, int* exit_code);
void add_resnet50_command(CLI::App& app, int* exit_code);
void add_predict_command(CLI::App& app, int* exit_code);
void add_train_command(CLI::App& app, int* exit_code);
void add_bench_command(CLI::App& app, int* exit_code);
void add_compare_command(CLI::App& app, int* exit_code);
void add_inspect_command(CLI::App& app, int* exit_code);
void add_devices_command(CLI::App& app, int* exit_code);
void add_selftest_command(CLI::App& app, int* exit_code);
void add_report_command(CLI::App& app, int* exit_code);
void add_export_command(CLI::App& app, int* exit_code);

}  // namespace lt::tool
