# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The fuzz targets: clang's libFuzzer with AddressSanitizer and UBSan

stages+=(fuzz)

stage_fuzz() { # whatever comes from outside, by libFuzzer; each target is also shown a bug
	CC=clang built build-fuzz fuzz_targets -DONEBEAT_FUZZ=ON "-DONEBEAT_SANITIZE=address;undefined" || return
	tests/fuzz/run ${ONEBEAT_FUZZ_SECONDS:+--seconds "$ONEBEAT_FUZZ_SECONDS"} ${ONEBEAT_SEED:+--seed "$ONEBEAT_SEED"} build-fuzz
}
