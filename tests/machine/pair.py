# SPDX-License-Identifier: BSD-2-Clause
"""Two test machines at once, 'a' and 'b': one disk that the block PFs of both have, one network segment that the net PFs of both are on,
and what lies outside of them on it: QEMU's user network. Each has a VM 'guest' on the same VFs, or none, and a service VM."""

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
import typing

import gaps
import machine
import pexpect
import qmp
from segment import Segment

IMAGES = os.path.join(machine.BUILD, "linux")
AGENT = os.path.join(machine.BUILD, "portolan-agent")
SERVICE_PY = os.path.join(machine.TOP, "guest", "linux", "service.py")
NAMES = "a", "b"
MACHINES_MAC = "52:54:00:00:00:10" # of both net PFs: their VFs have the same addresses
OUTSIDE = "10.0.2.2"
SERVICE_IP = {"a": "10.0.2.21", "b": "10.0.2.22"}
GUEST_IP = "10.0.2.15"
QMP_PORT, STREAM_PORT = 4444, 4445
PSK = os.urandom(32).hex() # of this run
SERVICE_MTU = 16000 # of the service VMs' VFs: a frame costs far more here than its bytes


class Host(typing.NamedTuple):
    """What one of the machines is: its IOMMU, how the legacy registers of its PFs are reached, what its firmware is."""
    iommu: str = "intel"
    transport: str = "mmr"
    cpu: str = "EPYC"


class Plan(typing.NamedTuple):
    """Both machines, the protocol by which their VFs are migrated, vCPUs and queues of the guest. GUEST: lines of its section of
    portolan.cfg, but for its CPUs, VFs and what one of the machines has alone."""
    hosts: dict
    guest: str
    abi: str = "1.4"
    cpus: int = 1
    queues: int = 1
    disks: tuple = ()       # paths: VF 0, 1... of the block PFs, which the guest has
    files: tuple = ()       # (path, name) that the configuration names
    memory: str = "512M"
    agent: bool = True
    net: bool = True        # the guest has VF 0 of the net PFs
    count: bool = False     # for how long the guest stands still, see Pair.pause()


# The VF of the net PF that each service VM has: other addresses than the guest's, which has VF 0.
SERVICE_VF = {"a": 1, "b": 2}

CONFIG = """[vmm]
when_idle = halt
[pf 0000:01:00.0]
num_vfs = 4
transport = {host.transport}
[pf 0000:02:00.0]
num_vfs = 4
transport = {host.transport}
[vm guest]
cpus = {cpus}
{guest}
{vfs}{role}
[vm service]
cpus = {service}
memory = 128M
kernel = amd64/vmlinuz
initrd = service.img
cmdline = console=ttyS0 panic=-1 quiet cryptomgr.notests no_timer_check portolan.ip={ip}/24 portolan.gateway={outside} portolan.mtu={mtu}
vf = 0000:01:00.0/{vf}
{service_lines}"""

# The guest begins on 'a', by an order, since what may come is awaited at the start.
ROLE = {"a": "migrate = yes\nincoming = yes\nautostart = no\n", "b": "migrate = yes\nincoming = yes\n"}


def config(plan, name):
    """portolan.cfg of machine NAME."""
    vfs = ("vf = 0000:01:00.0/0\n" if plan.net else "") + "".join(f"vf = 0000:02:00.0/{number}\n" for number in range(len(plan.disks)))
    cpus = str(1) if plan.cpus == 1 else f"1-{plan.cpus}"
    return CONFIG.format(host=plan.hosts[name], cpus=cpus, guest=plan.guest.strip(), vfs=vfs, role=ROLE[name] if plan.agent else "",
                         service=plan.cpus + 1, ip=SERVICE_IP[name], outside=OUTSIDE, mtu=SERVICE_MTU, vf=SERVICE_VF[name],
                         service_lines="service = yes\n" if plan.agent else "")


