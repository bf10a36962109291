# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A kill at every crash point; the points come from the code, the tests from tests/crash/table

stages+=(crash)

# A table with one line, that looks right and is not.
carry_out_bad_table() {
	ONEBEAT_CRASH_TABLE=$1 ONEBEAT_CRASH_PATIENCE=2 tests/gates/integration build-clang tests/crash
}

stage_crash() { # a kill at every crash point
	check "crash points: each has a test" tests/crash/points
	refuse_each crash/trees tests/crash/points
	built_with_crash_points || return
	tests/gates/integration build-clang tests/crash
	refuse_each crash/tables carry_out_bad_table
}
