#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TLS between agents: certificates on both sides, a key that both have; and who is turned away, with what words."""
import os
import socket
import subprocess

from agents import BUILD, LIMIT, PROGRAM, Pair, Refused, check_moved, move, run_tests, wait_for

CERTIFICATE = """cn = "{name}"
expiration_days = 30
{names}
"""
LEAF = "tls_www_server\ntls_www_client\nsigning_key\nencryption_key"


def certtool(*words):
    subprocess.run(["certtool", *words], check=True, capture_output=True)


def make_key(folder, name):
    path = os.path.join(folder, f"{name}.key")
    certtool("--generate-privkey", "--key-type=ecdsa", "--outfile", path)
    return path


def make_ca(folder, name):
    key, template, out = make_key(folder, name), os.path.join(folder, f"{name}.in"), os.path.join(folder, f"{name}.pem")
    with open(template, "w", encoding="ascii") as file:
        file.write(CERTIFICATE.format(name=name, names="ca\ncert_signing_key"))
    certtool("--generate-self-signed", "--load-privkey", key, "--template", template, "--outfile", out)
    return out


def make_leaf(folder, name, ca, names, purposes=LEAF):
    key, template, out = make_key(folder, name), os.path.join(folder, f"{name}.in"), os.path.join(folder, f"{name}.pem")
    with open(template, "w", encoding="ascii") as file:
        file.write(CERTIFICATE.format(name=name, names=names + "\n" + purposes))
    certtool("--generate-certificate", "--load-privkey", key, "--load-ca-certificate", ca, "--load-ca-privkey",
             ca.replace(".pem", ".key"), "--template", template, "--outfile", out)
    return [f"--tls-cert={out}", f"--tls-key={key}", f"--tls-ca={ca}"]


LOCAL = 'dns_name = "host-a"\nip_address = 127.0.0.1'


def pair_of(folder, one, other):
    pair = Pair(folder, options=tuple(one))
    pair.b.terminate()
    pair.b.options = [f"--listen=127.0.0.1:{pair.b.port}", *other]
    pair.b.start()
    return pair


def refused(pair, source_says, target_says=None):
    """Nothing of the VM's is moved or stopped."""
    pair.a.qmp.do("migrate", uri=f"tcp:127.0.0.1:{pair.b.port}")
    status = pair.a.qmp.ended()
    assert status["status"] == "failed" and any(text in status["error-desc"] for text in source_says), status
    if target_says is not None:
        wait_for(lambda: target_says in pair.b.said(), lambda: f"'{target_says}': {pair.b.said()}")
    assert pair.a.runs() and pair.b.state() == "off"
    assert pair.b.qmp.status() == {} or "--insecure" in pair.b.options, "a stranger has begun a move"


def test_certificates(folder):
    ca = make_ca(folder, "ca")
    one, other = make_leaf(folder, "one", ca, LOCAL), make_leaf(folder, "other", ca, LOCAL)
    with pair_of(folder, one, other) as pair:
        move(pair.a, pair.b)
        move(pair.b, pair.a)
        # Whom to expect may be said.
        pair.b.terminate()
        pair.b.options.append("--tls-peer=host-a")
        pair.b.start()
        move(pair.a, pair.b)
        check_moved(pair.a, pair.b)


def test_wrong_certificates(folder):
    ca, foreign = make_ca(folder, "ca"), make_ca(folder, "foreign")
    one = make_leaf(folder, "one", ca, LOCAL)
    elsewhere = 'dns_name = "host-b"'
    # The target's is for another name; of another authority; the source's is; the source's is for another name; not for clients.
    for number, (source, target, source_says, target_says) in enumerate((
            (one, make_leaf(folder, "named", ca, elsewhere), ["name"], "refuses"),
            (one, [*make_leaf(folder, "strange", foreign, LOCAL)[:2], f"--tls-ca={ca}"], ["NOT trusted"], "refuses"),
            ([*make_leaf(folder, "alien", foreign, LOCAL)[:2], f"--tls-ca={ca}"], one, ["refuses", "closed", "Pipe", "reset"],
             "Certificate is required"),
            (make_leaf(folder, "quiet", ca, LOCAL), [*one, "--tls-peer=host-c"], ["refuses", "closed", "Pipe", "reset"], "name"),
            (make_leaf(folder, "server", ca, LOCAL, "tls_www_server\nsigning_key"), one, ["refuses", "closed", "Pipe", "reset"],
             "purpose"))):
        home = os.path.join(folder, str(number))
        os.mkdir(home)
        with pair_of(home, source, target) as pair:
            refused(pair, source_says, target_says)


