# SPDX-License-Identifier: Apache-2.0
"""Throw-away certificates for tests, made by the openssl program"""

import collections
import subprocess

Pair = collections.namedtuple("Pair", "cert key")


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=30)


def authority(folder, name="ca"):
    """A CA of its own."""
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN=test {name}", "-keyout", pair.key, "-out", pair.cert)
    return pair


def signed(folder, ca, name, alternatives="IP:127.0.0.1,DNS:localhost", days=2):
    """A certificate that the CA signed, for a server of these names or for a client."""
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName={alternatives}\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
            "-keyout", pair.key, "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", ca.cert, "-CAkey", ca.key, "-CAcreateserial", "-days", days,
            "-extfile", extensions, "-out", pair.cert)
    return pair
