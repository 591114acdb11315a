#!/usr/bin/env python3
"""Step times of a benchmark model in JAX with Flax and Optax: one jitted step that is given its arguments' memory to write into, as
their documentation has it. Prints one JSON line.

usage: jax_bench.py MODEL --data DIR [--steps N] [--threads N] [--precision fp32|bf16]
"""
import os, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import common

options = common.arguments(["jit"])
if options.threads:  # XLA's pool has a thread a processor that it may run on
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:options.threads])
os.environ["JAX_PLATFORMS"] = "cpu"

import flax, flax.linen as nn, jax, jax.numpy as jnp, optax

spec = common.SPECS[options.model]
if options.model == "resnet50": sys.exit("not written for resnet50")
dtype = jnp.bfloat16 if options.precision == "bf16" else jnp.float32


class Network(nn.Module):
    @nn.compact
    def __call__(self, x, training):
        for kind, *about in spec.layers:
            if kind == "conv":
                channels, kernel, padding = about
                x = nn.Conv(channels, (kernel, kernel), padding=padding, dtype=dtype)(x)
            elif kind == "pool": x = nn.max_pool(x, (2, 2), (2, 2))
            elif kind == "relu": x = nn.relu(x)
            elif kind == "flatten": x = x.reshape(len(x), -1)
            elif kind == "dropout": x = nn.Dropout(about[0], deterministic=not training)(x)
            elif kind == "linear": x = nn.Dense(about[0], use_bias=about[1], dtype=dtype)(x)
            elif kind == "embedding": x = nn.Embed(*about, dtype=dtype)(x)
            elif kind == "last": x = x[:, -1]
            else:
                units, layers, both_ways = about
                cell = nn.GRUCell if kind == "gru" else nn.OptimizedLSTMCell
                for _ in range(layers):
                    one = nn.RNN(cell(units, dtype=dtype))
                    x = nn.Bidirectional(one, nn.RNN(cell(units, dtype=dtype)))(x) if both_ways else one(x)
        return x.astype(jnp.float32)


def loss_of(logits, labels):
    if not spec.every_step: return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    behind = (jnp.arange(1000)[None] >= jnp.array(common.CTC_LENGTHS)[:, None]).astype(jnp.float32)
    return (optax.ctc_loss(logits, behind, labels, jnp.zeros(labels.shape)) / common.CTC_LABELS).mean()


network = Network()
name, rate, *momentum = spec.optimizer
optimizer = optax.adam(rate) if name == "adam" else optax.sgd(rate, momentum[0] or None)
data = [(jnp.asarray(x), jnp.asarray(labels)) for x, labels in common.batches(spec, options.data)]
parameters = jax.jit(lambda key, x: network.init(key, x, False))(jax.random.key(1), data[0][0])
state = optimizer.init(parameters)


def one_step(parameters, state, key, x, labels):
    def loss_by(weights):
        return loss_of(network.apply(weights, x, True, rngs={"dropout": key}), labels)
    loss, gradients = jax.value_and_grad(loss_by)(parameters)
    updates, state = optimizer.update(gradients, state, parameters)
    return optax.apply_updates(parameters, updates), state, loss


trained = jax.jit(one_step, donate_argnums=(0, 1))
key = jax.random.key(2)


def step(i):
    global parameters, state
    parameters, state, loss = trained(parameters, state, jax.random.fold_in(key, i), *data[i % len(data)])
    jax.block_until_ready(parameters)
    return loss


common.measure("jax", f"{jax.__version__}, flax {flax.__version__}", options, step, sum(value.size for value in jax.tree.leaves(parameters)))
