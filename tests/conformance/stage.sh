# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Conformance: one suite for the embedded registry in each mode, for registries by others, and for any by URL

stages+=(conformance)

conform() {
	env PYTHONDONTWRITEBYTECODE=1 tests/conformance/conform "$@" build
}

# Eleven minutes on two cores, once; CI does without it.
build_rnacos() {
	local cache=${XDG_CACHE_HOME:-$HOME/.cache}/onebeat/rnacos
	[[ -x $cache/bin/rnacos ]] || cargo install --locked rnacos --version 0.8.8 --root "$cache"
}

stage_conformance() { # what the specification says, asked of every registry at hand; of one: --conformance URL
	built build all || return
	if [[ -n ${ONEBEAT_CONFORMANCE_URL-} ]]; then
		conform --url "$ONEBEAT_CONFORMANCE_URL" ${ONEBEAT_CONFORMANCE_USER:+--user "$ONEBEAT_CONFORMANCE_USER"}
		return
	fi
	if [[ ${ONEBEAT_REAL-} == rnacos ]]; then
		check "rnacos is in its cache" build_rnacos
		conform --rnacos open
		conform --rnacos login --no-agent
		return
	fi
	conform --embedded 1.4 --embedded 2 --embedded 3 --rnacos open
	conform --embedded 3-no-v1 --embedded 3.2 --rnacos login --no-agent --liars
}
