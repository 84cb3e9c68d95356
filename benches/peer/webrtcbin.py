#!/usr/bin/python3
"""A door by GStreamer's webrtcbin: what the station is measured against.

Speaks the same lines as `examples/bench_door.rs`: orders on standard input, replies on
standard output, one JSON object each.

    {"do": "offer"}                     -> {"offer": SDP}
    {"do": "answer", "sdp": SDP}        -> {"applied": true}, later {"connected": true}
    {"do": "end"}                       -> {"ended": true}
    {"do": "cost"}                      -> {"cost": SECONDS of processor time that its drawing
                                            of the picture takes in a second}
    {"do": "quit"}

It has what a good peer has: everything is warm before the first call (the pipeline of
camera and microphone runs, each plug-in was loaded by a call with itself), lost packets
of the picture are sent again (do-nack), key frames come on request, and its jitter buffer
is 50 ms, not the 200 of the default. The picture is the station's test picture, and
the encoders have the station's settings. The sound card's FIFOs are read and written
directly, which costs less than ALSA does.

Needs: python3-gi gir1.2-gst-plugins-bad-1.0 gir1.2-gst-plugins-base-1.0
gstreamer1.0-nice gstreamer1.0-plugins-{good,bad,ugly}
"""

import argparse
import json
import os
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstVideo", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstVideo, GstWebRTC  # noqa: E402

WIDTH, HEIGHT, FPS = 1280, 720, 30
JITTER_MS = 50
ENCODERS = {
    "h264": "x264enc name=encoder tune=zerolatency speed-preset=ultrafast bframes=0 "
    "threads={threads} key-int-max=9000 bitrate=1500 vbv-buf-capacity=300 "
    "! video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au "
    "! rtph264pay aggregate-mode=zero-latency config-interval=-1 mtu=1200 "
    "! application/x-rtp,media=video,encoding-name=H264,payload=102,clock-rate=90000,"
    "packetization-mode=(string)1,profile-level-id=(string)42e01f",
    "vp8": "vp8enc name=encoder deadline=1 cpu-used=-16 threads={threads} end-usage=cbr "
    "target-bitrate=1500000 keyframe-max-dist=9000 error-resilient=default "
    "static-threshold=1 max-intra-bitrate=600 min-quantizer=2 max-quantizer=56 "
    "undershoot=95 buffer-initial-size=300 buffer-optimal-size=400 buffer-size=600 "
    "! rtpvp8pay picture-id-mode=15-bit mtu=1200 "
    "! application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000",
}


