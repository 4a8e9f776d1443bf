"""SSH keys: which lines of a file of public keys count, and the server's own key."""

import os
import subprocess
from pathlib import Path

import pytest
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.keys import Key

from chatd.doors.reception import ListenError
from chatd.doors.sshkeys import AuthorizedKeys, fingerprint, host_key


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The lines of public keys, by kind."""
    directory = tmp_path_factory.mktemp("keys")
    kinds = {"ed25519": [], "rsa": ["-b", "2048"], "weak": ["-b", "1024"], "ecdsa": ["-b", "384"]}
    for kind, words in kinds.items():
        words = ["-t", "rsa" if kind == "weak" else kind, *words, "-C", f"alice's {kind}"]
        subprocess.run(
            ["ssh-keygen", "-q", "-N", "", "-f", directory / kind, *words],
            check=True,
            capture_output=True,
        )
    return {kind: (directory / f"{kind}.pub").read_text() for kind in kinds}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of public keys that is not there yet."""
    return tmp_path / "admins.pub"


def test_keys(file: Path, public: dict[str, str], logged: list[str]) -> None:
    """Keys of ed25519, ECDSA and RSA count, and are called by the comment behind them."""
    file.write_text(f"# ours\n\n{public['ed25519']}{public['rsa']}  {public['ecdsa']}")
    listed = AuthorizedKeys(file).read()
    assert [key.name for key in listed] == ["alice's ed25519", "alice's rsa", "alice's ecdsa"]
    assert [key.signatures for key in listed] == [
        (b"ssh-ed25519",),
        (b"rsa-sha2-512", b"rsa-sha2-256"),
        (b"ecdsa-sha2-nistp384",),
    ]
    assert logged == []


def test_name(file: Path, public: dict[str, str]) -> None:
    """Without a comment a key is called by its fingerprint; a comment can't harm a terminal."""
    kind, blob, _ = public["ed25519"].split(maxsplit=2)
    file.write_bytes(f"{kind} {blob}\n{kind} {blob} a\x1b[2Jb\n{kind} {blob} {'x' * 99}".encode())
    first, second, third = AuthorizedKeys(file).read()
    assert first.name == fingerprint(first.blob)
    assert second.name == "a\ufffd[2Jb"
    assert third.name == "x" * 64


def test_fingerprint(file: Path, public: dict[str, str]) -> None:
    """A fingerprint is the one that ssh-keygen shows."""
    file.write_text(public["rsa"])
    shown = subprocess.run(["ssh-keygen", "-l", "-f", file], check=True, capture_output=True)
    assert fingerprint(AuthorizedKeys(file).read()[0].blob) in shown.stdout.decode().split()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('from="10.0.0.1" {ed25519}', "options before a key don't work here"),
        ("no-pty {ed25519}", "options before a key don't work here"),
        ('command="echo hi there" {rsa}', "options before a key don't work here"),
        ("{weak}", "RSA keys have at least 2048 bits, this one 1024"),
        ("ssh-dss AAAAB3NzaC1kc3M= old", "DSA keys are too weak"),
        ("ssh-ed25519", "is no public key"),
        ("ssh-ed25519 AAAA", "is no public key"),
        ("ssh-ed25519 not-base64!", "is no public key"),
        ("ssh-rsa {ed25519_blob}", "is no public key"),
        ("hello world", "is no public key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "is no public key"),
    ],
)
def test_bad_line(
    file: Path, public: dict[str, str], logged: list[str], line: str, why: str
) -> None:
    """A line that is not understood whole lets nobody in, and the log has its number."""
    blob = public["ed25519"].split()[1]
    file.write_text(f"{public['ecdsa']}{line.format(**public, ed25519_blob=blob)}\n")
    assert [key.name for key in AuthorizedKeys(file).read()] == ["alice's ecdsa"]
    assert logged == [f"{file}:2: {why}"]


def test_others_may_write(file: Path, public: dict[str, str], logged: list[str]) -> None:
    """No key counts in a file that others may write."""
    file.write_text(public["ed25519"])
    for mode in (0o620, 0o602):
        file.chmod(mode)
        assert AuthorizedKeys(file).read() == []
    file.chmod(0o644)
    assert len(AuthorizedKeys(file).read()) == 1
    why = "others may write it (chmod go-w); it lets nobody in"
    assert logged == [f"{file}: {why}", f"{file}: {why}"]


