# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The stages of tests/run, most basic first: what the tree looks like, does it build, does it work
#
# A stage prints result lines (lib.sh). Every gate is also shown something bad, which it must refuse:
# a gate that looks at nothing would pass for ever. Runs at the top of the tree, after lib.sh is read.

# shellcheck disable=SC2034 # read by tests/run
stages=(layers banned sizes format shell build warnings units symbols install systemd
	cppcheck tidy clang asan tsan valgrind integration)
# A proof with a folder of its own brings its stages along, in tests/FOLDER/stage.sh: each appends its name here.
stage_files=(tests/gates/stages.sh)

bad=tests/gates/known-bad
jobs=$(nproc)

export CC=gcc # for a build directory that is new; one that exists keeps its compiler

configure_and_build() {
	local dir=$1 target=$2
	cmake --log-level=WARNING -S . -B "$dir" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
		-DONEBEAT_TESTS=ON -DONEBEAT_WERROR=ON -DONEBEAT_SANITIZE= "${@:3}" &&
		cmake --build "$dir" -j "$jobs" --target "$target" -- --quiet
}

# built DIR TARGET CMAKE_OPTION...: one result line.
built() {
	check "$1: $2" configure_and_build "$@"
}

# refuse_each GATE COMMAND...: every case in known-bad/GATE, given to the command as last argument.
refuse_each() {
	local gate=$1 case
	shift
	for case in "$bad/$gate"/*; do
		refuse "$gate refuses ${case##*/}" "$(expected "$case")" "$@" "$case"
	done
}

build_bad_units() {
	cmake --log-level=WARNING -S "$bad/units" -B "$1" -G Ninja "${@:2}" &&
		cmake --build "$1" -- --quiet
}

# refuse_units STAGE CMAKE_OPTION... -- UNITS_OPTION...: the runner counts known-bad/units/test_STAGE_*.
refuse_units() {
	local stage=$1 dir=build/known-bad/$1 options=() case name
	shift
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	check "$dir" build_bad_units "$dir" "-DSTAGE=$stage" "${options[@]}" || return
	for case in "$bad/units/test_${stage}"_*.c; do
		name=$(basename "$case" .c)
		refuse "units refuses $name" "$(expected "$case")" tests/gates/units "$@" --label "$name" "$dir"
	done
}

stage_layers() { # which room may include which; do the mutations fit
	check "layers" tests/gates/layers .
	check "mutations fit the code" tests/mutations/mutate --fit
	refuse "mutations fit refuses lines that are gone" 'has these lines 0 times' \
		tests/mutations/mutate --fit tests/mutations/known-bad/anchor-gone.mutation
	refuse_each layers tests/gates/layers
}

stage_banned() { # calls and words that this project does without
	check "ban list" tests/gates/banned .
	refuse_each banned tests/gates/banned
}

stage_sizes() { # files of at most 500 lines, functions of at most 60
	local files
	mapfile -t files < <(sources '*.c' '*.h')
	check "sizes: ${#files[@]} files" tests/gates/sizes "${files[@]}"
	refuse_each sizes tests/gates/sizes
}

stage_format() { # clang-format
	local files
	mapfile -t files < <(sources '*.c' '*.h')
	check "clang-format: ${#files[@]} files" clang-format --dry-run --Werror "${files[@]}"
	refuse_each format clang-format --dry-run --Werror
}

stage_shell() { # scripts, by shellcheck
	local files
	mapfile -t files < <(scripts)
	check "shellcheck: ${#files[@]} scripts" shellcheck -x "${files[@]}"
	refuse_each shell shellcheck
}

stage_build() { # everything, with gcc
	built build all
}

# Every compile command has every flag that the build wrote down.
flags_everywhere() {
	local flag n_bare
	while read -r flag; do
		n_bare=$(grep '"command"' build/compile_commands.json | grep -cvF -e " $flag " || :)
		((n_bare == 0)) || { printf '%s is missing from %d compile commands\n' "$flag" "$n_bare"; return 1; }
	done <build/warning-flags
}

stage_warnings() { # both compilers refuse, with the project's flags, what they should
	local cc file=$bad/warnings.c case regexes regex
	built build all || return
	check "warnings: every source is compiled with them" flags_everywhere
	for cc in gcc clang; do
		local compile=("$cc" @build/warning-flags -std=gnu11 -c -o /dev/null)
		check "warnings: $cc takes a clean file" "${compile[@]}" "$file"
		while read -r case regexes; do
			regex=$(grep -oP "\b$cc: \K\S+" <<<"$regexes")
			refuse "warnings: $cc refuses ${case#CASE_}" "\[-Werror(=|,-W)[a-z-]*($regex)=?\]" \
				"${compile[@]}" "-D$case" "$file"
		done < <(grep -oP '^#ifdef \KCASE_.*' "$file")
	done
}

