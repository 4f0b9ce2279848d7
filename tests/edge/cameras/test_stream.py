"""Live cameras, against real servers: fresh frames, stalls, deaths, and no threads left."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from camera_servers import Server
from clock_picture import HEIGHT_PX, WIDTH_PX, age_s, draw_waves
from faults import Fault
from lossy_proxy import lossy_proxy
from numpy.typing import NDArray
from processes import free_port

from semedge.cameras import Camera, CameraStalledError, open_camera, rtsp_stream
from semedge.cameras.stream import redact
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame, GrayImage

pytestmark = pytest.mark.alone

OPEN_TIMEOUT_S = 20.0
STALL_TIMEOUT_S = 4.0
FRAMES_A_SECOND = 25
DAMAGED = 12.0
"""Gray values by which a square of a damaged frame differs, and compression does not."""


@pytest.fixture(params=["mjpeg", "rtsp"])
def server(request: pytest.FixtureRequest, serve: Callable[..., Server]) -> Server:
    return serve(request.param)


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    deadline_s = time.monotonic() + 1.0
    while any(thread.name == "camera" for thread in threading.enumerate()):
        assert time.monotonic() < deadline_s, "a camera's thread goes on after close()"
        time.sleep(0.02)


@pytest.fixture
def silent_address() -> Iterator[str]:
    """Host and port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def age_of(frame: Frame) -> float:
    return age_s(frame.image.tolist(), time.time())


def wait_for_frame(camera: Camera, within_s: float) -> Frame:
    """The next frame, through stalls."""
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            return next(camera)
        except CameraStalledError:
            if time.monotonic() > deadline_s:
                raise


def read_until_stalled(camera: Camera) -> tuple[CameraStalledError, float]:
    """The stall, and seconds from the last frame to it."""
    deadline_s = time.monotonic() + 30
    last_s = time.monotonic()
    while time.monotonic() < deadline_s:
        try:
            next(camera)
        except CameraStalledError as error:
            return error, time.monotonic() - last_s
        last_s = time.monotonic()
    pytest.fail("the camera goes on without its server")


@pytest.mark.fault(Fault.CAMERA)
def test_a_slow_reader_gets_the_newest_frame(server: Server) -> None:
    with open_camera(server.address, timeout_s=OPEN_TIMEOUT_S) as camera:
        frames = [next(camera) for _ in range(10)]
        time.sleep(3.0)
        next(camera)
        late = next(camera)
        assert age_of(late) < 0.5
        assert camera.lost > 30
        assert late.sequence == 11 + camera.lost
    sequences = [frame.sequence for frame in frames]
    assert sequences == sorted(set(sequences))
    assert {frame.shape for frame in frames} == {(HEIGHT_PX, WIDTH_PX)}
    assert {frame.source for frame in frames} == {server.address}
    assert abs(frames[-1].captured_at_s - time.time()) < 10
    assert camera.live
    assert list(camera) == []


@pytest.mark.fault(Fault.CAMERA)
def test_the_newest_frame_is_at_most_a_fifth_of_a_second_old(
    server: Server,
    record_property: Callable[[str, object], None],
    request: pytest.FixtureRequest,
) -> None:
    with open_camera(server.address, timeout_s=OPEN_TIMEOUT_S) as camera:
        for _ in range(10):
            next(camera)
        ages_s = []
        for _ in range(20):
            time.sleep(0.15)
            # The one that waited is as old as the reader let it get; the next one is the newest.
            next(camera)
            ages_s.append(age_of(next(camera)))
    kind = request.node.callspec.params["server"]
    record_property(f"age of the newest frame, {kind}, at most", f"{max(ages_s):.3f} s")
    assert max(ages_s) < 0.2, ages_s
    assert statistics.median(ages_s) < 1.6 / FRAMES_A_SECOND, "no decoder holds frames back"


def test_a_stall_is_reported_in_time_and_ends_with_fresh_frames(server: Server) -> None:
    with open_camera(server.address, timeout_s=STALL_TIMEOUT_S) as camera:
        last = next(camera)
        server.freeze()
        error, waited_s = read_until_stalled(camera)
        assert abs(waited_s - STALL_TIMEOUT_S) < 0.7
        assert f" {server.address} " in str(error)
        assert " 4 s;" in str(error)
        server.thaw()
        again = wait_for_frame(camera, 20)
        assert again.sequence > last.sequence
        for _ in range(50):
            again = next(camera)
        assert age_of(again) < 0.5


def test_a_camera_that_died_is_opened_again(server: Server) -> None:
    with open_camera(server.address, timeout_s=STALL_TIMEOUT_S) as camera:
        next(camera)
        server.kill()
        error, _ = read_until_stalled(camera)
        assert "reconnected" in str(error)
        server.start()
        wait_for_frame(camera, 30)
        assert age_of([next(camera) for _ in range(50)][-1]) < 0.5


