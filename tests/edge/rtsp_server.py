"""A camera that streams H.264 over RTSP, by the system's Python.

`rtsp_server.py PORT [USER:PASSWORD [udp|waves]]`; with `udp` it refuses to send over TCP (461), and
with `waves` its pictures have twice the height and move.

`rtsp_server.py` alone exits with 0 where everything it needs is installed.
"""

from __future__ import annotations

import sys
import time

import clock_picture
import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

FRAMES_A_SECOND = 25
WAVES = sys.argv[3:] == ["waves"]
CAPS = (
    f"video/x-raw,format=GRAY8,width={clock_picture.WIDTH_PX},"
    f"height={clock_picture.HEIGHT_PX * (1 + WAVES)},framerate={FRAMES_A_SECOND}/1"
)
ELEMENTS = ("appsrc", "videoconvert", "x264enc", "rtph264pay")
PIPELINE = (
    f"( appsrc name=camera is-live=true format=time do-timestamp=true caps={CAPS} ! videoconvert "
    "! video/x-raw,format=I420 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 "
    "! rtph264pay name=pay0 pt=96 )"
)


def main() -> None:
    """Serve until killed."""
    Gst.init(None)
    missing = [name for name in ELEMENTS if Gst.ElementFactory.find(name) is None]
    if missing:
        sys.exit(f"GStreamer lacks {', '.join(missing)}")
    if len(sys.argv) == 1:
        return
    server = GstRtspServer.RTSPServer(service=sys.argv[1])
    server.set_address("127.0.0.1")
    factory = GstRtspServer.RTSPMediaFactory(launch=PIPELINE, shared=True)
    factory.connect("media-configure", configure)
    if sys.argv[3:] == ["udp"]:
        factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
    if len(sys.argv) > 2 and sys.argv[2]:
        protect(server, factory, *sys.argv[2].split(":"))
    server.get_mount_points().add_factory("/line", factory)
    server.attach(None)
    GLib.MainLoop().run()


def protect(
    server: GstRtspServer.RTSPServer,
    factory: GstRtspServer.RTSPMediaFactory,
    user: str,
    password: str,
) -> None:
    """Let only this user in, by Digest."""
    permissions = GstRtspServer.RTSPPermissions()
    for right in ("access", "construct"):
        permissions.add_permission_for_role("viewer", f"media.factory.{right}", True)
    factory.set_permissions(permissions)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest(user, password, token)
    server.set_auth(auth)


def configure(factory: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
    """Feed the pictures of a client's pipeline."""
    source = media.get_element().get_by_name("camera")

    def push() -> bool:
        draw = clock_picture.draw_waves if WAVES else clock_picture.draw
        picture = Gst.Buffer.new_wrapped(draw(time.time()))
        return bool(source.emit("push-buffer", picture) == Gst.FlowReturn.OK)

    GLib.timeout_add(1000 // FRAMES_A_SECOND, push)


if __name__ == "__main__":
    main()
