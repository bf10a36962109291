# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Benches in short form: the figures come out and make sense; what they are is for people to read

# shellcheck disable=SC2154 # stages is tests/run's
stages+=(bench)

stage_bench() { # the figures come out and make sense
	local bench case
	built build all || return
	mkdir -p build/bench
	for bench in shm adopt comeback; do
		check "bench: $bench" tests/bench/run "$bench" --short --json "build/bench/$bench.json"
		# What was measured is in the log of the stage, whether it is good or bad.
		[[ ! -e build/bench/$bench.json ]] || tests/bench/run "$bench" --judge "build/bench/$bench.json" | indented
	done
	for case in tests/bench/known-bad/*.json; do
		bench=$(basename "$case" .json)
		refuse "bench refuses ${case##*/}" "$(sed -n 's/.*"refused": "\(.*\)".*/\1/p' "$case")" \
			tests/bench/run "${bench%%-*}" --judge "$case"
	done
}
