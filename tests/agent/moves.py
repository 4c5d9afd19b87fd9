#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whole moves between two agents: there and back, by QMP and by the console, limits, cancel, files. The simulated VM that loads a
stream compares all its RAM with what it was; a VM that runs twice ends its machine."""
import os
import tempfile
import time

from agents import (DEVICE, PAGES, Host, Pair, Refused, check_moved, free_port, move, preamble, record, records, rest, run_tests,
                    wait_for)


def test_there_and_back(folder):
    with Pair(folder, vm="memory=64M,vfs=3,rate=500,stream=200000") as pair:
        hosts = [pair.a, pair.b]
        for _ in range(6):
            source, target = hosts
            status = move(source, target)
            ram = status["ram"]
            assert ram["total"] == 64 << 20 and ram["remaining"] == 0 and ram["page-size"] == 4096
            # How many are filled with one word yet, the guest and the host's speed decide.
            assert ram["duplicate"] + ram["normal"] >= 16384 and ram["duplicate"] > 0, ram
            assert ram["normal"] > 4000 and ram["normal-bytes"] == ram["normal"] * 4096
            assert ram["dirty-sync-count"] >= 2 and ram["mbps"] > 0
            assert ram["transferred"] < ram["normal-bytes"] + (1 << 20), ram
            assert ram["transferred"] == ram["precopy-bytes"] + ram["downtime-bytes"], ram
            assert 0 <= status["downtime"] <= status["total-time"] and status["vfio"]["transferred"] > 1800
            assert target.qmp.ended()["status"] == "completed"
            hosts.reverse()
        assert pair.a.qmp.do("query-status")["status"] == "running"


def test_events(folder):
    with Pair(folder) as pair:
        move(pair.a, pair.b)
        for name, data in (("MIGRATION", {"status": "setup"}), ("MIGRATION", {"status": "active"}),
                           ("MIGRATION", {"status": "device"}), ("STOP", {"vm": "g"}), ("MIGRATION", {"status": "completed"})):
            pair.a.qmp.event(name, **data)
        pair.b.qmp.event("RESUME", vm="g")


def test_console(folder):
    """Orders on the VMM's console; and on a port that nobody names."""
    with Pair(folder) as pair:
        pair.a.sim.order(f"migrate g 127.0.0.1:{pair.b.port}")
        check_moved(pair.a, pair.b)
        pair.a.qmp.do("migrate-set-parameters", max_bandwidth=100000)
        pair.b.qmp.do("migrate-set-parameters", max_bandwidth=100000)
        pair.b.sim.order(f"migrate g localhost:{pair.a.port}")  # a name, which is looked up
        wait_for(lambda: pair.b.qmp.status()["status"] == "active", "move")
        pair.b.sim.order("cancel g")
        assert pair.b.qmp.ended()["status"] == "cancelled"
        assert pair.b.runs()
        wait_for(lambda: pair.a.qmp.ended()["status"] == "failed", "news of it")
        pair.b.sim.order("migrate g nowhere.invalid:1")
        wait_for(lambda: "nowhere.invalid" in pair.b.qmp.ended().get("error-desc", ""), "refusal")
        assert pair.b.runs()


def test_bandwidth(folder):
    """A limit holds while the VM runs; it may be changed meanwhile."""
    with Pair(folder, vm="memory=16M,rate=100") as pair:
        pair.a.qmp.do("migrate-set-parameters", max_bandwidth=1 << 20, downtime_limit=1000)
        assert pair.a.qmp.do("query-migrate-parameters")["max-bandwidth"] == 1 << 20
        begun = time.monotonic()
        status = move(pair.a, pair.b)
        took = time.monotonic() - begun
        assert status["ram"]["precopy-bytes"] > 5 << 20, status
        assert took > status["ram"]["precopy-bytes"] / (1 << 20) * 0.9, (took, status)


def test_downtime(folder):
    """A guest that writes faster than the network is fast: with rounds left it goes on; then it is stopped all the same."""
    with Pair(folder, vm="memory=16M,rate=200000", options=("--insecure", "--max-rounds=4", "--compress=never")) as pair:
        pair.a.qmp.do("migrate-set-parameters", max_bandwidth=64 << 20, downtime_limit=1)
        status = move(pair.a, pair.b)
        assert status["ram"]["dirty-sync-count"] == 5, status
        assert status["ram"]["downtime-bytes"] > 1 << 20, status


def test_blind(folder):
    """Each report has all RAM: what is as it was is not sent again, and the rounds end when little is."""
    with Pair(folder, vm="memory=32M,rate=500,blind") as pair:
        pair.a.qmp.do("migrate-set-parameters", max_bandwidth=20 << 20, downtime_limit=100)
        ram = move(pair.a, pair.b)["ram"]
        pages = (32 << 20) // 4096
        assert 2 <= ram["dirty-sync-count"] <= 6, ram
        assert ram["x-portolan-unchanged"] > pages * (ram["dirty-sync-count"] - 1) * 0.8, ram
        assert ram["normal"] + ram["duplicate"] < pages * 1.5 and ram["downtime-bytes"] < 8 << 20, ram


