"""Subtitles for tests: files, and tracks inside clips."""

import struct
from fractions import Fraction

import av

ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\nStyle: Default,Arial,20\n\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)


def srt(*lines):
    """A SubRip file that says a line a second."""
    cues = (f"{n + 1}\n00:00:{n:02},000 --> 00:00:{n:02},900\n{line}\n" for n, line in enumerate(lines))
    return "\n".join(cues)


def with_track(clip, text, *, language="eng"):
    """Put subtitles into a Matroska clip, beside its pictures."""
    side, source = clip.with_suffix(".draft.srt"), clip.with_suffix(".draft.mkv")
    side.write_text(text)
    clip.rename(source)
    with av.open(str(source)) as pictures, av.open(str(side)) as said, av.open(str(clip), "w") as container:
        streams = [
            (one, one.streams[0], container.add_stream_from_template(one.streams[0])) for one in (pictures, said)
        ]
        streams[1][2].metadata["language"] = language
        packets = [
            (packet, target) for given, stream, target in streams for packet in given.demux(stream) if packet.size
        ]
        for packet, target in sorted(packets, key=lambda one: (one[0].dts or 0) * one[0].time_base):
            packet.stream = target
            container.mux(packet)
    side.unlink()
    source.unlink()
    return clip


def embed_mov_text(path, texts):
    """An MP4 file with nothing but a track of text."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mov_text")
        stream.codec_context.subtitle_header = ASS_HEADER
        stream.time_base = Fraction(1, 1000)
        for place, text in enumerate(texts):
            packet = av.Packet(struct.pack(">H", len(text.encode())) + text.encode())
            packet.pts = packet.dts = 1000 * place
            packet.duration, packet.time_base, packet.stream = 1000, Fraction(1, 1000), stream
            container.mux(packet)
    return path
