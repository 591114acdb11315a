// The table of published figures. See published.h.
#include "tools/report/published.h"

#include <array>

namespace lt::tool {
namespace {

constexpr std::string_view dynet = "DyNet, examples/mnist, README";
constexpr std::string_view gotch = "gotch, example/mnist, README";
constexpr std::string_view ilkarman = "ilkarman/DeepLearningFrameworks, README";
constexpr std::string_view rnn_benchmarks = "stefbraun/rnn_benchmarks, README (PyTorch 0.1.12)";

constexpr std::string_view gtx_1080_ti = "GTX 1080 Ti", k80 = "half a K80", p100 = "P100", gtx_980_ti = "GTX 980 Ti",
                           six_cores = "six-core CPU", unnamed_gpu = "one unnamed GPU";

// 20 epochs of 60,000 samples; seconds are an epoch's.
constexpr double digits(double seconds) { return 60000 / seconds; }
// 30 epochs of 60,000 samples; minutes for all of them.
constexpr double digits_in_all(double minutes) { return 30 * 60000 / (60 * minutes); }
// 10 epochs of 781 whole batches of 64.
constexpr double pictures(double seconds) { return 10 * 781 * 64 / seconds; }
// 3 epochs of 390 whole batches of 64.
constexpr double reviews(double seconds) { return 3 * 390 * 64 / seconds; }
// A batch of 25 sequences.
constexpr double sequences(double seconds) { return 25 / seconds; }

constexpr PublishedFigure table[] = {
    {"mnist/cnn-same", "DyNet, minibatch", gtx_1080_ti, "4.13 s an epoch", digits(4.13), 0.9899, dynet},
    {"mnist/cnn-same", "PyTorch", gtx_1080_ti, "4.49 s an epoch", digits(4.49), 0.9895, dynet},
    {"mnist/cnn-same", "DyNet, autobatch", gtx_1080_ti, "8.58 s an epoch", digits(8.58), 0.9898, dynet},

    {"mnist/cnn-valid", "gotch", unnamed_gpu, "2.81 min for 30 epochs", digits_in_all(2.81), 0.991, gotch},
    {"mnist/cnn-valid", "PyTorch", unnamed_gpu, "5.63 min for 30 epochs", digits_in_all(5.63), 0.9931, gotch},

    {"cifar10", "MXNet", k80, "145 s", pictures(145), -1, ilkarman},
    {"cifar10", "Caffe2", k80, "148 s", pictures(148), -1, ilkarman},
    {"cifar10", "Gluon", k80, "152 s", pictures(152), -1, ilkarman},
    {"cifar10", "Knet", k80, "153 s", pictures(153), -1, ilkarman},
    {"cifar10", "Chainer", k80, "162 s", pictures(162), -1, ilkarman},
    {"cifar10", "CNTK", k80, "163 s", pictures(163), -1, ilkarman},
    {"cifar10", "PyTorch", k80, "169 s", pictures(169), -1, ilkarman},
    {"cifar10", "TensorFlow", k80, "173 s", pictures(173), -1, ilkarman},
    {"cifar10", "the fastest", p100, "51 s", pictures(51), -1, ilkarman},

    {"imdb", "MXNet", k80, "29 s", reviews(29), -1, ilkarman},
    {"imdb", "Knet", k80, "30 s", reviews(30), -1, ilkarman},
    {"imdb", "TensorFlow", k80, "30 s", reviews(30), -1, ilkarman},
    {"imdb", "PyTorch", k80, "31 s", reviews(31), -1, ilkarman},
    {"imdb", "CNTK", k80, "32 s", reviews(32), -1, ilkarman},
    {"imdb", "Keras", k80, "35 s", reviews(35), -1, ilkarman},
    {"imdb", "the fastest", p100, "15 s", reviews(15), -1, ilkarman},

    {"rnn/gru-1x320", "PyTorch", gtx_980_ti, "0.12 s a step", sequences(0.12), -1, rnn_benchmarks},
    {"rnn/gru-1x320", "Lasagne", gtx_980_ti, "0.32 s a step", sequences(0.32), -1, rnn_benchmarks},
    {"rnn/gru-1x320", "TensorFlow", gtx_980_ti, "0.59 s a step", sequences(0.59), -1, rnn_benchmarks},

    {"rnn/lstm-1x320", "PyTorch, cuDNN", gtx_980_ti, "0.18 s a step", sequences(0.18), -1, rnn_benchmarks},
    {"rnn/lstm-1x320", "Lasagne", gtx_980_ti, "0.40 s a step", sequences(0.40), -1, rnn_benchmarks},
    {"rnn/lstm-1x320", "PyTorch, LSTMCell", gtx_980_ti, "0.44 s a step", sequences(0.44), -1, rnn_benchmarks},
    {"rnn/lstm-1x320", "TensorFlow, LSTMBlockCell", gtx_980_ti, "0.52 s a step", sequences(0.52), -1, rnn_benchmarks},
    {"rnn/lstm-1x320", "TensorFlow, LSTMCell", gtx_980_ti, "0.59 s a step", sequences(0.59), -1, rnn_benchmarks},
    {"rnn/lstm-1x320", "Keras", gtx_980_ti, "0.72 s a step", sequences(0.72), -1, rnn_benchmarks},
    {"rnn/lstm-1x320", "PyTorch, custom cell", gtx_980_ti, "1.16 s a step", sequences(1.16), -1, rnn_benchmarks},

    {"rnn/bilstm-4x320", "PyTorch", gtx_980_ti, "1.05 s a step", sequences(1.05), -1, rnn_benchmarks},
    {"rnn/bilstm-4x320", "Lasagne", gtx_980_ti, "3.38 s a step", sequences(3.38), -1, rnn_benchmarks},
    {"rnn/bilstm-4x320", "TensorFlow", gtx_980_ti, "5.07 s a step", sequences(5.07), -1, rnn_benchmarks},

    {"rnn/bilstm-4x320-ctc", "PyTorch", gtx_980_ti, "1.35 s a step", sequences(1.35), -1, rnn_benchmarks},
    {"rnn/bilstm-4x320-ctc", "Lasagne", gtx_980_ti, "4.60 s a step", sequences(4.60), -1, rnn_benchmarks},
    {"rnn/bilstm-4x320-ctc", "TensorFlow", gtx_980_ti, "5.22 s a step", sequences(5.22), -1, rnn_benchmarks},

    {"resnet50", "TensorFlow", k80, "155 images/s", 155, -1, ilkarman},
    {"resnet50", "PyTorch", k80, "130 images/s", 130, -1, ilkarman},
    {"resnet50", "MXNet", k80, "130 images/s", 130, -1, ilkarman},
    {"resnet50", "CNTK", k80, "117 images/s", 117, -1, ilkarman},
    {"resnet50", "Chainer", k80, "107 images/s", 107, -1, ilkarman},
    {"resnet50", "Keras", k80, "98 images/s", 98, -1, ilkarman},
    {"resnet50", "Caffe2", k80, "71 images/s", 71, -1, ilkarman},
    {"resnet50", "MXNet with MKL", six_cores, "25 images/s", 25, -1, ilkarman},
    {"resnet50", "TensorFlow", six_cores, "11 images/s", 11, -1, ilkarman},
    {"resnet50", "PyTorch", six_cores, "6 images/s", 6, -1, ilkarman},
};

}  // namespace

PublishedFigures published_figures() { return {table, std::size(table)}; }

}  // namespace lt::tool
