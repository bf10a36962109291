# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Conformance: one suite for the embedded registry in each mode, for registries by others, and for any by URL

stages+=(conformance)

conform() {
	env PYTHONDONTWRITEBYTECODE=1 tests/conformance/conform "$@" build
}

# Twenty seconds of what tests/run --long does for a quarter of an hour, of a cluster too, and two liars.
long_in_short() {
	local short=(env PYTHONDONTWRITEBYTECODE=1 tests/conformance/long --minutes 0.33 --instances 100 --kill-every 5
		--scale 2) lie
	for lie in blinks forgets; do
		refuse "long refuses a registry that $lie" '^    at .* (is unhealthy|of 50 are listed)' \
			"${short[@]}" --lie "$lie" build &
	done
	"${short[@]}" --target embedded:2,nodes=3 build &
	"${short[@]}" build
	wait
}

# What is not CI's: every target of which there is one, each so many minutes.
run_long() {
	local target
	for target in embedded:{1.4,2,3,3-no-v1,3.2} embedded:{2,3.2},login embedded:2,nodes=3 rnacos; do
		env PYTHONDONTWRITEBYTECODE=1 tests/conformance/long --minutes "$1" --target "$target" build
	done
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
	if [[ -n ${ONEBEAT_LONG_MINUTES-} ]]; then
		run_long "$ONEBEAT_LONG_MINUTES"
		return
	fi
	if [[ ${ONEBEAT_REAL-} == rnacos ]]; then
		check "rnacos is in its cache" build_rnacos
		conform --rnacos open --rnacos login
		return
	fi
	# All at once: what they do is to wait for clocks.
	local out=build/log/conformance
	conform --embedded 1.4 --embedded 2 --embedded 3 --embedded 3-no-v1 --embedded 3.2 \
		--embedded 1.4,login --embedded 2,login --embedded 3.2,login \
		--rnacos open --rnacos login >"$out.targets" 2>&1 &
	conform --liars >"$out.liars" 2>&1 &
	conform --witness --embedded 1.4 --embedded 2 --embedded 3 --embedded 2,login >"$out.witness" 2>&1 &
	long_in_short >"$out.long" 2>&1 &
	wait
	cat "$out".{targets,liars,witness,long}
}
