"""The admin shell as operators reach it: the real ``ssh`` against a real server."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.daemon import PATIENCE, Twistd
from tests.sockets import GENERAL, LOBBY, Servers, eventually, port_of, untimed
from tests.sshclient import Ssh, manhole

ensure = pytest_twisted.ensureDeferred


def audited(servers: Servers) -> list[dict[str, str]]:
    """What is in the audit log, without its times."""
    lines = (servers.state / "audit.jsonl").read_text().splitlines()
    acts = [json.loads(line) for line in lines]
    return [{name: act[name] for name in act if name != "time"} for act in acts]


@ensure  # type: ignore[untyped-decorator]
@pytest.mark.parametrize("key", ["ed25519", "rsa"])
async def test_one_act(servers: Servers, ssh: Ssh, key: str) -> None:
    """An operator runs one command by ssh, with either kind of key, and gets its answer."""
    service = servers.start(manhole())
    assert await ssh.run(port_of(service), "who", key=key) == (0, "Nobody is online.\n", "")


@ensure  # type: ignore[untyped-decorator]
async def test_kick(servers: Servers, ssh: Ssh) -> None:
    """Somebody kicked by ssh is gone, and the audit log has who did it, and from where."""
    service = servers.start(GENERAL, manhole())
    bob = await servers.connect(service)
    await bob.login("bob")
    port = port_of(service, way=1)
    assert await ssh.run(port, "kick general:bob spam") == (0, "Kicked bob.\n", "")
    assert (await bob.rest()).endswith("You have been kicked from the general channel: spam\r\n")
    assert await ssh.run(port, "kick", "bob") == (1, "", "bob is not online.\n")
    who = {"who": "ed25519 key", "door": "manhole", "address": "127.0.0.1", "act": "kick"}
    assert audited(servers) == [
        who | {"target": "general:bob", "reason": "spam", "result": "done"},
        who | {"target": "bob", "result": "not_online"},
    ]


@ensure  # type: ignore[untyped-decorator]
async def test_terminal_for_an_act(servers: Servers, ssh: Ssh) -> None:
    """With a terminal (ssh -t) the lines of an answer end as a terminal wants it."""
    service = servers.start(GENERAL, manhole())
    client = ssh.start(port_of(service, way=1), "rooms", tty=True, RequestTTY="force")
    await client.until("[Channel] general 0/100/0.\r\n")
    assert await client.end() == 0


@ensure  # type: ignore[untyped-decorator]
async def test_script(servers: Servers, ssh: Ssh) -> None:
    """Lines piped into ssh run one after the other; one refusal, and the status is 1."""
    service = servers.start(GENERAL, manhole(), LOBBY)
    port = port_of(service, way=1)
    typed = "rooms\n\nnonsense\nwho"
    assert await ssh.run(port, typed=typed) == (
        1,
        "[Channel] general 0/100/0.\nNobody is online.\n",
        "There is no command nonsense. Type help for a list.\n",
    )
    assert await ssh.run(port, typed="who\r\n") == (0, "Nobody is online.\n", "")
    long = f"{'x' * 5000}\nwho\n"
    assert await ssh.run(port, typed=long) == (
        1,
        "Nobody is online.\n",
        "That line is longer than 4096 bytes and was not sent.\n",
    )
    assert await ssh.run(port, typed="") == (0, "", "")


@ensure  # type: ignore[untyped-decorator]
async def test_watch(servers: Servers, ssh: Ssh) -> None:
    """``ssh host watch`` shows what happens until it is left."""
    service = servers.start(GENERAL, manhole())
    port = port_of(service, way=1)
    watching = ssh.start(port, "watch")
    await watching.until("You are watching.\n")
    await eventually(lambda: len(service.hub.watch.audience))
    bob = await servers.connect(service)
    await bob.login("bob")
    assert untimed(await watching.until("join: bob, general\n")).endswith(
        "[Server message (TIME)] login: bob, from 127.0.0.1 by line\n"
        "[Server message (TIME)] join: bob, general\n"
    )
    watching.transport.signalProcess("TERM")
    await watching.end()
    await eventually(lambda: not len(service.hub.watch.audience))


@ensure  # type: ignore[untyped-decorator]
async def test_prompt(servers: Servers, ssh: Ssh) -> None:
    """At a terminal there is a Python prompt with the operators' functions; Ctrl-D leaves it."""
    service = servers.start(GENERAL, manhole())
    bob = await servers.connect(service)
    await bob.login("bob")
    client = await ssh.open(port_of(service, way=1))
    await client.enter('kick("bob")', "Kicked bob.")
    await client.enter("hub.channels.rows()", "'general'")
    await client.enter("accounts()", "bob")
    await client.enter("print('grün')", "\r\ngrün\r\n")
    client.type("hub.ros\t")
    await client.until("hub.roster")
    client.type("\x03")
    await client.until("KeyboardInterrupt\r\n>>> ")
    client.type("\x04")
    assert await client.end() == 0
    typed = [act["arguments"] for act in audited(servers) if act["act"] == "python"]
    assert typed == ['kick("bob")', "hub.channels.rows()", "accounts()", "print('grün')"]


