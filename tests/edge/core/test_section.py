"""Secrets come from a variable or a file, and are shown nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from semedge.core.errors import SemedgeError
from semedge.core.section import Secret


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    file = folder / "secret"
    file.write_bytes(content)
    file.chmod(mode)
    return file


def test_both_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", " s3cret ")
    assert Secret(env="TOKEN").read() == "s3cret"
    secret = Secret(file=secret_file(tmp_path, b"s3cret\n"))
    assert secret.read() == "s3cret"
    assert "s3cret" not in f"{secret!r} {secret.model_dump_json()}"


def test_an_absent_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKEN", raising=False)
    with pytest.raises(SemedgeError, match="variable TOKEN "):
        Secret(env="TOKEN").read()


@pytest.mark.parametrize(
    ("content", "mode", "values"),
    [
        (b"s3cret", 0o644, r"/secret .*mode 0644.*`chmod 600 .*/secret`"),
        (b"\n", 0o600, r"/secret .*write"),
        (b"s3cret\xff", 0o600, r"/secret .*UTF-8.* 0600"),
    ],
)
def test_a_file_without_a_usable_secret(
    tmp_path: Path, content: bytes, mode: int, values: str
) -> None:
    with pytest.raises(SemedgeError, match=values) as caught:
        Secret(file=secret_file(tmp_path, content, mode)).read()
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SemedgeError, match=r"absent .*\(No such file or directory\)"):
        Secret(file=tmp_path / "absent").read()