def write_psk(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text + "\n")
    return f"--tls-psk={path}"


def test_psk(folder):
    key = write_psk(folder, "key", "portolan:" + "5a" * 32)
    with pair_of(folder, [key], [key]) as pair:
        move(pair.a, pair.b)
        move(pair.b, pair.a)


def test_wrong_psk(folder):
    key = write_psk(folder, "key", "portolan:" + "5a" * 32)
    for number, other in enumerate(("portolan:" + "5b" * 32, "somebody:" + "5a" * 32)):
        home = os.path.join(folder, str(number))
        os.mkdir(home)
        with pair_of(home, [key], [write_psk(home, "other", other)]) as pair:
            refused(pair, ["TLS"], "TLS")


def test_mixed(folder):
    """TLS and none, in either direction; and one that only listens to what it gets."""
    key = write_psk(folder, "key", "portolan:" + "5a" * 32)
    for number, (one, other) in enumerate((([key], ["--insecure"]), (["--insecure"], [key]))):
        home = os.path.join(folder, str(number))
        os.mkdir(home)
        with pair_of(home, one, other) as pair:
            refused(pair, ["TLS", "stream", "closed", "reset"])
            with socket.create_connection(("127.0.0.1", pair.b.port)) as stranger:
                stranger.sendall(b"GET / HTTP/1.0\r\n\r\n" * 20)
                while stranger_reads(stranger):
                    pass
            assert pair.b.state() == "off"


def stranger_reads(stranger):
    """False: he was sent away."""
    stranger.settimeout(LIMIT)
    try:
        return stranger.recv(4096)
    except ConnectionResetError:
        return b""


def test_strangers(folder):
    """More than there is room for that are silent: moves go on beside them, and nobody hears of them."""
    key = write_psk(folder, "key", "portolan:" + "5a" * 32)
    with pair_of(folder, [key], [key]) as pair:
        strangers = [socket.create_connection(("127.0.0.1", pair.b.port)) for _ in range(20)]
        while stranger_reads(strangers[0]):  # the first ones made place for others
            pass
        assert pair.b.qmp.status() == {}
        move(pair.a, pair.b)
        for stranger in strangers:
            stranger.sendall(b"\x16\x03\x01")
        move(pair.b, pair.a)
        assert pair.b.qmp.status()["status"] == "completed"
        for stranger in strangers:
            stranger.close()
        assert pair.b.said().count("too many at once") < 12 and "secret" not in pair.b.said(), pair.b.said()


def test_secrets(folder):
    """A key that others can read is told of."""
    key = write_psk(folder, "key", "portolan:" + "5a" * 32)
    os.chmod(key.partition("=")[2], 0o644)
    with Pair(folder, options=[key]) as pair:
        assert "a secret that others can reach" in pair.a.said()


def test_options(folder):
    """Without a word about security there is no stream; and what makes no sense is refused."""
    with Pair(folder) as pair:
        pair.a.terminate()
        pair.a.options = []
        pair.a.start()
        try:
            pair.a.qmp.do("migrate", uri=f"tcp:127.0.0.1:{pair.b.port}")
            assert False, "a move without keys"
        except Refused as error:
            assert "--insecure" in error.args[1]
    for options, says in ((["--listen=127.0.0.1:1"], "--insecure"), (["--tls-cert=x"], "needed together"),
                          (["--insecure", "--tls-psk=x"], "one of them"), (["--tls-psk=/nowhere"], "NAME:HEX"),
                          (["--tls-cert=/n", "--tls-key=/n", "--tls-ca=/n"], "/n"), (["--compress=very"], "auto, always"),
                          (["--max-bandwidth=-1"], "no number"), (["--downtime-limit=9999999"], "no number"), (["what"], "what is"),
                          (["--what"], "--help"), (["--tls-peer=x"], "certificate")):
        ran = subprocess.run([BUILD / PROGRAM, "--portal=unix:/nowhere", *options], capture_output=True, text=True, check=False)
        assert ran.returncode == 1 and says in ran.stderr, (options, ran.stderr)
    ran = subprocess.run([BUILD / PROGRAM, "--help"], capture_output=True, text=True, check=True)
    assert "--downtime-limit" in ran.stdout


TESTS = [test_certificates, test_wrong_certificates, test_psk, test_wrong_psk, test_mixed, test_strangers, test_secrets, test_options]

if __name__ == "__main__":
    run_tests(TESTS)
