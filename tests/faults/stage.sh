# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Calls that fail, in the real programs. Every module's init and the library's life are unit tests (test_fault_*).

stages+=(faults)

stage_faults() { # the n-th call of every kind fails, in a whole life of keeper and agent
	built build all || return
	refuse_each faults tests/faults/sweep build
	tests/faults/sweep --each "${ONEBEAT_FAULTS_EACH:-24}" ${ONEBEAT_SEED:+--seed "$ONEBEAT_SEED"} build
}