def test_no_file(file: Path, logged: list[str]) -> None:
    """A file that isn't there, is none or is far too large lets nobody in."""
    assert AuthorizedKeys(file).read() == []
    assert AuthorizedKeys(file.parent).read() == []
    os.mkfifo(file)
    assert AuthorizedKeys(file).read() == []
    file.unlink()
    file.write_bytes(b"#" * 1_048_577)
    assert AuthorizedKeys(file).read() == []
    reasons = [line.partition(": ")[2] for line in logged]
    assert reasons == [
        f"{why}; it lets nobody in"
        for why in (
            "No such file or directory",
            "Is a directory",
            "is no plain file",
            "is larger than 1048576 bytes",
        )
    ]


def test_changed_file(file: Path, public: dict[str, str], logged: list[str]) -> None:
    """The file is read anew each time, and the same mistake is logged once."""
    keys = AuthorizedKeys(file)
    file.write_text("garbage\n")
    assert keys.read() == keys.read() == []
    file.write_text(f"garbage\n{public['ed25519']}")
    (listed,) = keys.read()
    assert keys.find(listed.blob) == listed
    file.write_text("")
    assert keys.find(listed.blob) is None
    file.write_text("garbage\n")
    assert keys.read() == []
    assert logged == [f"{file}:1: is no public key"] * 2


def test_security_key(file: Path) -> None:
    """A key that lives in a security key counts too."""
    blob = NS(b"sk-ssh-ed25519@openssh.com") + NS(bytes(32)) + NS(b"ssh:")
    text = Key.fromString(blob, "BLOB").toString("OPENSSH").decode()
    file.write_text(f"{text}\n")
    (listed,) = AuthorizedKeys(file).read()
    assert (listed.blob, listed.signatures) == (blob, (b"sk-ssh-ed25519@openssh.com",))


def test_host_key(tmp_path: Path) -> None:
    """The server's key is made at the first start, for nobody else to read, and kept."""
    path = tmp_path / "key"
    (tmp_path / "key.new").write_text("left behind by a crash")
    made = host_key(path)
    assert made.type() == "Ed25519"
    assert path.stat().st_mode & 0o777 == 0o600
    assert host_key(path) == made
    assert os.listdir(tmp_path) == ["key"]


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("anything", 0o640, "others may read this key, so that it is none (chmod 600)"),
        ("anything", 0o604, "others may read this key, so that it is none (chmod 600)"),
        ("garbage", 0o600, "is no private key that can be read"),
        ("", 0o600, "is no private key that can be read"),
        ("public", 0o600, "is no private key that can be read"),
        ("rsa", 0o600, "is no private key of ed25519"),
    ],
)
def test_bad_host_key(tmp_path: Path, text: str, mode: int, why: str) -> None:
    """A key that can't be the server's, or is no secret, stops the start with a sentence."""
    path = tmp_path / "key"
    path.write_text(text)
    if text in {"public", "rsa"}:
        path.unlink()
        words = ["ssh-keygen", "-q", "-N", "", "-f", str(path), "-t", "rsa", "-b", "2048"]
        subprocess.run(words, check=True, capture_output=True)
    if text == "public":
        path.write_bytes((tmp_path / "key.pub").read_bytes())
    path.chmod(mode)
    with pytest.raises(ListenError, match="key") as raised:
        host_key(path)
    assert str(raised.value) == f"{path}: {why}"


def test_host_key_with_a_password(tmp_path: Path) -> None:
    """A key with a password can't be the server's, who has nobody to ask for it."""
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-N", "password", "-f", path], check=True)
    with pytest.raises(ListenError, match="is no private key that can be read"):
        host_key(path)


def test_host_key_nowhere(tmp_path: Path) -> None:
    """A host key that can't be made stops the start with the system's reason."""
    path = tmp_path / "nowhere" / "key"
    with pytest.raises(ListenError) as raised:
        host_key(path)
    assert str(raised.value) == f"{path}: No such file or directory"
