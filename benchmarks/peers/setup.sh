#!/bin/sh
# Installs the peers, each into an environment of its own: setup.sh [DIRECTORY] [PYTHON]
# DIRECTORY (the repository's root by default) gets .venv-peer-mpyc and .venv-peer-spu, 1.2 GB in all.
set -eu

directory=${1:-$(dirname "$0")/../..}
python=${2:-python3.11}  # the one SPU 0.9.5 was tried with

"$python" -m venv "$directory/.venv-peer-mpyc"
"$directory/.venv-peer-mpyc/bin/python" -m pip install --quiet mpyc==0.11 numpy==2.4.6 gmpy2==2.3.2 uvloop==0.23.0

"$python" -m venv "$directory/.venv-peer-spu"
"$directory/.venv-peer-spu/bin/python" -m pip install --quiet spu==0.9.5 jax==0.4.34 jaxlib==0.4.34 numpy==1.26.4
