#!/usr/bin/env bash
# Runs the public test suite of the array API standard against quorate.testing.array_api.
#
#   scripts/array_api.sh [PROTOCOL] [EXAMPLES] [pytest options ...]      default: clear 5
#
# Needs network access to GitHub and the packages pytest, hypothesis and pytest-json-report. The suite is fetched once, at a
# pinned commit, into build/array-api-tests. Cases that cannot work on secrets stand in tests/array_api/, with the reason.
set -euo pipefail
cd "$(dirname "$0")/.."

commit=55fcc60179efa2680ddd6cd926ddf17b83530e2b
suite=build/array-api-tests
protocol=${1:-clear}
examples=${2:-5}
shift $(($# < 2 ? $# : 2))

if [ ! -d "$suite/.git" ]; then
    git clone --quiet https://github.com/data-apis/array-api-tests "$suite"
fi
git -C "$suite" checkout --quiet "$commit"
git -C "$suite" submodule --quiet update --init

here=$PWD
cd "$suite"
export ARRAY_API_TESTS_MODULE=quorate.testing.array_api
export ARRAY_API_TESTS_VERSION=2023.12
export ARRAY_API_TESTS_SKIP_DTYPES=uint8,uint16,uint32,uint64,complex64,complex128
export QUORATE_ARRAY_API_PROTOCOL=$protocol
export PYTHONPATH=$here/src${PYTHONPATH:+:$PYTHONPATH}
exec "${PYTHON:-python}" -m pytest -p quorate.testing.array_api.domain array_api_tests \
    --max-examples "$examples" --hypothesis-disable-deadline --disable-data-dependent-shapes \
    --disable-extension linalg fft --skips-file "$here/tests/array_api/skips.txt" \
    --xfails-file "$here/tests/array_api/xfails.txt" -rxXfE "$@"
