"""Files of the published data sets' form and size (or a share of it) with random pictures and labels: for timing, where the real ones are not at hand."""
import os, random, struct


def labels(count, seed):
    return bytes(random.Random(seed).choices(range(10), k=count))


def write_mnist(folder, share):
    os.makedirs(folder)
    for name, count in (("train", 60000 // share), ("t10k", 10000 // share)):
        with open(os.path.join(folder, name + "-images-idx3-ubyte"), "wb") as file:
            file.write(struct.pack(">4I", 0x803, count, 28, 28) + random.Random(1).randbytes(count * 28 * 28))
        with open(os.path.join(folder, name + "-labels-idx1-ubyte"), "wb") as file:
            file.write(struct.pack(">2I", 0x801, count) + labels(count, 2))


def write_cifar10(folder, share):
    os.makedirs(folder)
    for number, name in enumerate([*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]):
        count = 10000 // share
        records = bytearray(random.Random(number).randbytes(count * 3073))
        records[::3073] = labels(count, number)
        with open(os.path.join(folder, name), "wb") as file:
            file.write(records)


def write_sets(folder, share=1):
    """In the folders' published names; with `share` that many times fewer samples."""
    write_mnist(os.path.join(folder, "mnist"), share)
    write_cifar10(os.path.join(folder, "cifar-10-batches-bin"), share)
