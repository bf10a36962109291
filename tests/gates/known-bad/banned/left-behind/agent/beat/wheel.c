/* SPDX-License-Identifier: Apache-2.0 */
/* expect: wheel\.c:3: banned word: TODO */
/* TODO: the far future */
