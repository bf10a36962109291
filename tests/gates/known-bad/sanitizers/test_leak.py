# SPDX-License-Identifier: Apache-2.0
# expect: report.[0-9]+: reported by a sanitizer
"""A story that passes, in which a process leaks."""

import os
import subprocess


def test_passes_all_the_same():
    subprocess.run([os.environ["ONEBEAT_BAD_PROGRAM"]])
