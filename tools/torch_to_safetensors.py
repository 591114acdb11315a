#!/usr/bin/env python3
"""Turns a file of PyTorch's (.pth, .pt: a state dict, or a checkpoint that holds one), or a torchvision model, into safetensors,
which lean-train takes by --weights. Needs torch (and torchvision for its models), on the machine where it runs.

usage: torch_to_safetensors.py MODEL.pth OUT.safetensors
       torch_to_safetensors.py torchvision:resnet50 OUT.safetensors [--weights IMAGENET1K_V2]    fetched by torchvision
       torch_to_safetensors.py MODEL.pth OUT.safetensors --rename conv1=features.0 --rename fc=classifier

Floating-point tensors become float32, in the file's order; others keep their type. Nothing but tensors is read from the file
(weights_only): it cannot run code. --rename NEW=OLD gives tensors that start with "OLD." the names that start with "NEW.".
"""
import argparse, json, os, struct, sys

DTYPES = {"float32": "F32", "float64": "F64", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32", "int16": "I16",
          "int8": "I8", "uint8": "U8", "bool": "BOOL"}


def state_dict_of(torch, path):
    """The first level of a file that holds nothing but tensors; checkpoints of trainings have it under a name of their own."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model_state_dict", "model", "net"):
        if isinstance(content, dict) and isinstance(content.get(key), dict): content = content[key]
    if not isinstance(content, dict) or not content: sys.exit(f"{path}: holds a {type(content).__name__}, expected a state dict")
    for name, value in content.items():
        if not isinstance(value, torch.Tensor):
            sys.exit(f"{path}: '{name}' is a {type(value).__name__}, expected a state dict: names and tensors alone")
    # DataParallel and torch.compile put their own names in front.
    for prefix in ("module.", "_orig_mod."):
        if all(name.startswith(prefix) for name in content): content = {name[len(prefix):]: value for name, value in content.items()}
    return content


def torchvision_state_dict(name, weights):
    import torchvision
    return torchvision.models.get_model(name, weights=weights).state_dict()


def renamed(name, renames):
    for new, old in renames:
        if name.startswith(old + "."): return new + name[len(old):]
    return name


def write(torch, tensors, path):
    header, data, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in tensors.items():
        if tensor.is_floating_point(): tensor = tensor.float()
        tensor = tensor.detach().cpu().contiguous()
        kind = str(tensor.dtype).removeprefix("torch.")
        if kind not in DTYPES: sys.exit(f"{name}: is {kind}, which safetensors files do not hold")
        data.append(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
        header[name] = {"dtype": DTYPES[kind], "shape": list(tensor.shape), "data_offsets": [at, at + len(data[-1])]}
        at += len(data[-1])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)  # the tensors start at a multiple of 64 bytes
    aside = f"{path}.tmp.{os.getpid()}"
    try:
        with open(aside, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for part in data: file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        if os.path.exists(aside): os.remove(aside)
    print(f"{path}: {len(tensors)} tensors, {at} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("out")
    parser.add_argument("--weights", default="DEFAULT", help="of a torchvision model [DEFAULT]")
    parser.add_argument("--rename", action="append", default=[], metavar="NEW=OLD")
    options = parser.parse_args()
    renames = [tuple(rename.split("=", 1)) for rename in options.rename]
    if any(len(rename) != 2 for rename in renames): parser.error("--rename takes NEW=OLD")
    try:
        import torch
    except ImportError:
        sys.exit("torch cannot be imported; run this where PyTorch is installed")
    if options.source.startswith("torchvision:"):
        tensors = torchvision_state_dict(options.source.split(":", 1)[1], options.weights)
    else:
        tensors = state_dict_of(torch, options.source)
    tensors = {renamed(name, renames): value for name, value in tensors.items()}
    write(torch, tensors, options.out)


main()
