#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""QMP conversations, as QEMU's specification has them: greeting, negotiation, ids, errors, events; and what no client should send."""
import json
import os
import socket
import stat

from agents import Host, Pair, Qmp, Refused, free_port, run_tests, wait_for

ERRORS = [
    ({"execute": "nothing-such"}, "CommandNotFound", "The command nothing-such has not been found"),
    ({"execute": 5}, "GenericError", "QMP input member 'execute' must be a string"),
    ({"arguments": {}}, "GenericError", "QMP input lacks member 'execute'"),
    ({"execute": "stop", "arguments": []}, "GenericError", "QMP input member 'arguments' must be an object"),
    ({"execute": "stop", "what": 1}, "GenericError", "QMP input member 'what' is unexpected"),
    ({"execute": "stop", "arguments": {"vm": 1}}, "GenericError", "Invalid parameter type for 'vm', expected: string"),
    ({"execute": "stop", "arguments": {"v": "g"}}, "GenericError", "Parameter 'v' is unexpected"),
    ({"execute": "stop", "arguments": {"vm": "none"}}, "DeviceNotFound", "VM 'none' not found"),
    ({"execute": "migrate"}, "GenericError", "Parameter 'uri' is missing"),
    ({"execute": "migrate", "arguments": {"uri": "http:x"}}, "GenericError", "the uri has to be tcp:HOST:PORT or file:PATH"),
    ({"execute": "qmp_capabilities"}, "CommandNotFound",
     "Capabilities negotiation is already complete, command 'qmp_capabilities' ignored"),
    ({"execute": "migrate-set-parameters", "arguments": {"downtime-limit": -1}}, "GenericError", None),
    ([1, 2], "GenericError", "QMP input must be a JSON object"),
]