class PairMachine(machine.Machine):
    """One of both machines. A thread reads its serial line, so that it goes on while the test looks at the other one."""

    def __init__(self, image, name, plan, segment, control, **options):
        self.name, self.plan, self.segment, self.control, self.ended = name, plan, segment, control, False
        self.news = threading.Condition()
        super().__init__(image, **options)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def arguments(self, image, **options):
        host, plan = self.plan.hosts[self.name], self.plan
        extra = qmp.arguments(self.control)
        extra += ["-device", "pcie-root-port,id=rp1,slot=1,chassis=1,addr=2.0,multifunction=on",
                  "-device", "pcie-root-port,id=rp2,slot=2,chassis=2,addr=2.1"]
        extra += self.segment.netdev(f"{self.name}-guest", "net0") + self.segment.netdev(f"{self.name}-service", "net1")
        for number, disk in enumerate(plan.disks):
            extra += ["-blockdev", f"{machine.IMAGE},node-name=disk{number},filename={disk},locking=off"]
        # By 2021 only a PF whose VFs have no registers in memory has commands for them.
        shared = f"vfs=4,migration={plan.abi},vf-queues={plan.queues}" + (",mmr=off" if host.transport == "admin" else "")
        nets = "net0" + ":" * SERVICE_VF[self.name] + "net1"
        disks = ":".join(f"disk{number}" for number in range(len(plan.disks)))
        extra += ["-device", f"portolan-net-pf,id=netpf,bus=rp1,{shared},mac={MACHINES_MAC},vf-backends={nets}",
                  "-device", f"portolan-blk-pf,id=blkpf,bus=rp2,{shared}" + (f",vf-backends={disks}" if disks else "")]
        return machine.qemu_command(image, pfs=False, extra=extra, iommu=host.iommu, cpu=host.cpu, cpus=plan.cpus + 2,
                                    memory=plan.memory, plugin=gaps.COUNT if plan.count else "", **options)

    def read(self):
        try:
            while True:
                self.process.expect(r"(?s).+", timeout=None)
        except (pexpect.EOF, OSError, ValueError):
            with self.news:
                self.ended = True
                self.news.notify_all()

    def write(self, text):
        with self.news:
            super().write(text)
            self.news.notify_all()

    def raw(self):
        with self.news:
            return super().raw()

    def wait_in(self, text, pattern):
        end = time.monotonic() + machine.patience()
        with self.news:
            while not (match := re.search(pattern, text())):
                if self.ended:
                    raise machine.Failure(f"machine '{self.name}' ended before {pattern!r}")
                self.forbid_failed_checks(pattern)
                if not self.news.wait(max(end - time.monotonic(), 0)) and time.monotonic() >= end:
                    raise machine.Late(f"machine '{self.name}': no {pattern!r} within the time limit")
        return match

    def expect_end(self):
        self.reader.join(machine.patience())
        if not self.ended:
            raise machine.Late(f"machine '{self.name}' did not switch itself off")
        self.process.close()

    def drain(self, seconds):
        self.reader.join(seconds)

    def kill(self):
        self.process.kill(9)
        self.reader.join()
        super().kill()


