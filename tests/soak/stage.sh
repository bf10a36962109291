# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Soak: everything is killed at random while processes publish what describes itself

stages+=(soak)

# Its figures are for the log, whether it fails or not. refuse and check want them on stdout.
run_soak() { # run_soak OPTION... BUILD
	env PYTHONDONTWRITEBYTECODE=1 tests/soak/soak "$@" >build/log/soak.out 2>&1 || {
		cat build/log/soak.out
		return 1
	}
}

stage_soak() { # kill -9 at random while processes publish: nothing torn, lost or forged
	built build all || return
	check "soak's checker refuses what it must" \
		env PYTHONDONTWRITEBYTECODE=1 python3 -m pytest -c tests/soak/pytest.ini -q tests/soak
	refuse "soak refuses a process that it did not start" '^broken: Broken: foreign: ' \
		run_soak --seconds 1 --seed 1 --plant build
	check "soak" run_soak --seconds "${ONEBEAT_SOAK_SECONDS:-60}" ${ONEBEAT_SEED:+--seed "$ONEBEAT_SEED"} build
	indented <build/log/soak.out
}