@ensure  # type: ignore[untyped-decorator]
async def test_resize(servers: Servers, ssh: Ssh) -> None:
    """The prompt follows the size of the window."""
    service = servers.start(manhole())
    client = await ssh.open(port_of(service))
    assert "37,\r\n" in await client.enter("tuple(range(40))", "39)\r\n")
    client.resize(200, 50)
    # The client sends the size and what is typed in an order of its own.
    shown = [await client.enter("tuple(range(40))", "39)\r\n") for _ in range(3)]
    assert "37, 38, 39)" in shown[-1]
    client.type("\x04")
    assert await client.end() == 0


@ensure  # type: ignore[untyped-decorator]
async def test_strange_key(servers: Servers, ssh: Ssh, logged: list[str]) -> None:
    """A key that isn't listed lets nobody in, and is logged once, with address and fingerprint."""
    service = servers.start(manhole())
    status, out, err = await ssh.run(port_of(service), "who", key="stranger")
    assert (status, out) == (255, "")
    assert "Permission denied (publickey)" in err
    refusals = [line for line in logged if line.startswith("refusal: ")]
    assert len(refusals) == 1
    pattern = r"refusal: 127\.0\.0\.1, manhole: login as \w+, SHA256:\S{43}: the key is not listed"
    assert re.fullmatch(pattern, refusals[0])


@ensure  # type: ignore[untyped-decorator]
async def test_no_password(servers: Servers, ssh: Ssh) -> None:
    """Nobody is asked for a password."""
    service = servers.start(manhole())
    how = {"PubkeyAuthentication": "no", "BatchMode": "no", "NumberOfPasswordPrompts": "1"}
    status, out, err = await ssh.run(port_of(service), "who", **how)
    assert (status, out) == (255, "")
    assert "Permission denied (publickey)" in err


@ensure  # type: ignore[untyped-decorator]
async def test_weak_signature(servers: Servers, ssh: Ssh) -> None:
    """An RSA key signs with SHA-2, or not at all."""
    service = servers.start(manhole())
    for algorithm, status in (("rsa-sha2-256", 0), ("ssh-rsa", 255)):
        how = {"key": "rsa", "PubkeyAcceptedAlgorithms": algorithm}
        assert (await ssh.run(port_of(service), "who", **how))[0] == status


@ensure  # type: ignore[untyped-decorator]
async def test_keys_change(servers: Servers, ssh: Ssh, logged: list[str]) -> None:
    """A line that is added lets its key in at once, one with options doesn't, and is logged."""
    service = servers.start(manhole())
    port, keys = port_of(service), servers.state / "admins.pub"
    keys.write_text(ssh.public("stranger"))
    assert (await ssh.run(port, "who", key="stranger"))[0] == 0
    assert (await ssh.run(port, "who"))[0] == 255
    keys.write_text(f"no-pty {ssh.public('stranger')}")
    assert (await ssh.run(port, "who", key="stranger"))[0] == 255
    assert f"{keys}:1: options before a key don't work here" in logged
    keys.unlink()
    assert (await ssh.run(port, "who", key="stranger"))[0] == 255
    assert f"{keys}: No such file or directory; it lets nobody in" in logged