def test_greeting(pair):
    qmp = Qmp(pair.a.path, greet=False)
    version = qmp.greeting["QMP"]["version"]
    assert set(version["qemu"]) == {"major", "minor", "micro"} and "Portolan" in version["package"]
    assert qmp.greeting["QMP"]["capabilities"] == []
    qmp.send({"execute": "query-status", "id": "early"})
    answer = qmp.answer()
    assert answer["error"]["class"] == "CommandNotFound" and answer["id"] == "early", answer
    qmp.send({"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}})
    assert qmp.answer()["error"]["class"] == "GenericError"
    qmp.send({"execute": "qmp_capabilities", "arguments": {"enable": []}})
    assert qmp.answer() == {"return": {}}
    assert qmp.do("query-version") == version
    names = {command["name"] for command in qmp.do("query-commands")}
    assert {"migrate", "migrate_cancel", "query-migrate", "system_reset", "stop", "cont"} <= names
    qmp.close()
    assert stat.S_IMODE(os.stat(pair.a.path).st_mode) == 0o700, oct(os.stat(pair.a.path).st_mode)


def test_errors(pair):
    for message, kind, text in ERRORS:
        pair.a.qmp.send(message)
        answer = pair.a.qmp.answer()
        assert answer["error"]["class"] == kind and text in (None, answer["error"]["desc"]), (message, answer)
    assert pair.a.qmp.do("query-migrate") == {}


def test_ids(pair):
    """Whatever it is, it comes back, and answers keep their order; several commands in one piece, one in many."""
    ids = [0, -1, "x", None, [1, {"a": 2}], {"b": []}, 1.5, "\u00e4\u4e2d"]
    pair.a.qmp.send(b"".join(json.dumps({"execute": "query-status", "id": i}).encode() for i in ids))
    assert [pair.a.qmp.answer()["id"] for _ in ids] == ids
    for byte in b' \n{"execute" : "query-version",\r\n "id": "}{\\"\\\\"}':
        pair.a.qmp.send(bytes([byte]))
    assert pair.a.qmp.answer()["id"] == '}{"\\'


def test_nonsense(pair):
    """Each is answered or dropped, and the next command works."""
    for wrong in (b'{"execute": }', b"hello\n", b"[[[[]]]]", b'{"execute":"stop","execute":"stop"}', b'"text"\n', b'{"a":[\x01',
                  b'{"a":"\xff', b"\x00", b'{"execute":"\xc3("}', b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}",
                  b'{"a":"' + b"x" * 100000 + b'"}\n'):
        pair.a.qmp.send(wrong)
        assert "error" in pair.a.qmp.answer(), wrong[:40]
        assert pair.a.qmp.do("query-status")["running"], wrong[:40]


def test_control(pair):
    """stop, cont, reset, powerdown: what the VM's state is, and the events, also those of what others did."""
    qmp, other = pair.a.qmp, Qmp(pair.a.path)
    qmp.do("stop")
    qmp.event("STOP", vm="g")
    other.event("STOP", vm="g")
    assert qmp.do("query-status") == {"running": False, "status": "paused"}
    try:
        qmp.do("stop")
        assert False, "stopped twice"
    except Refused as error:
        assert error.args[0] == "GenericError" and "wrong-state" in error.args[1]
    qmp.do("cont", vm="g")
    qmp.event("RESUME", vm="g")
    qmp.do("system_reset")
    assert qmp.event("RESET")["data"]["guest"] is False
    qmp.do("system_powerdown")
    qmp.event("POWERDOWN", vm="g")
    pair.a.sim.order("pause g")
    qmp.event("STOP", vm="g")
    pair.a.sim.order("resume g")
    qmp.event("RESUME", vm="g")
    pair.a.sim.order("reset g")
    assert qmp.event("RESET")["data"]["guest"] is True
    pair.a.sim.order("stop g")
    assert qmp.event("SHUTDOWN", vm="g")["data"]["guest"] is True
    qmp.do("x-portolan-start")
    qmp.event("RESUME", vm="g")
    qmp.do("x-portolan-stop")
    assert qmp.event("SHUTDOWN", vm="g")["data"]["guest"] is False
    qmp.do("x-portolan-start")
    wait_for(pair.a.runs, "start")
    vms = {vm["vm"]: vm for vm in qmp.do("x-portolan-query-vms")}
    assert vms["service"]["service"] and vms["g"]["memory"] == 8 << 20 and vms["g"]["vfs"] == 2, vms
    assert other.do("migrate_cancel") == {}
    other.close()


def test_new_session(pair):
    """A command without 'vm' that comes just when a session with the portal has ended is for the one VM that there is, as before."""
    for _ in range(100):
        said = pair.a.said()
        pair.a.sim.order("end-session")
        for _ in range(5):
            assert pair.a.qmp.do("query-status")["running"]
        wait_for(lambda: pair.a.said() != said, "the agent's word on the session") # pylint: disable=cell-var-from-loop


def test_clients(pair):
    """Eight at a time; one that goes while its command is carried out; one that does not read."""
    clients = [Qmp(pair.a.path) for _ in range(7)]
    try:
        Qmp(pair.a.path)
        assert False, "a ninth client"
    except (ConnectionResetError, BrokenPipeError):
        pass
    pair.a.sim.order("hold")
    clients[0].send({"execute": "stop"})
    clients[0].close()
    pair.a.sim.order("release")
    wait_for(lambda: not pair.a.runs(), "stop")
    deaf = clients[1]
    deaf.socket.setblocking(False)
    try:
        while True:
            deaf.send(json.dumps({"execute": "query-commands"}).encode() * 50)
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    pair.a.qmp.do("cont")
    wait_for(pair.a.runs, "cont")
    for one in clients[2:]:
        assert one.do("query-status")["running"]
        one.close()
    deaf.close()


def test_gone(pair):
    """Clients that go at once after a command with an event of its own; an error that would end within a character."""
    for _ in range(5):
        one = Qmp(pair.a.path)
        one.send({"execute": "migrate", "arguments": {"uri": "tcp:127.0.0.1:1"}})
        one.close()
        wait_for(lambda: pair.a.qmp.status().get("status") == "failed", "end of the move")
    pair.a.qmp.send({"execute": "stop", "arguments": {"vm": "\u00e4" * 200}})
    answer = pair.a.qmp.answer()
    assert answer["error"]["class"] == "DeviceNotFound" and "not found" in answer["error"]["desc"], answer


def test_several(folder):
    """Two VMs: each has to be named. QMP by TCP, too."""
    port = free_port()
    host = Host(folder, "c", ["g,memory=2M", "h,memory=2M"], options=("--insecure", f"--qmp-listen=127.0.0.1:{port}"))
    with socket.create_connection(("127.0.0.1", port)) as other, other.makefile("rb") as lines:
        assert "QMP" in json.loads(lines.readline())
    try:
        host.qmp.do("query-status")
        assert False, "which?"
    except Refused as error:
        assert error.args == ("GenericError", "Parameter 'vm' is missing")
    assert host.qmp.do("query-status", vm="h")["running"]
    host.close()


def with_pair(test):
    def run(folder):
        with Pair(folder) as pair:
            test(pair)
    run.__name__ = test.__name__
    return run


TESTS = [with_pair(test) for test in (test_greeting, test_errors, test_ids, test_nonsense, test_control, test_new_session, test_clients, test_gone)]

if __name__ == "__main__":
    run_tests([*TESTS, test_several])
