# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Soak: everything is killed at random while processes publish what describes itself

stages+=(soak)

run_soak() {
	env PYTHONDONTWRITEBYTECODE=1 tests/soak/soak --seconds "${ONEBEAT_SOAK_SECONDS:-60}" \
		${ONEBEAT_SEED:+--seed "$ONEBEAT_SEED"} build
}

stage_soak() { # kill -9 at random while processes publish: nothing torn, lost or forged
	built build all || return
	check "soak's checker refuses what it must" \
		env PYTHONDONTWRITEBYTECODE=1 python3 -m pytest -c tests/soak/pytest.ini -q tests/soak
	# Its figures are for the log, whether it fails or not.
	run_soak >build/log/soak.out 2>&1
	check "soak: $(head -n 1 build/log/soak.out)" test "$?" = 0
	indented <build/log/soak.out
}
