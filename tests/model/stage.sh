# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The protocol's models: every state of them under spin, the memory orders of publish.c and drain.c under Relacy,
# and the same made wrong, which must be refused

# shellcheck disable=SC2154 # stages is tests/run's
stages+=(models)

model_refuses() { # model_refuses NAME REGEX [OPTION...]: known-bad/NAME.pml is not let through
	refuse "models refuse $1 ${*:3}" "$2" tests/model/run "${@:3}" build/model/known-bad "tests/model/known-bad/$1.pml"
}

orders_refuse() { # orders_refuse NAME REGEX FILE PATTERN TEXT: the gate of orders, shown an edited source
	refuse "orders refuse $1" "$2" tests/model/orders --edit "${@:3}" build/model/known-bad-orders
}

stage_models() { # the protocol's models, and the same made wrong
	tests/model/run build/model tests/model/*.pml
	tests/model/orders build/model/orders
	orders_refuse "a version stored without release" '^not ok - orders: copy: broken' \
		libclient/publish.c 'memory_order_release\); /\* P4' 'memory_order_relaxed); /* P4'
	orders_refuse "a copy that is not looked at again" '^not ok - orders: copy: broken' \
		agent/segment/drain.c 'return after == version;' 'return after == version || version;'
	orders_refuse "an upper bit skipped when the lower one stood" '^not ok - orders: bitmap: broken' \
		libclient/publish.c 'atomic_(fetch_or_explicit\(l0, .*)\);' 'if (atomic_\1)) return;'
	orders_refuse "an order that nothing needs" 'seq_cst: what is it for' \
		agent/segment/drain.c 'memory_order_acq_rel' 'memory_order_seq_cst'
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