def test_refused(folder):
    """Another VM there: refused by both, with the key and both values, before anything was stopped."""
    with Pair(folder, vm="memory=8M,cpu=old", other="memory=8M,cpu=new") as pair:
        pair.a.qmp.do("migrate", uri=f"tcp:127.0.0.1:{pair.b.port}")
        status = pair.a.qmp.ended()
        assert status["status"] == "failed" and "sig is 'old' here and 'new' there" in status["error-desc"], status
        assert "sig is 'old' here and 'new' there" in wait_for(
            lambda: pair.b.qmp.status().get("error-desc"), "refusal by the target")
        assert pair.a.runs() and pair.b.state() == "incoming"
    with tempfile.TemporaryDirectory() as other, Pair(other, vm="memory=8M", other="memory=16M") as pair:
        pair.a.qmp.do("migrate", uri=f"tcp:127.0.0.1:{pair.b.port}")
        status = pair.a.qmp.ended()
        assert "ram is '800000' here and '1000000' there" in status["error-desc"], status
        assert pair.a.runs()
    with tempfile.TemporaryDirectory() as other, Pair(other, vm="memory=8M,vfs=1", other="memory=8M,vfs=2") as pair:
        pair.a.qmp.do("migrate", uri=f"tcp:127.0.0.1:{pair.b.port}")
        assert "has 2 VFs here, and 1 there" in pair.a.qmp.ended()["error-desc"]
        assert pair.a.runs() and pair.b.state() == "off"


def test_newer(folder):
    """Streams of later versions: with something new that is optional, with something that is not, and with a need."""
    with Pair(folder, vm="memory=2M,vfs=1") as pair:
        path = os.path.join(folder, "saved")
        pair.a.qmp.do("migrate", uri=f"file:{path}")
        assert pair.a.qmp.ended()["status"] == "completed"
        data = open(path, "rb").read()[16:]
        for start, new, says in ((preamble(2, 2), b"", "needs version 2"), (preamble(9, 1), record(77, 0, b"x" * 9), "mandatory"),
                                 (preamble(9, 1), record(77, 1, b"x" * 9), None)):
            with open(path, "wb") as file:
                file.write(start + new + data)
            pair.b.qmp.do("migrate-incoming", uri=f"file:{path}")
            status = pair.b.qmp.ended()
            assert (says in status.get("error-desc", "")) if says else status["status"] == "completed", (says, status)
        wait_for(pair.b.runs, "VM from a newer stream")


def test_order(folder):
    """A stream whose records are whole, and come in another order, starts nothing."""
    with Pair(folder, vm="memory=2M,vfs=2") as pair:
        path = os.path.join(folder, "saved")
        pair.a.qmp.do("migrate", uri=f"file:{path}")
        assert pair.a.qmp.ended()["status"] == "completed"
        data = open(path, "rb").read()
        parts = list(records(data))
        pages = [part for part in parts if part[0] == PAGES]
        devices = [part for part in parts if part[0] == DEVICE]
        others = [part for part in parts if part[0] not in (PAGES, DEVICE)]
        begin, end = others[:-2], others[-2:]
        for order, says in ((begin + devices + pages + end, "pages come out of turn"),
                            (begin + pages + devices[::-1] + end, "out of turn"), (begin + pages + end, "not all of the VM"),
                            (begin + pages + devices + devices[:1] + end, "out of turn"), (begin + devices + end, "not all"),
                            (begin + pages + devices + end[::-1], "COMMIT came out of turn"), (begin[1:], "was expected")):
            with open(path, "wb") as file:
                file.write(data[:16] + b"".join(part[1] for part in order))
            pair.b.qmp.do("migrate-incoming", uri=f"file:{path}")
            status = pair.b.qmp.ended()
            assert status["status"] == "failed" and says in status["error-desc"], (says, status)
            assert not pair.b.runs()
        with open(path, "wb") as file:
            file.write(data)
        pair.b.qmp.do("migrate-incoming", uri=f"file:{path}")
        assert pair.b.qmp.ended()["status"] == "completed", pair.b.qmp.status()


