/* SPDX-License-Identifier: Apache-2.0 */
/* expect: clang-format-violations */
int brace_at_the_end(int n) {
	return n;
}