class Outside:
    """What the segment has beside the machines: the user network of a QEMU that runs nothing. It serves FOLDER by TFTP, leads to this
    host at 10.0.2.2, and brings TCP from this host to each address of PORTS {name: (address, port)}."""

    def __init__(self, folder, segment, ports, served=None):
        self.path, self.ports = os.path.join(folder, "outside"), ports
        user = "user,id=user" + (f",tftp={served}" if served else "")
        user += "".join(f",hostfwd=tcp:127.0.0.1:0-{address}:{port}" for address, port in ports.values())
        command = [machine.QEMU, "-M", "none", "-nodefaults", "-display", "none", *qmp.arguments(self.path), "-netdev", user,
                   "-netdev", "hubport,id=hub0,hubid=0,netdev=user", *segment.netdev("outside", "segment"),
                   "-netdev", "hubport,id=hub1,hubid=0,netdev=segment"]
        self.process = pexpect.spawn(command[0], command[1:], timeout=None, encoding="utf-8") # on a terminal: it ends with the test

    def __enter__(self):
        with qmp.Qmp(self.path) as control:
            table = control.command("human-monitor-command", **{"command-line": "info usernet"})
        found = {(to, int(at)): int(port) for port, to, at in re.findall(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+(\S+)\s+(\d+)", table)}
        self.host_ports = {name: found[where] for name, where in self.ports.items()}
        return self

    def __exit__(self, kind, value, trace):
        self.process.close(force=True)


def service_image(folder, agent, files=()):
    """The service VMs' RAM disk, with FILES [(path, name)] of their own."""
    out = os.path.join(folder, "service.img")
    command = [sys.executable, "-B", SERVICE_PY]
    if agent:
        names = {"arguments": f"--listen=:{STREAM_PORT}\n--qmp-listen=:{QMP_PORT}\n--tls-psk=/etc/portolan/psk\n",
                 "psk": f"portolan:{PSK}\n"}
        for name, text in names.items():
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write(text)
        files = [*files, *((os.path.join(folder, name), f"etc/portolan/{name}") for name in names)]
        command += ["--agent", AGENT]
    done = subprocess.run(command + [os.path.join(IMAGES, "amd64"), out] + [f"{path}={name}" for path, name in files], capture_output=True, text=True, check=False)
    if done.returncode:
        raise machine.Failure(f"service.py failed: {done.stdout}{done.stderr}")
    return out


class Pair(contextlib.ExitStack):
    """Both machines of PLAN, their segment and what is outside; .a and .b are the machines."""

    def __init__(self, folder, plan, served=None, names=NAMES):
        super().__init__()
        self.folder, self.plan, self.served, self.names = folder, plan, served, names

    def __enter__(self):
        super().__enter__()
        ports = ["outside"] + [f"{name}-{vm}" for name in NAMES for vm in ("guest", "service")]
        self.segment = self.enter_context(Segment(self.folder, ports))
        qmp_ports = {name: (SERVICE_IP[name], QMP_PORT) for name in NAMES}
        self.outside = self.enter_context(Outside(self.folder, self.segment, qmp_ports, self.served))
        self.machines = {name: self.enter_context(self.machine(name)) for name in self.names}
        self.a, self.b = (self.machines.get(name) for name in NAMES)
        return self

    def machine(self, name):
        """Machine NAME, started."""
        folder = os.path.join(self.folder, name)
        os.makedirs(folder, exist_ok=True)
        files = [(service_image(self.folder, self.plan.agent), "service.img"), (os.path.join(IMAGES, "amd64"), "amd64"), *self.plan.files]
        image = machine.make_image(folder, config(self.plan, name), files)
        return PairMachine(image, name, self.plan, self.segment, os.path.join(folder, "qmp"))

    def control(self, name):
        """QMP of the emulator of machine NAME."""
        return qmp.Qmp(os.path.join(self.folder, name, "qmp"))

    def agent(self, name, mark=0):
        """QMP of the agent of machine NAME: a new connection. It is awaited for as long as its service VM boots, behind MARK."""
        self.machines[name].wait(mark, rf"service: {re.escape(SERVICE_IP[name])}/24 on eth0")
        return qmp.Qmp(("127.0.0.1", self.outside.host_ports[name]))

    def wait_state(self, name, *states):
        """The VM 'guest' of machine NAME comes to one of STATES; its name."""
        end = time.monotonic() + machine.patience()
        while True:
            state = next(vm["state"] for vm in self.agents[name].command("x-portolan-query-vms") if vm["vm"] == "guest")
            if state in states:
                return state
            if time.monotonic() > end:
                raise machine.Late(f"machine '{name}': the VM is {state}, not {' or '.join(states)}")
            time.sleep(0.1)

    def connect(self, late=False):
        """To both agents: .agents. The guest is started on machine 'a', meanwhile, or LATE: then."""
        self.a.wait(0, "console: .* the commands\n")
        if not late:
            self.a.ask("vm start guest", r"vm start guest: begun")
        self.agents = {name: self.enter_context(self.agent(name)) for name in self.names}
        if late:
            self.a.ask("vm start guest", r"vm start guest: begun")

    def move(self, here, there, **parameters):
        """The VM goes from machine HERE to THERE. What 'query-migrate' of HERE says at the end; no Failure if it says 'failed'."""
        self.await_incoming(there)
        self.begin(here, there, **parameters)
        return self.ended(here)

    def move_counted(self, here, there, **parameters):
        """The same, with the Pause of the guest, of a Plan that counts it. What the source's CPUs do is looked at when it hands over."""
        self.await_incoming(there)
        with self.control(here) as source, self.control(there) as target:
            gaps.forget(source)
            gaps.forget(target)
            mark = self.machines[here].mark()
            self.begin(here, there, **parameters)
            self.machines[here].wait(mark, r"VM 'guest': handed over to another host|it stays here")
            left, told = gaps.read(source), self.ended(here)
            done = told.get("status") == "completed"
            return told, gaps.between(left, target, range(1, 1 + self.plan.cpus)) if done else None

    def await_incoming(self, name):
        """The VM of machine NAME waits for its state."""
        if self.wait_state(name, "off", "incoming") == "off":
            self.agents[name].command("x-portolan-incoming", vm="guest")
            self.wait_state(name, "incoming")

    def begin(self, here, there, **parameters):
        self.ended(here) # the move by which the VM came: its source is done with it first
        agent = self.agents[here]
        if parameters:
            agent.command("migrate-set-parameters", **{key.replace("_", "-"): value for key, value in parameters.items()})
        agent.command("migrate", uri=f"tcp:{SERVICE_IP[there]}:{STREAM_PORT}", vm="guest")

    def ended(self, here):
        """What 'query-migrate' of machine HERE says when the move, from it or to it, is over."""
        end = time.monotonic() + machine.patience()
        while (told := self.agents[here].command("query-migrate")).get("status") in ("setup", "active", "device", "cancelling"):
            if time.monotonic() > end:
                raise machine.Late(f"the move does not end: {told}")
            time.sleep(0.2)
        return told