@ensure  # type: ignore[untyped-decorator]
async def test_nothing_else(servers: Servers, ssh: Ssh, logged: list[str]) -> None:
    """No files, no forwarded ports, no agent: each is refused, and none is an error of ours."""
    service = servers.start(manhole())
    port = port_of(service)
    status, _, err = await ssh.run(port, "-s", "sftp")
    assert (status, "subsystem request failed" in err) == (255, True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    forward: dict[str, Any] = {"LocalForward": f"{number} 127.0.0.1:{port}", "LogLevel": "INFO"}
    client = ssh.start(port, "watch", ForwardAgent="yes", **forward)
    await client.until("You are watching.\n")
    with socket.create_connection(("127.0.0.1", number)):
        await eventually(lambda: "administratively prohibited" in client.err)
    remote = {"RemoteForward": f"0 127.0.0.1:{port}", "ExitOnForwardFailure": "yes"}
    assert (await ssh.run(port, "who", **remote))[0] == 255
    assert (await ssh.run(port, "who", SetEnv="LANG=C"))[0] == 0
    assert not [line for line in logged if line.startswith(("incident", "Unhandled", "refusal"))]


@ensure  # type: ignore[untyped-decorator]
@pytest.mark.parametrize(
    "how",
    [
        {"KexAlgorithms": "diffie-hellman-group14-sha256"},
        {"Ciphers": "aes128-cbc"},
        {"MACs": "hmac-sha1"},
    ],
)
async def test_weak_algorithms(
    servers: Servers, ssh: Ssh, logged: list[str], how: dict[str, str]
) -> None:
    """A client that can do only what is weak is not served, and the log says why."""
    service = servers.start(manhole())
    assert (await ssh.run(port_of(service), "who", **how))[0] == 255
    assert "refusal: 127.0.0.1, manhole: closed: couldn't match all kex parts" in logged
    assert (await ssh.run(port_of(service), "who", Compression="yes"))[0] == 0


@ensure  # type: ignore[untyped-decorator]
async def test_loopback(servers: Servers, ssh: Ssh, logged: list[str]) -> None:
    """The door is on loopback though the others are not, and is no reason for a warning."""
    servers.start(manhole(), manhole("tcp:0:interface=0.0.0.0"), host="0.0.0.0")
    await eventually(lambda: "chatd 0.1.0 is ready" in logged)
    listening = [line.rpartition(":")[0] for line in logged if "listening on" in line]
    assert listening == ["listening on 127.0.0.1", "listening on 0.0.0.0"]
    assert not [line for line in logged if "open to the network" in line]


@ensure  # type: ignore[untyped-decorator]
async def test_stop(servers: Servers, ssh: Ssh) -> None:
    """When the server stops, whoever is in the admin shell is told goodbye, at once."""
    service = servers.start(manhole())
    port = port_of(service)
    clients = [await ssh.open(port), ssh.start(port, "watch"), ssh.start(port, SessionType="none")]
    await clients[1].until("You are watching.\n")
    await eventually(lambda: service.hub.counts.connections == 3)
    await servers.stop(service)
    assert [await client.end() for client in clients] == [0, 0, 255]
    for told in (clients[0].out, clients[1].err, clients[2].err):
        assert "The server is stopping. Goodbye." in told


@ensure  # type: ignore[untyped-decorator]
async def test_host_key(servers: Servers, ssh: Ssh) -> None:
    """The server's key is made at the first start, and stays the same after that."""
    await servers.stop(servers.start(manhole()))
    text = (servers.state / "ssh_host_ed25519_key").read_text()
    await servers.stop(servers.start(manhole()))
    assert (servers.state / "ssh_host_ed25519_key").read_text() == text


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            'authorized_keys = "admins.pub"',
            "chatd can't start: {state}/ssh_host_ed25519_key: is no private key that can be read\n",
        ),
        ("login_tries = 3", "{file}:2: door.0.authorized_keys: is missing\n"),
        ("authorized_keys = 3", "{file}:5: door.0.authorized_keys: must be a string, not 3\n"),
        (
            'authorized_keys = ""',
            "{file}:5: door.0.authorized_keys: is no name of a file\n",
        ),
        (
            'authorized_keys = "a"\nlogin_tries = 0',
            "{file}:6: door.0.login_tries: is 0, but must be at least 1\n",
        ),
    ],
)
def test_no_start(tmp_path: Path, twistd: Twistd, settings: str, told: str) -> None:
    """A host key that can't be used, or a setting, stops the start with a sentence."""
    file, state = tmp_path / "chatd.toml", tmp_path / "state"
    state.mkdir()
    (state / "ssh_host_ed25519_key").touch(0o600)
    door = '[[door]]\nkind = "manhole"\nlisten = "tcp:0"'
    file.write_text(f'state = "{state}"\n{door}\n{settings}\n')
    process = twistd("-c", str(file))
    out, err = process.communicate(timeout=PATIENCE)
    assert (err, process.returncode) == (told.format(state=state, file=file), 1)
    assert "Traceback" not in out