class Picture:
    """The station's test picture (src/media/gst/clock_picture.rs), as bytes of I420."""

    GLYPHS = (0b111101101101111, 0b010110010010111, 0b111001111100111, 0b111001111001111,
              0b101101111001001, 0b111100111001111, 0b111100111101111, 0b111001001001001,
              0b111101111101111, 0b111101111001111, 0b000010000010000)

    def __init__(self):
        rows = (bytes([40 + 70 * row // HEIGHT]) * WIDTH for row in range(HEIGHT))
        self.background = b"".join(rows)
        half = WIDTH // 2 * (HEIGHT // 2)
        self.chroma = bytes([142]) * half + bytes([122]) * half
        self.second, self.dusk, self.count = None, None, 0
        self.bits = [bytes([16]) * 32, bytes([235]) * 32]

    def fill(self, picture, x, y, width, height, value, base=0, stride=WIDTH):
        line = bytes([value]) * width
        for row in range(y, y + height):
            at = base + row * stride + x
            picture[at:at + width] = line

    def digits(self, now):
        picture = bytearray(self.background + self.chroma)
        text = time.strftime("%H:%M:%S", time.gmtime(now))
        for index, letter in enumerate(text):
            glyph = self.GLYPHS[10 if letter == ":" else int(letter)]
            for dot in range(15):
                if glyph >> (14 - dot) & 1:
                    x = 384 + index * 64 + dot % 3 * 16
                    self.fill(picture, x, 320 + dot // 3 * 16, 16, 16, 235)
        self.fill(picture, 48, 48, 800, 64, 126)
        quarter = WIDTH // 2
        for base in (WIDTH * HEIGHT, WIDTH * HEIGHT * 5 // 4):
            self.fill(picture, 24, 24, 400, 32, 128, base, quarter)
        return picture

    def draw(self):
        now = time.time()
        if self.second != int(now):
            self.second, self.dusk = int(now), self.digits(now)
        picture = bytearray(self.dusk)
        way = 2 * (WIDTH - 128)
        place = self.count * 8 % way
        x, y = min(place, way - place) & ~1, 592
        self.count += 1
        self.fill(picture, x, y, 128, 64, 190)
        for base, colour in ((WIDTH * HEIGHT, 100), (WIDTH * HEIGHT * 5 // 4, 170)):
            self.fill(picture, x // 2, y // 2, 64, 32, colour, base, WIDTH // 2)
        value = int(time.time() * 1000) & 0xFFFFFF
        line = b"".join(self.bits[value >> (23 - bit) & 1] for bit in range(24))
        for row in range(64, 96):
            at = row * WIDTH + 64
            picture[at:at + len(line)] = line
        return bytes(picture)


def say(**reply):
    print(json.dumps(reply), flush=True)


class Door:
    def __init__(self, options):
        self.options = options
        self.call = None
        self.picture = Picture()
        encoder = ENCODERS[options.codec].format(threads=2 if options.cores >= 4 else 1)
        self.pipeline = Gst.parse_launch(
            f"appsrc name=camera is-live=true format=time do-timestamp=true "
            f"caps=video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={FPS}/1 "
            f"! queue max-size-buffers=1 leaky=downstream ! {encoder} "
            f"! tee name=pictures allow-not-linked=true "
            f"appsrc name=microphone is-live=true format=time do-timestamp=true "
            f"caps=audio/x-raw,format=S16LE,rate=48000,channels=1,layout=interleaved "
            f"! queue ! opusenc bitrate=32000 audio-type=voice frame-size=20 "
            f"inband-fec=true packet-loss-percentage=5 complexity=5 "
            f"! rtpopuspay ! application/x-rtp,media=audio,encoding-name=OPUS,payload=111,"
            f"clock-rate=48000,encoding-params=(string)2 ! tee name=sounds allow-not-linked=true")
        self.microphone = self.pipeline.get_by_name("microphone")
        self.speaker = os.open(options.speaker, os.O_RDWR | os.O_NONBLOCK)
        self.camera = self.pipeline.get_by_name("camera")
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self.failed)
        self.pipeline.set_state(Gst.State.PLAYING)
        for work in (self.film, self.hear):
            threading.Thread(target=work, daemon=True).start()

    def failed(self, _, message):
        error, detail = message.parse_error()
        print(f"webrtcbin peer: {error} {detail}", file=sys.stderr, flush=True)

    def film(self):
        due = time.monotonic()
        while True:
            self.camera.emit("push-buffer", Gst.Buffer.new_wrapped(self.picture.draw()))
            due += 1 / FPS
            time.sleep(max(0, due - time.monotonic()))

    def hear(self):
        fifo = os.open(self.options.microphone, os.O_RDONLY)
        sound = b""
        # By hand: a buffered reader would read ahead, and hold back 85 ms.
        while more := os.read(fifo, 2 * 960 - len(sound)):
            sound += more
            if len(sound) == 2 * 960:
                self.microphone.emit("push-buffer", Gst.Buffer.new_wrapped(sound))
                sound = b""

    def drawing_cost(self):
        """Seconds of processor time that drawing and handing over costs in a second."""
        pipeline = Gst.parse_launch("appsrc name=camera ! fakesink sync=false")
        camera = pipeline.get_by_name("camera")
        pipeline.set_state(Gst.State.PLAYING)
        picture, before = Picture(), time.thread_time()
        for _ in range(2 * FPS):
            camera.emit("push-buffer", Gst.Buffer.new_wrapped(picture.draw()))
        cost = (time.thread_time() - before) / 2
        pipeline.set_state(Gst.State.NULL)
        return cost

    def offer(self):
        Call(self)

    def answer(self, sdp):
        self.call.answer(sdp)

    def end(self):
        if self.call:
            self.call.end()
            self.call = None
        say(ended=True)


class Call:
    """One webrtcbin, linked to the running sources."""

    def __init__(self, door):
        self.door = door
        door.call = self
        self.bin = Gst.ElementFactory.make("webrtcbin")
        self.bin.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.bin.set_property("latency", JITTER_MS)
        self.parts, self.pads, self.valves = [self.bin], [], []
        door.pipeline.add(self.bin)
        for name in ("sounds", "pictures"):
            self.link(name)
        for index in range(2):
            transceiver = self.bin.emit("get-transceiver", index)
            transceiver.set_property("do-nack", index == 1)
            both = GstWebRTC.WebRTCRTPTransceiverDirection.SENDRECV
            sends = GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY
            transceiver.set_property("direction", sends if index == 1 else both)
        self.bin.connect("pad-added", self.came)
        self.bin.connect("notify::ice-gathering-state", self.gathered)
        self.bin.connect("notify::connection-state", self.changed)
        self.bin.sync_state_with_parent()
        promise = Gst.Promise.new_with_change_func(self.offered, None)
        self.bin.emit("create-offer", None, promise)

    def link(self, name):
        tee = self.door.pipeline.get_by_name(name)
        # Shut until there is a connection: what waits till then would be sent in a burst,
        # and the far end's jitter buffer would keep it for the whole call.
        valve, queue = (Gst.ElementFactory.make(name) for name in ("valve", "queue"))
        Gst.util_set_object_arg(valve, "drop-mode", "forward-sticky-events")
        valve.set_property("drop", True)
        for part in (valve, queue):
            self.door.pipeline.add(part)
            self.parts.append(part)
        self.valves.append(valve)
        pad = tee.request_pad_simple("src_%u")
        self.pads.append((tee, pad))
        queue.get_static_pad("src").link(self.bin.request_pad_simple("sink_%u"))
        valve.link(queue)
        queue.sync_state_with_parent()
        valve.sync_state_with_parent()
        pad.link(valve.get_static_pad("sink"))

    def offered(self, promise, _):
        # The reply must outlive the offer, which is a part of it.
        reply = promise.get_reply()
        offer = reply.get_value("offer")
        self.bin.emit("set-local-description", offer, Gst.Promise.new())

    def gathered(self, bin_, _):
        if bin_.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            say(offer=bin_.get_property("local-description").sdp.as_text())

    def changed(self, bin_, _):
        state = bin_.get_property("connection-state")
        if state == GstWebRTC.WebRTCPeerConnectionState.CONNECTED:
            for valve in self.valves:
                valve.set_property("drop", False)
            # The first picture a decoder can begin with.
            event = GstVideo.video_event_new_upstream_force_key_unit(
                Gst.CLOCK_TIME_NONE, True, 0)
            self.door.pipeline.get_by_name("encoder").get_static_pad("src").send_event(event)
            say(connected=True)

    def answer(self, sdp):
        _, message = GstSdp.SDPMessage.new_from_text(sdp)
        kind = GstWebRTC.WebRTCSDPType.ANSWER
        answer = GstWebRTC.WebRTCSessionDescription.new(kind, message)
        self.bin.emit("set-remote-description", answer, Gst.Promise.new())
        say(applied=True)

    def came(self, _, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        caps = pad.get_current_caps() or pad.query_caps(None)
        if caps.get_structure(0).get_string("media") != "audio":
            text = "queue ! fakesink"
        else:
            text = ("queue ! rtpopusdepay ! opusdec use-inband-fec=true plc=true ! audioconvert "
                    "! audioresample ! audio/x-raw,format=S16LE,rate=48000,channels=1 "
                    f"! fdsink fd={self.door.speaker} sync=true async=false")
        part = Gst.parse_bin_from_description(text, True)
        self.door.pipeline.add(part)
        self.parts.append(part)
        part.sync_state_with_parent()
        pad.link(part.get_static_pad("sink"))

    def end(self):
        for tee, pad in self.pads:
            peer = pad.get_peer()
            if peer:
                pad.unlink(peer)
            tee.release_request_pad(pad)
        for part in self.parts:
            part.set_state(Gst.State.NULL)
            self.door.pipeline.remove(part)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--codec", choices=ENCODERS, default="h264")
    parser.add_argument("--microphone", required=True)
    parser.add_argument("--speaker", required=True)
    parser.add_argument("--cores", type=int, default=1)
    options = parser.parse_args()
    Gst.init(None)
    door = Door(options)
    loop = GLib.MainLoop()

    def carry_out(line):
        order = json.loads(line)
        what = order.pop("do")
        if what == "quit":
            loop.quit()
        elif what == "cost":
            say(cost=door.drawing_cost())
        else:
            getattr(door, what)(**order)
        return False

    def listen():
        for line in sys.stdin:
            GLib.idle_add(carry_out, line)
        GLib.idle_add(loop.quit)

    threading.Thread(target=listen, daemon=True).start()
    say(ready=True)
    loop.run()
    door.pipeline.set_state(Gst.State.NULL)


main()
