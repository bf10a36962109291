# SPDX-License-Identifier: Apache-2.0
"""rnacos, a registry written by others in Rust: started on loopback with a folder of its own, stopped by its pid

It is a second opinion, not an oracle: where it is known to be lenient the case is marked so with the reason, and is
run all the same; a mark that is wrong is a failure.
"""

import contextlib
import os
import pathlib
import shutil
import socket

from host import Program, until
from target import Target, Unfit

VERSION = "0.8.8"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "onebeat" / "rnacos"
PROGRAM = CACHE / "bin" / "rnacos"


REGISTERS_BY_BEAT = "a light beat of the unknown registers it, without weight and never with 20404"
NO_CHECKS = "it checks neither weight, metadata nor names"
OWN_STATUS = "it refuses with statuses of its own"
OWN_CLOCK = "its lists leave the unhealthy out, its shortest time-outs are 6 and 9 s, and it does not look at preserved.*"
LENIENT = {
    "beat_of_the_unknown": REGISTERS_BY_BEAT,
    "deregistered_is_gone": REGISTERS_BY_BEAT,
    "agent_registers_again": REGISTERS_BY_BEAT,
    "agent_after_a_restart": REGISTERS_BY_BEAT,
    "full_beats": "a full beat registers without its weight",
    "expiry": OWN_CLOCK,
    "expiry_of_its_own": OWN_CLOCK,
    "beat_heals": OWN_CLOCK,
    "agent_gone": OWN_CLOCK,
    "beat_tells_the_period": "it tells 5000 whatever the instance's metadata says",
    "persistent": "a DELETE does not look at ephemeral",
    "metadata_of_other_types": "metadata whose values are not all strings is dropped",
    "cluster_is_identity": "an instance is its ip:port, whatever its cluster",
    "clusters": "a list does not look at clusters",
    "list_of_services": "pageSize is not required",
    "required_parameters": OWN_STATUS,
    "beat_without_service": OWN_STATUS,
    "beat_without_address": OWN_STATUS,
    "halves_of_a_name": OWN_STATUS,
    "no_such_api": OWN_STATUS,
    "weight_has_bounds": NO_CHECKS,
    "weight_is_raised": NO_CHECKS,
    "metadata_is_an_object_of_strings": NO_CHECKS,
    "cluster_has_an_alphabet": NO_CHECKS,
    "service_has_an_alphabet": NO_CHECKS,
    "metrics_without_token": "it wants a token for everything",
    "refused_is_not_stored": NO_CHECKS,
}


def missing():
    """Why it cannot be run here; None when it can."""
    return None if PROGRAM.exists() else f"rnacos {VERSION} is not in {CACHE}: tests/run --real rnacos builds it"


def free_ports(n):
    """Ports that the kernel has just given away; rnacos does not tell which it took, so it cannot be asked for any."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(n)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


class Rnacos(Target):
    scale = 5.0
    restarts_alone = True
    lenient = LENIENT

    def __init__(self, folder, user=None):
        super().__init__("http://unknown", user, "rnacos" + (" with login" if user else ""))
        self.folder, self.program, self.ports = pathlib.Path(folder), None, free_ports(3)

    def environment(self):
        http, grpc, console = self.ports
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "RUST_LOG": "warn,rnacos=info",
                "RNACOS_HTTP_PORT": str(http), "RNACOS_GRPC_PORT": str(grpc), "RNACOS_HTTP_CONSOLE_PORT": str(console),
                "RNACOS_SDK_HOST": "127.0.0.1", "RNACOS_CONSOLE_HOST": "127.0.0.1",
                "RNACOS_DATA_DIR": str(self.folder / "data"), "RNACOS_CONFIG_DB_DIR": str(self.folder / "db"),
                "RNACOS_NAMING_HEALTH_TIMEOUT_SECOND": str(int(15 / self.scale)),
                "RNACOS_NAMING_INSTANCE_TIMEOUT_SECOND": str(int(30 / self.scale)),
                "RNACOS_ENABLE_OPEN_API_AUTH": "true" if self.user else "false",
                **({"RNACOS_INIT_ADMIN_USERNAME": self.user, "RNACOS_INIT_ADMIN_PASSWORD": self.password}
                   if self.user else {})}

    def start(self):
        """One start in three loses the thread of its own store to a race and then knows no user for good: once more."""
        for _ in range(8):
            self.folder.mkdir(exist_ok=True)
            self.program = Program([PROGRAM], self.folder / "rnacos.log", self.environment(), first_line=False)
            self.url = f"http://127.0.0.1:{self.ports[0]}"
            if self.is_up():
                return
            self.program.stop()
            said = self.program.tail(5)
            shutil.rmtree(self.folder)
            self.ports = free_ports(3)
        raise Unfit(f"rnacos does not start: {said}")

    def is_up(self):
        """Nothing is asked before it leads itself, which is what its log says last."""
        def leads():
            return "UpdateNodes,size:1" in self.program.log.read_text(errors="replace")
        try:
            until(leads, "rnacos leads itself", 4, step=0.05)
            until(lambda: self.wire().ask("GET", "/v1/ns/operator/metrics", token=None).status, "it answers", 10)
            if self.user:
                until(lambda: self.login(self.user, self.password).json.get("accessToken"), "it knows its user", 10)
        except AssertionError:
            return False
        return True

    def stop(self):
        if self.program:
            self.program.stop()

    @contextlib.contextmanager
    def another(self):
        user = f"{self.user}:{self.password}" if self.user else None
        other = Rnacos(self.folder / "another", user)
        other.start()
        try:
            yield other
        finally:
            other.stop()
