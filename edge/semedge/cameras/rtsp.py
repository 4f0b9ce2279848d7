"""Why an RTSP camera gives no stream, by its own answer; FFMPEG does not say."""

from __future__ import annotations

import hashlib
import re
import socket
from base64 import b64encode
from urllib.parse import SplitResult, unquote, urlsplit

from semedge.cameras.live import CameraSettingsError, CaptureLostError, UnreachableError

PORT = 554
ANSWER_S = 2.0
LARGEST_ANSWER = 16_384
CHALLENGE = re.compile(r'(\w+)="?([^",]*)"?')
MEANINGS = {
    401: "it refused user or password",
    403: "it forbids the stream",
    404: "it has no stream at this path",
    453: "it has no bandwidth for another client",
    454: "it has no session for another client",
    461: "it does not send over TCP",
    503: "it is busy; another program may use it",
}
PERMANENT = (401, 403, 404)


def check(address: str) -> None:
    """Raise what the camera's answer means; nothing where it describes its stream.

    Raises `CameraSettingsError` where another attempt would be answered the same,
    `UnreachableError` where nothing answers, and `CaptureLostError` for other reasons. The camera
    is asked within `ANSWER_S`.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or PORT
    except ValueError:
        raise CameraSettingsError("its address cannot be understood") from None
    if not host:
        raise CameraSettingsError("its address has no host")
    try:
        with socket.create_connection((host, port), ANSWER_S) as connection:
            connection.settimeout(ANSWER_S)
            status, challenge = _describe(connection, parts, "", 1)
            if status == 401 and challenge and parts.username is not None:
                status, _ = _describe(connection, parts, _credentials(parts, challenge), 2)
    except ConnectionRefusedError:
        raise UnreachableError("nothing listens there: connection refused") from None
    except socket.gaierror:
        raise UnreachableError("the name of its host is not known") from None
    except TimeoutError:
        raise CaptureLostError("it did not answer in time") from None
    except OSError as error:
        raise CaptureLostError(error.strerror or "it broke off its answer") from None
    if status is None:
        raise CaptureLostError("it broke off its answer")
    if 200 <= status < 300:
        return
    answer = f"{MEANINGS.get(status, 'it refused')}: the camera answered {status}"
    raise (CameraSettingsError if status in PERMANENT else CaptureLostError)(answer)


def _describe(
    connection: socket.socket, parts: SplitResult, credentials: str, number: int
) -> tuple[int | None, str]:
    """Status of a DESCRIBE, and the challenge in its answer."""
    lines = [
        f"DESCRIBE {_plain(parts)} RTSP/1.0",
        f"CSeq: {number}",
        "Accept: application/sdp",
        *([f"Authorization: {credentials}"] if credentials else []),
    ]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < LARGEST_ANSWER:
        block = connection.recv(4096)
        if not block:
            break
        answer += block
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    status = re.match(r"RTSP/\d\.\d (\d{3})", head)
    offered = re.findall(r"(?im)^WWW-Authenticate:\s*(.*?)\s*$", head)
    # Digest keeps the password off the wire.
    offered.sort(key=lambda challenge: not challenge.lower().startswith("digest"))
    return (int(status[1]) if status else None), (offered[0] if offered else "")


def _plain(parts: SplitResult) -> str:
    host = parts.netloc.rpartition("@")[2]
    query = f"?{parts.query}" if parts.query else ""
    return f"rtsp://{host}{parts.path}{query}"


def _credentials(parts: SplitResult, challenge: str) -> str:
    """The header Authorization for a challenge, Digest (RFC 2069 and 7616) or Basic."""
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not challenge.lower().startswith("digest"):
        return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
    given = dict(CHALLENGE.findall(challenge))
    algorithm = given.get("algorithm", "MD5")
    address = _plain(parts)

    def digest(text: str) -> str:
        name = "sha256" if algorithm.upper().startswith("SHA-256") else "md5"
        return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()

    secret = digest(f"{user}:{given.get('realm', '')}:{password}")
    target = digest(f"DESCRIBE:{address}")
    nonce = given.get("nonce", "")
    fields = {"username": user, "realm": given.get("realm", ""), "nonce": nonce, "uri": address}
    extra = ""
    if "auth" in given.get("qop", ""):
        count, own = "00000001", "0a4f113b"
        fields["response"] = digest(f"{secret}:{nonce}:{count}:{own}:auth:{target}")
        extra = f', qop=auth, nc={count}, cnonce="{own}"'
    else:
        fields["response"] = digest(f"{secret}:{nonce}:{target}")
    if "algorithm" in given:
        extra += f", algorithm={algorithm}"
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in fields.items()) + extra
