#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# expect: SC2086
rm -f $1
