# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Result lines, which is what tests/run counts: `ok - NAME`, `not ok - NAME`, `ok - NAME # SKIP why`

indented() {
	sed 's/^/    /'
}

# check NAME COMMAND...: a gate; passes when the command does.
check() {
	local name=$1 output
	shift
	if output=$("$@" 2>&1 </dev/null); then
		printf 'ok - %s\n' "$name"
	else
		printf 'not ok - %s\n' "$name"
		indented <<<"$output"
		return 1
	fi
}

# refuse NAME REGEX COMMAND...: a gate shown something bad; passes when the command fails and says so.
refuse() {
	local name=$1 regex=$2 output
	shift 2
	if output=$("$@" 2>&1 </dev/null); then
		printf 'not ok - %s: was let through\n' "$name"
	elif [[ -z $regex ]] || ! grep -qE -e "$regex" <<<"$output"; then
		printf 'not ok - %s: failed without saying "%s"\n' "$name" "$regex"
	else
		printf 'ok - %s\n' "$name"
		return 0
	fi
	indented <<<"$output"
	return 1
}

skipped() { # skipped NAME WHY
	printf 'ok - %s # SKIP %s\n' "$1" "$2"
}

# expected PATH: what a known-bad file (or the files of a known-bad tree) say they must be refused with.
expected() {
	grep -rhoP '(?<=expect: ).*?(?= \*/|$)' "$1"
}

# sources PATTERN...: the tree's own files with such names, without what is bad on purpose.
sources() {
	local names=()
	for pattern in "$@"; do
		names+=(-o -name "$pattern")
	done
	find include libclient agent tools tests -path tests/gates/known-bad -prune -o \
		-type f \( "${names[@]:1}" \) -print | sort
}

scripts() {
	grep -rIlE --exclude-dir=known-bad --exclude-dir=__pycache__ '^#!.*\b(ba)?sh\b|^# shellcheck shell=' \
		.ci tools tests | sort
}