def test_close_ends_a_read_that_waits(serve: Callable[..., Server]) -> None:
    server = serve("mjpeg")
    camera = open_camera(server.address, timeout_s=STALL_TIMEOUT_S)
    ended_s: list[float] = []

    def drain() -> None:
        for _ in camera:
            pass
        ended_s.append(time.monotonic())

    reader = threading.Thread(target=drain)
    reader.start()
    server.freeze()
    time.sleep(0.5)
    asked_s = time.monotonic()
    camera.close()
    assert time.monotonic() - asked_s < STALL_TIMEOUT_S + 0.5
    reader.join(5)
    assert ended_s[0] - asked_s < 0.3


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
@pytest.mark.parametrize("listening", [True, False], ids=["silent", "refusing"])
def test_a_camera_that_does_not_open_is_refused_in_time(
    scheme: str, listening: bool, silent_address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    host = silent_address if listening else f"127.0.0.1:{free_port()}"
    began_s = time.monotonic()
    with pytest.raises(SemedgeError) as caught:
        open_camera(f"{scheme}://me:secret@{host}/line", timeout_s=1.0)
    assert time.monotonic() - began_s < 1.7
    assert f" {scheme}://{host}/line " in str(caught.value)
    reason = " 1 s;" if listening else "nothing listens there: connection refused"
    assert reason in str(caught.value)
    assert listening or time.monotonic() - began_s < 0.7
    assert "secret" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("source", ["99", "/dev/video99", "99999999999"])
def test_a_device_that_is_not_there_is_refused_in_time(
    source: str, capfd: pytest.CaptureFixture[str]
) -> None:
    began_s = time.monotonic()
    with pytest.raises(SemedgeError, match=rf" {source} .* 0\.5 s\b"):
        open_camera(source, timeout_s=0.5)
    assert time.monotonic() - began_s < 1.2
    assert capfd.readouterr() == ("", "")


def test_attempts_to_open_grow_rare() -> None:
    """Half a second, one, two: with jitter, three or four attempts in three seconds."""
    attempts = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        def give_up() -> None:
            with pytest.raises(SemedgeError):
                open_camera(address, timeout_s=3.0)

        opening = threading.Thread(target=give_up)
        opening.start()
        while opening.is_alive():
            try:
                listener.accept()[0].close()
                attempts += 1
            except TimeoutError:
                continue
        opening.join()
    assert attempts in (3, 4)


def test_a_password_opens_the_camera_and_is_never_shown(
    serve: Callable[..., Server], capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve("mjpeg", "me:secret")
    with open_camera(server.address, timeout_s=OPEN_TIMEOUT_S) as camera:
        assert next(camera).source == camera.source == f"http://127.0.0.1:{server.port}/"
    with pytest.raises(SemedgeError) as caught:
        open_camera(server.address.replace("secret", "guess"), timeout_s=1.0)
    assert "guess" not in str(caught.value)
    assert "refused user or password: the camera answered 401" in str(caught.value)
    with pytest.raises(SemedgeError, match=r"# as %23, / as %2F"):
        open_camera(server.address.replace("secret", "1#se?cret"), timeout_s=1.0)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("0", "0"),
        ("rtsp://host:554/a", "rtsp://host:554/a"),
        ("rtsp://me:secret@host:554/a", "rtsp://host:554/a"),
        ("rtsp://secret@host/a", "rtsp://host/a"),
        ("rtsp://me:sec@ret@host/a", "rtsp://host/a"),
        ("rtsp://me:sec/ret@host/a", "rtsp://host/a"),
        ("rtsp://me:sec#ret@host/a", "rtsp://host/a"),
        ("rtsp://me:secret@[::1]:554/a", "rtsp://[::1]:554/a"),
        ("rtsp://[::1]:554/a@b", "rtsp://[::1]:554/a@b"),
        ("http://host/a@b.mjpg", "http://host/a@b.mjpg"),
        ("http://host:80/?user=me&pwd=secret", "http://host:80/?user=***&pwd=***"),
        ("http://host/?Password=secret&size=2", "http://host/?Password=***&size=2"),
        ("http://host/?token=secret", "http://host/?token=***"),
        ("rtsp://me:12345#Secret@10.0.0.5/live", "rtsp://10.0.0.5/live"),
        ("rtsp://me:#Secret@10.0.0.5/live", "rtsp://10.0.0.5/live"),
        ("rtsp://me:2024/Line7@10.0.0.5:554/ch1", "rtsp://10.0.0.5:554/ch1"),
        ("rtsp://me:99?Pw@10.0.0.5/live", "rtsp://10.0.0.5/live"),
        ("rtsp://me:p@ss/w?o#rd@10.0.0.5/live", "rtsp://10.0.0.5/live"),
        ("http://host/cgi?user=me&loginpas=Secret", "http://host/cgi?user=***&loginpas=***"),
        ("http://host/axis?access_token=Secret", "http://host/axis?access_token=***"),
        ("http://host/x?apikey=Se&api_key=Secret", "http://host/x?apikey=***&api_key=***"),
        ("rtsp://10.0.0.5/user=me_password=Secret_channel=1.sdp", "rtsp://10.0.0.5/user=***"),
        ("http://host/live;password=Secret", "http://host/live;password=***"),
        ("http://host/live?size=640x480&fps=5", "http://host/live?size=640x480&fps=5"),
    ],
)
def test_an_address_is_shown_without_its_secret(address: str, shown: str) -> None:
    assert redact(address) == shown


