# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The real programs under AddressSanitizer, UBSan and valgrind; the unit tests have stages of their own

stages+=(sanitizers)

# The stories that take the programs through most, and the attacks whose bytes are the oddest. Bounds of time are
# those of an ordinary build, so stories about thousands of processes stay out.
sanitized_stories=(test_life.py test_absence.py test_operator.py test_run.py
	'test_hostile.py::test_others_notice_nothing['{bounds-1,garbage-1,rights-1,flip-100,punch-100}']')

stage_sanitizers() { # stories under AddressSanitizer and UBSan, an ordinary life under valgrind
	local known_bad=tests/gates/known-bad/sanitizers bad_program=build/known-bad/leak
	built build all || return
	built build-asan all -DCMAKE_BUILD_TYPE=Debug "-DONEBEAT_SANITIZE=address;undefined" || return
	tests/gates/integration --sanitized build-asan "${sanitized_stories[@]/#/tests/integration/}"
	tests/sanitizers/life build
	mkdir -p "${bad_program%/*}"
	gcc -g -fsanitize=address -o "$bad_program-asan" "$known_bad/leak.c" &&
		refuse "sanitizers refuses test_leak.py" "$(expected "$known_bad/test_leak.py")" \
			env ONEBEAT_BAD_PROGRAM="$PWD/$bad_program-asan" \
			tests/gates/integration --sanitized build/known-bad "$known_bad/test_leak.py"
	gcc -g -o "$bad_program" "$known_bad/leak.c" &&
		refuse "sanitizers refuses onebeatd" "$(expected "$known_bad/onebeatd")" \
			env ONEBEAT_BAD_PROGRAM="$PWD/$bad_program" tests/sanitizers/life build "$known_bad/onebeatd"
}
