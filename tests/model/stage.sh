# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The protocol's models: every state of them under spin, and the same models made wrong, which must be refused

# shellcheck disable=SC2154 # stages is tests/run's
stages+=(models)

model_refuses() { # model_refuses NAME REGEX [OPTION...]: known-bad/NAME.pml is not let through
	refuse "models refuse $1" "$2" tests/model/run "${@:3}" build/model/known-bad "tests/model/known-bad/$1.pml"
}

stage_models() { # the protocol's models, and the same made wrong
	tests/model/run build/model tests/model/*.pml
	model_refuses broken 'violates !\(over\)'
	model_refuses toothless 'was let through; expected a violation of !\(over\)'
	model_refuses wrong_reason 'stopped at \(n<3\); expected a violation of !\(over\)'
	model_refuses unreached 'never reached:'
	model_refuses deep 'not whole: max search depth' --depth 5
	model_refuses deep 'not whole: .*(memory|MEMLIM)' --memory 1
	model_refuses tame "no 'bad:' variant"
	model_refuses misnamed 'BAD_(LESS is not used|MORE is not listed)'
	model_refuses syntax 'spin refuses the model'
}