def test_an_rtsp_camera_says_why_it_gives_no_stream(serve: Callable[..., Server]) -> None:
    server = serve("rtsp", "me:secret")
    with open_camera(server.address, timeout_s=OPEN_TIMEOUT_S) as camera:
        assert next(camera).image.any()
    for address, answer in (
        (server.address.replace("secret", "guess"), "refused user or password.* 401"),
        (server.address.replace("/line", "/lane"), "no stream at this path.* 404"),
    ):
        began_s = time.monotonic()
        with pytest.raises(SemedgeError, match=answer) as caught:
            open_camera(address, timeout_s=OPEN_TIMEOUT_S)
        assert time.monotonic() - began_s < 2.0
        assert "guess" not in str(caught.value)


@pytest.fixture(params=["PyAV", "OpenCV"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What RTSP is decoded by."""
    if request.param == "OpenCV":
        monkeypatch.setattr(rtsp_stream, "is_available", lambda: False)
    else:
        pytest.importorskip("av", reason="PyAV is not installed: pip install av")
    return str(request.param)


def truth(image: GrayImage) -> NDArray[np.float32]:
    """The picture that was drawn at the time which a picture shows."""
    now_s = time.time()
    drawn_s = now_s - age_s(image[:HEIGHT_PX].tolist(), now_s)
    drawn = np.frombuffer(draw_waves(drawn_s), np.uint8).reshape(2 * HEIGHT_PX, WIDTH_PX)
    # GStreamer sends gray values as they are, and decoders take 16 for black and 235 for white.
    return np.clip((drawn.astype(np.float32) - 16) * 255 / 219, 0, 255)


def worst_square(image: GrayImage) -> float:
    """Largest mean difference from the truth of a square of 16 pixels."""
    difference = np.abs(image.astype(np.float32) - truth(image))[HEIGHT_PX:]
    return float(difference.reshape(HEIGHT_PX // 16, 16, WIDTH_PX // 16, 16).mean((1, 3)).max())


@pytest.mark.fault(Fault.LOSSY_STREAM)
@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_frames_that_lost_packets_are_lost_and_not_shown(
    serve: Callable[..., Server],
    decoder: str,
    loss: float,
    record_property: Callable[[str, object], None],
) -> None:
    server = serve("rtsp", folder="waves")
    frames: list[Frame] = []
    with lossy_proxy(server.port, loss) as port:
        address = f"rtsp://127.0.0.1:{port}/line"
        with open_camera(address, timeout_s=OPEN_TIMEOUT_S) as camera:
            ends_s = time.monotonic() + 8
            while time.monotonic() < ends_s:
                frames.append(next(camera))
            lost = camera.lost
    damaged = sum(worst_square(frame.image) > DAMAGED for frame in frames)
    name = f"{decoder}, packets lost {loss:.0%}"
    record_property(name, f"{damaged} of {len(frames)} frames damaged, {lost} lost")
    ages_s = [age_s(frame.image[:HEIGHT_PX].tolist(), frame.captured_at_s) for frame in frames]
    record_property(f"{name}, median age", f"{statistics.median(ages_s):.3f} s")
    assert len(frames) > 20
    if loss == 0:
        assert damaged == 0
    elif decoder == "PyAV":
        assert damaged == 0
        assert lost > 10
    else:
        assert damaged > 0, "where OpenCV sees damage, PyAV is not needed any more"


def test_without_pyav_a_camera_also_says_why(serve: Callable[..., Server], decoder: str) -> None:
    server = serve("rtsp", "me:secret")
    began_s = time.monotonic()
    with pytest.raises(SemedgeError, match="401"):
        open_camera(server.address.replace("secret", "guess"), timeout_s=OPEN_TIMEOUT_S)
    assert time.monotonic() - began_s < 2.0


def test_a_camera_that_sends_over_udp_alone_is_read(serve: Callable[..., Server]) -> None:
    server = serve("rtsp", folder="udp")
    began_s = time.monotonic()
    with open_camera(server.address, timeout_s=OPEN_TIMEOUT_S) as camera:
        assert next(camera).image.any()
        assert time.monotonic() - began_s < 5
