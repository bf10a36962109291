/* expect: wheel\.c:1: no line .SPDX */