def test_file(folder):
    """Save to a file, start from it, elsewhere and again; a file that is cut or damaged starts nothing."""
    with Pair(folder) as pair:
        path = os.path.join(folder, "saved")
        pair.a.qmp.do("migrate", uri=f"file:{path}")
        status = pair.a.qmp.ended()
        assert status["status"] == "completed", status
        wait_for(lambda: pair.a.state() == "off", "end of the saved VM")
        assert os.stat(path).st_mode & 0o777 == 0o600 and not os.path.exists(path + ".part")
        data = open(path, "rb").read()
        for name, wrong in (("cut", data[:-40]), ("short", data[:100]), ("empty", b""),
                            ("turned", data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(wrong)
            pair.b.qmp.do("migrate-incoming", uri=f"file:{folder}/{name}")
            status = pair.b.qmp.ended()
            assert status["status"] == "failed" and status["error-desc"], (name, status)
            assert not pair.b.runs(), name
        pair.b.qmp.do("migrate-incoming", uri=f"file:{path}")
        assert pair.b.qmp.ended()["status"] == "completed", pair.b.qmp.status()
        wait_for(pair.b.runs, "VM from the file")
        try:
            pair.b.qmp.do("migrate", uri=f"file:{path}")
            assert "it exists" in pair.b.qmp.ended()["error-desc"]
        except Refused as error:
            assert "exists" in error.args[1]
        assert pair.b.runs()
        with open(path + "2.part", "w", encoding="ascii") as file:
            file.write("of a move that was not ended")
        pair.b.qmp.do("migrate", uri=f"file:{path}2")
        assert "exists" in pair.b.qmp.ended()["error-desc"] and os.path.exists(path + "2.part")
        # One that comes while the VM is written stays as well; all is in the other one, and the operator knows.
        pair.b.sim.order("delay g stop 1000")
        pair.b.qmp.do("migrate", uri=f"file:{path}3")
        wait_for(lambda: pair.b.qmp.status()["status"] == "device", "stop")
        with open(path + "3", "w", encoding="ascii") as file:
            file.write("another")
        status = pair.b.qmp.ended()
        assert status["x-portolan-undecided"] and "exists" in status["error-desc"], status
        assert open(path + "3", encoding="ascii").read() == "another" and os.stat(path + "3.part").st_size > 1 << 20
        assert pair.b.state() == "handed-over"
        pair.b.sim.order("resolve g here")
        wait_for(pair.b.runs, "VM that its operator let go on")
        pair.b.qmp.do("migrate", uri="file:/nowhere/at/all")
        assert pair.b.qmp.ended()["status"] == "failed" and pair.b.runs()


def test_file_names(folder):
    """A file that cannot get its name in the end is not begun: the VM is not touched, and nothing is left."""
    with Pair(folder) as pair:
        home = os.path.join(folder, "home")
        os.mkdir(home)
        os.symlink("nowhere", os.path.join(home, "link"))
        os.mkdir(os.path.join(home, "folder"))
        before = sorted(os.listdir(home))
        for name, says in (("link", "it exists"), ("folder", "it exists"), ("no/file", "No such file"), ("no/", "No such file"),
                           ("x" * 256, "too long"), ("x" * 252, "too long"), ("link/file", "No such file")):
            try:
                pair.a.qmp.do("migrate", uri=f"file:{home}/{name}")
                status = pair.a.qmp.ended()
                assert status["status"] == "failed" and says in status["error-desc"], (name, status)
                assert status["x-portolan-step"] == "connect" and not status["x-portolan-undecided"], (name, status)
            except Refused as error:
                assert says in error.args[1], (name, error)
            assert pair.a.runs() and sorted(os.listdir(home)) == before, (name, os.listdir(home))
        try:
            pair.a.qmp.do("migrate", uri="file:")
            assert False, "a file without a name"
        except Refused as error:
            assert "file:PATH" in error.args[1]
        # What fails later leaves nothing either.
        for order in ("stop", "save-vf"):
            pair.a.sim.order(f"fault g {order} device-error")
            pair.a.qmp.do("migrate", uri=f"file:{home}/saved")
            assert pair.a.qmp.ended()["status"] == "failed" and pair.a.runs()
            assert sorted(os.listdir(home)) == before, (order, os.listdir(home))
        pair.a.qmp.do("migrate", uri=f"file:{home}/saved")
        assert pair.a.qmp.ended()["status"] == "completed"
        assert sorted(os.listdir(home)) == sorted([*before, "saved"])


def test_file_without_portal(folder):
    """The portal is gone in the middle: so is the agent, and the half file."""
    host, path = Host(folder, "a", ["g,memory=16M,rate=100,migrate"], listen=False), os.path.join(folder, "saved")
    wait_for(lambda: host.qmp.do("query-status")["status"] == "running", "start")
    host.qmp.do("migrate-set-parameters", max_bandwidth=1 << 20)
    host.qmp.do("migrate", uri=f"file:{path}")
    wait_for(lambda: os.path.exists(path + ".part") and os.stat(path + ".part").st_size > 1 << 16, "half a file")
    host.sim.process.kill()
    assert host.agent.wait() == 1 and "does not answer any more" in host.said() and "ERROR" not in host.said(), host.said()
    assert not os.path.exists(path + ".part") and not os.path.exists(path)


def test_paused(folder):
    """'stop', then 'migrate': to another host and back, to a file and from it, or not at all: it is paused until 'cont'."""
    with Pair(folder) as pair:
        def end_paused(source, uri, target):
            source.qmp.do("migrate", uri=uri)
            status = source.qmp.ended()
            if uri.startswith("file:"):
                wait_for(lambda: source.state() == "off", "end of the saved VM")
                target.qmp.do("migrate-incoming", uri=uri)
            wait_for(lambda: target.qmp.do("query-status") == {"running": False, "status": "paused"}, "paused VM")
            assert target.state() == "paused"
            assert target.sim.vm("g")["ticks"] == ticks and (source is target or source.state() == "off")
            rest(target)
            return status["status"], status.get("error-desc")

        pair.a.qmp.do("stop")
        pair.a.qmp.event("STOP", vm="g")
        ticks = pair.a.sim.vm("g")["ticks"]
        assert end_paused(pair.a, f"tcp:127.0.0.1:{pair.b.port}", pair.b) == ("completed", None)
        assert end_paused(pair.b, f"tcp:127.0.0.1:{pair.a.port}", pair.a) == ("completed", None)
        pair.a.sim.order("fault g save-vf device-error")
        assert "VF 0" in end_paused(pair.a, f"tcp:127.0.0.1:{pair.b.port}", pair.a)[1]
        assert end_paused(pair.a, f"file:{folder}/saved", pair.b) == ("completed", None)
        # It never stood still for another reason, and nobody was told that it did.
        assert not [e for host in (pair.a, pair.b) for e in host.qmp.events if e["event"] in ("STOP", "RESUME")]
        pair.b.qmp.do("cont")
        pair.b.qmp.event("RESUME", vm="g")
        wait_for(lambda: int(pair.b.sim.vm("g")["ticks"]) > int(ticks), "ticks of the guest")
        # Paused while it moves, and resumed: told once each.
        pair.b.qmp.do("migrate-set-parameters", max_bandwidth=1 << 20)
        pair.b.qmp.do("migrate", uri=f"tcp:127.0.0.1:{pair.a.port}")
        wait_for(lambda: pair.b.qmp.status()["status"] == "active", "move")
        for command, event in (("stop", "STOP"), ("cont", "RESUME"), ("stop", "STOP")):
            pair.b.qmp.do(command)
            pair.b.qmp.event(event, vm="g")
        assert pair.b.qmp.status()["status"] == "active"
        pair.b.qmp.do("migrate_cancel")
        assert pair.b.qmp.ended()["status"] == "cancelled"
        wait_for(lambda: pair.b.state() == "paused", "paused VM")


def test_sigterm(folder):
    """The agent ends in the middle of a move: the VM stays, and nothing of it is left at the target."""
    with Pair(folder, vm="memory=32M,rate=100") as pair:
        pair.a.qmp.do("migrate-set-parameters", max_bandwidth=1 << 20)
        pair.a.qmp.do("migrate", uri=f"tcp:127.0.0.1:{pair.b.port}")
        wait_for(lambda: pair.a.qmp.status()["status"] == "active", "move")
        pair.a.terminate()
        assert pair.a.runs()
        assert "the source: cancelled" in wait_for(lambda: pair.b.qmp.status().get("error-desc"), "news")
        assert pair.b.state() == "incoming"
        pair.a.start()
        move(pair.a, pair.b)


def test_later(folder):
    """An agent that is told later where to listen; two VMs, so that each has to be named."""
    target = Host(folder, "t", ["g,memory=4M,incoming", "h,memory=4M,incoming"], listen=False)
    source = Host(folder, "s", ["g,memory=4M,migrate", "h,memory=4M,migrate"])
    port = free_port()
    target.qmp.do("migrate-incoming", uri=f"tcp:127.0.0.1:{port}")
    try:
        source.qmp.do("migrate", uri=f"tcp:127.0.0.1:{port}")
        assert False, "a VM that is not named moves"
    except Refused as error:
        assert error.args == ("GenericError", "Parameter 'vm' is missing")
    source.qmp.do("migrate", uri=f"tcp:127.0.0.1:{port}", vm="h")
    assert source.qmp.ended()["status"] == "completed"
    wait_for(lambda: target.state("h") == "running" and source.state("h") == "off", "move")
    assert source.runs("g") and target.state("g") == "off"
    source.close()
    target.close()


TESTS = [test_there_and_back, test_events, test_console, test_bandwidth, test_downtime, test_blind, test_refused, test_newer, test_order,
         test_file, test_file_names, test_file_without_portal, test_paused, test_sigterm, test_later]

if __name__ == "__main__":
    run_tests(TESTS)
