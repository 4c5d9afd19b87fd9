#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What only happens between two records: the handover, the confirmation and the loading fail or are cancelled. Nobody runs twice, and
the operator is told just what he has to do."""
from agents import Pair, Refused, move, run_tests, wait_for


def fails(pair):
    pair.a.qmp.do("migrate", uri=f"tcp:127.0.0.1:{pair.b.port}")
    status = pair.a.qmp.ended()
    assert status["status"] == "failed", status
    return status


def test_session_at_handover(folder):
    """It is handed over, but the answer is lost: the source's operator is told, and the target has nothing any more."""
    with Pair(folder) as pair:
        pair.a.sim.order("end-at-handover g")
        assert fails(pair)["x-portolan-undecided"] is True
        assert pair.a.state() == "handed-over" and "resolve here" in pair.a.said(), pair.a.said()
        assert "it stays here" not in pair.a.said()
        wait_for(lambda: pair.b.state() == "off", lambda: f"end of the target's: {pair.b.state()}")
        assert pair.b.qmp.ended()["x-portolan-undecided"] is False
        pair.a.sim.order("resolve g here")
        wait_for(pair.a.runs, "VM at the source")
        move(pair.a, pair.b)


def test_confirm(folder):
    """The target runs it, and the source's VMM does not want to know: 'here' would be wrong."""
    with Pair(folder) as pair:
        pair.a.sim.order("fault g confirm device-error 2")
        assert fails(pair)["x-portolan-undecided"] is True
        assert pair.a.state() == "handed-over" and pair.b.runs()
        assert "resolve there'" in pair.a.said() and "resolve here" not in pair.a.said(), pair.a.said()
        pair.a.sim.order("resolve g there")
        wait_for(lambda: pair.a.state() == "off", "end of the source's")
        move(pair.b, pair.a)


def test_cancel_at_load(folder):
    """The target's operator cancels while all is being loaded: he is told that it is cancelled, and so it is."""
    with Pair(folder) as pair:
        pair.b.sim.order("delay g load 1000")
        pair.a.qmp.do("migrate", uri=f"tcp:127.0.0.1:{pair.b.port}")
        wait_for(lambda: pair.b.qmp.status().get("x-portolan-step") == "load", "loading")
        pair.b.qmp.do("migrate_cancel")
        assert pair.b.qmp.ended()["status"] == "cancelled" and pair.b.qmp.status()["x-portolan-undecided"] is False
        assert "the target: cancelled" in pair.a.qmp.ended()["error-desc"]
        wait_for(pair.a.runs, "VM at the source")
        assert pair.b.state() == "off"
        pair.b.sim.order("delay g load 0")
        move(pair.a, pair.b)


def test_session_at_load(folder):
    """The target's session ends meanwhile, and its VM becomes ready: nobody was told, and the next move discards it."""
    with Pair(folder) as pair:
        pair.b.sim.order("delay g load 1000")
        pair.a.qmp.do("migrate", uri=f"tcp:127.0.0.1:{pair.b.port}")
        wait_for(lambda: pair.b.qmp.status().get("x-portolan-step") == "load", "loading")
        pair.b.sim.order("end-session")
        assert pair.b.qmp.ended()["status"] == "failed"
        assert pair.a.qmp.ended()["status"] == "failed" and pair.a.runs()
        pair.b.sim.order("delay g load 0")
        wait_for(lambda: pair.b.state() in ("ready", "incoming"), "end of the order")
        move(pair.a, pair.b)


def test_late_cancel(folder):
    """After the handover it is too late, whoever asks."""
    with Pair(folder) as pair:
        pair.b.sim.order("delay g run 1000")
        pair.a.qmp.do("migrate", uri=f"tcp:127.0.0.1:{pair.b.port}")
        wait_for(lambda: pair.b.qmp.status().get("x-portolan-step") == "run", "order to run")
        for host in (pair.a, pair.b):
            try:
                host.qmp.do("migrate_cancel")
                assert False, f"{host.name}: cancelled"
            except Refused as error:
                assert "too late" in error.args[1]
        assert pair.a.qmp.ended()["status"] == "completed" and pair.b.qmp.ended()["status"] == "completed"


TESTS = [test_session_at_handover, test_confirm, test_cancel_at_load, test_session_at_load, test_late_cancel]

if __name__ == "__main__":
    run_tests(TESTS)
