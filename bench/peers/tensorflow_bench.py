#!/usr/bin/env python3
"""Step times of a benchmark model in TensorFlow with Keras: a training loop of one's own under tf.function, as a graph or compiled by
XLA. Prints one JSON line.

usage: tensorflow_bench.py MODEL --data DIR [--form graph|xla] [--steps N] [--threads N] [--precision fp32|bf16]
"""
import os, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import common

options = common.arguments(["graph", "xla"])
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
if options.threads: os.environ["OMP_NUM_THREADS"] = str(options.threads)

import tensorflow as tf
import keras

if options.threads:
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
if options.precision == "bf16": keras.mixed_precision.set_global_policy("mixed_bfloat16")
keras.utils.set_random_seed(1)
spec = common.SPECS[options.model]
if options.model == "resnet50": sys.exit("not written for resnet50")
data = [(tf.constant(x), tf.constant(labels)) for x, labels in common.batches(spec, options.data)]


def layers_of(kind, *about):
    if kind == "conv":
        channels, kernel, padding = about
        return [keras.layers.Conv2D(channels, kernel, padding="same" if padding else "valid")]
    if kind == "pool": return [keras.layers.MaxPooling2D(2)]
    if kind == "relu": return [keras.layers.ReLU()]
    if kind == "flatten": return [keras.layers.Flatten()]
    if kind == "dropout": return [keras.layers.Dropout(about[0])]
    if kind == "linear": return [keras.layers.Dense(about[0], use_bias=about[1])]
    if kind == "embedding": return [keras.layers.Embedding(*about)]
    if kind == "last": return [keras.layers.Lambda(lambda x: x[:, -1])]
    units, layers, both_ways = about
    cell = keras.layers.GRU if kind == "gru" else keras.layers.LSTM  # GRU's reset gate acts after the product by default
    made = [cell(units, return_sequences=True) for _ in range(layers)]
    return [keras.layers.Bidirectional(layer) for layer in made] if both_ways else made


model = keras.Sequential([layer for layer in spec.layers for layer in layers_of(*layer)])
name, rate, *momentum = spec.optimizer
optimizer = keras.optimizers.Adam(rate, epsilon=1e-8) if name == "adam" else keras.optimizers.SGD(rate, momentum[0])


def loss_of(logits, labels):
    logits = tf.cast(logits, tf.float32)
    if not spec.every_step: return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    lengths = tf.fill([tf.shape(labels)[0]], common.CTC_LABELS)
    return tf.reduce_mean(tf.nn.ctc_loss(labels, logits, lengths, tf.constant(common.CTC_LENGTHS), logits_time_major=False, blank_index=0)) / common.CTC_LABELS


@tf.function(jit_compile=options.form == "xla")
def trained(x, labels):
    with tf.GradientTape() as tape:
        loss = loss_of(model(x, training=True), labels)
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


model.build(data[0][0].shape)
optimizer.build(model.trainable_variables)
common.measure("tensorflow", tf.__version__, options, lambda i: trained(*data[i % len(data)]).numpy(), model.count_params())