stage_units() { # Criterion
	built build unit_tests || return
	tests/gates/units build
	refuse_units units --
}

stage_symbols() { # what libonebeat exports and needs
	built build all || return
	check "symbols" tests/gates/symbols build/lib/libonebeat.so build/lib/libonebeat.a
	local scratch case
	scratch=$(mktemp -d)
	for case in "$bad"/symbols/*.c; do
		gcc -shared -fPIC -nostartfiles -Wl,-soname,libonebeat.so.0 -o "$scratch/bad.so" "$case" -lm &&
			gcc -c -o "$scratch/bad.o" "$case" && ar rc "$scratch/bad.a" "$scratch/bad.o" &&
			refuse "symbols refuses ${case##*/}" "$(expected "$case")" \
				tests/gates/symbols "$scratch/bad.so" "$scratch/bad.a"
	done
	rm -r "$scratch"
}

stage_install() { # a C11 and a C++17 program use what was installed
	built build all || return
	tests/gates/install build
}

refuse_units_of() { # refuse_units_of FOLDER
	tests/gates/systemd build "$1"/*
}

stage_systemd() { # the unit files, read by systemd's own tool
	built build all || return
	check "systemd: unit files" tests/gates/systemd build build/systemd/*
	refuse_each systemd refuse_units_of
}

# liburcu and <sys/queue.h> are macros, which cppcheck has to see (its own tables of POSIX and GNU calls are
# wrong for mmap and accept4, so they are not used). It does not know the cleanup attribute,
# so leaks are left to ASan, valgrind and clang's analyzer.
run_cppcheck() {
	cppcheck --quiet -j "$jobs" --std=c11 --language=c --error-exitcode=1 \
		--enable="warning,portability,performance" --inline-suppr \
		--suppress=resourceLeak --suppress=memleak \
		-I "/usr/include/$(gcc -print-multiarch)" -I include -I agent "$@"
}

stage_cppcheck() { # cppcheck
	check "cppcheck" run_cppcheck libclient agent tools tests/lib
	refuse_each cppcheck run_cppcheck
}

tidy_all() {
	printf '%s\0' "$@" | xargs -0 -P "$jobs" -n 1 clang-tidy -p build --quiet 2>&1 |
		sed -E '/^[0-9]+ warnings? generated\.$/d'
}

tidy_alone() {
	clang-tidy --quiet "$1" -- -std=gnu11
}

stage_tidy() { # clang-tidy
	local files
	built build all || return
	mapfile -t files < <(sources '*.c' | grep -v -e '^tests/unit/' -e '^tests/gates/' -e '^tests/model/' -e '/tsan/')
	check "clang-tidy: ${#files[@]} files" tidy_all "${files[@]}"
	refuse_each tidy tidy_alone
}

built_with_crash_points() {
	CC=clang built build-clang all -DCMAKE_BUILD_TYPE=Release -DONEBEAT_CRASH_POINTS=ON
}

stage_clang() { # everything with clang, optimised, crash points compiled in; unit tests
	built_with_crash_points || return
	tests/gates/units build-clang
}

stage_asan() { # everything under AddressSanitizer and UBSan; unit tests
	built build-asan all -DCMAKE_BUILD_TYPE=Debug "-DONEBEAT_SANITIZE=address;undefined" || return
	tests/gates/units build-asan
	refuse_units asan "-DCMAKE_C_FLAGS=-g -fsanitize=address,undefined -fno-sanitize-recover=all" --
}

stage_tsan() { # unit tests labelled tsan, under ThreadSanitizer
	built build-tsan unit_tests -DONEBEAT_SANITIZE=thread || return
	tests/gates/units --label tsan build-tsan
	refuse_units tsan "-DCMAKE_C_FLAGS=-g -fsanitize=thread" "-DRUNNER=$PWD/tests/lib/tsan/runner.c" --
}

stage_valgrind() { # unit tests labelled valgrind
	built build unit_tests || return
	tests/gates/units --valgrind --label valgrind build
	refuse_units valgrind -DCMAKE_C_FLAGS=-g -- --valgrind
}

stage_integration() { # the real programs over loopback; pytest
	built build all || return
	tests/gates/integration build
}

for file in tests/*/stage.sh; do
	[[ -e $file ]] || continue
	# shellcheck disable=SC1090 # checked as scripts of their own
	source "$file"
	stage_files+=("$file")
done
