#!/bin/bash
# All that is to be known of this build on this machine's GPU, in one go: the card, the tests that need it, compute-sanitizer
# where there is one, where the time to the first step goes, and epochs beside PyTorch's. Builds nothing.
#
# usage: bench/gpu.sh OUT_DIR [--build DIR] [--seconds N] [further options of bench/gpu.py]
#
# --build: the build folder [$LEAN_TRAIN_BUILD, else build beside bench]; of it, lean-train and tests/gpu are used.
# --seconds: of the whole [500]. What does not fit is left out, and the report says so. $PYTHON: the interpreter [python3];
# PyTorch is measured where it has torch. Writes OUT_DIR/CARD-DATE.json and .md, and rewrites them after every stage.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 2
if [ $# -lt 1 ] || [ "${1#-}" != "$1" ]; then
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
  exit 2
fi
out=$1
shift
build=${LEAN_TRAIN_BUILD:-$here/../build} seconds=500
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --build | --seconds)
      [ $# -ge 2 ] || { echo "gpu.sh: $1: a value is missing" >&2; exit 2; }
      if [ "$1" = --build ]; then build=$2; else seconds=$2; fi
      shift 2 ;;
    *)
      options+=("$1")
      shift ;;
  esac
done
[ -x "$build/lean-train" ] || { echo "gpu.sh: $build/lean-train is not there: build it, or name the folder with --build" >&2; exit 2; }
mkdir -p "$out" || exit 1
# Past its own bound only where something cannot be interrupted.
exec timeout --kill-after=10 $((seconds + 25)) "${PYTHON:-python3}" -u "$here/gpu.py" "$out" --build "$build" --seconds "$seconds" "${options[@]}"
