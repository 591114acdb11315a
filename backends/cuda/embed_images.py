#!/usr/bin/env python3
"""Embeds the kernels' images into the program.

usage: embed_images.py OUT.S OUT.cpp ARCHITECTURES IMAGE.fatbin...

OUT.S holds the images' bytes, OUT.cpp the table of backends/cuda/modules.h; an image's name is that of its file.
"""
import os, sys

assembly, table, architectures, *images = sys.argv[1:]
names = [os.path.splitext(os.path.basename(image))[0] for image in images]
with open(assembly, "w") as out:
    out.write('.section .rodata, "a"\n')
    for name, image in zip(names, images):
        symbol = "lt_cuda_image_" + name
        out.write(f'.balign 64\n.global {symbol}\n.hidden {symbol}\n{symbol}:\n.incbin "{os.path.abspath(image)}"\n')
    out.write('.section .note.GNU-stack, "", @progbits\n')
with open(table, "w") as out:
    out.write('#include "backends/cuda/modules.h"\n\n')
    for name in names: out.write(f'extern "C" const unsigned char lt_cuda_image_{name}[];\n')
    out.write("\nnamespace lt::cuda {\n\nconst ModuleImage module_images[] = {\n")
    for name in names: out.write(f'    {{"{name}", lt_cuda_image_{name}}},\n')
    out.write(f'}};\nconst size_t module_image_count = {len(names)};\nconst char module_architectures[] = "{architectures}";\n\n}}  // namespace lt::cuda\n')
