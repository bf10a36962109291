/* SPDX-License-Identifier: Apache-2.0 */
/* expect: clang-format-violations */
int indented_by_spaces(int n)
{
    return n;
}
