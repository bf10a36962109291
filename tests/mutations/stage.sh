# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Mutations: the code made wrong on purpose, each way alone

stages+=(mutations)

stage_mutations() { # the code made wrong on purpose: every suite must notice
	local case
	built build all || return
	rm -rf build/mutations
	tests/mutations/mutate build
	for case in tests/mutations/known-bad/*.mutation; do
		refuse "mutations refuses ${case##*/}" "$(sed -n 's/^# refused: //p' "$case")" \
			tests/mutations/mutate build "$case"
	done
}
