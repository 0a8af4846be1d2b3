"""Renders the Helm chart without Helm: the part of Go's templates that the chart keeps to, and nothing else.

What it does not know it refuses, so that a template cannot outgrow it unseen. `by_go` renders with the real engine and the
function library of Helm where Go is installed (`apt-get install golang-go golang-github-masterminds-sprig-dev`); a test holds
the two to the same text.
"""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import yaml

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "kinema"
_ACTION = re.compile(r"\{\{(-)?\s*(.*?)\s*(-)?\}\}", re.DOTALL)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\(|\)|\||[^\s()|"]+')


class ChartError(Exception):
    """The chart says that its values cannot be."""


def merged(base, over):
    """Values of one file over another's, as Helm does it."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return {**base, **{name: merged(base.get(name), value) for name, value in over.items()}}


def context(*files, **values):
    """What templates see: values of files over the chart's own, and of the caller over those."""
    told = {}
    for name in ("values.yaml", *files):
        told = merged(told, yaml.safe_load((CHART / name).read_text()))
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    return {
        "Values": merged(told, values),
        "Release": {"Name": "shop", "Namespace": "prod", "Service": "Helm"},
        "Chart": {"Name": chart["name"], "AppVersion": chart["appVersion"]},
    }


def by_subset(top):
    """File name -> text of every template, by the renderer below."""
    defined = {}
    for path in sorted((CHART / "templates").glob("*.tpl")):
        Renderer(defined).render(path.read_text(), top)
    return {
        path.name: Renderer(defined).render(path.read_text(), top)
        for path in sorted((CHART / "templates").iterdir())
        if path.suffix != ".tpl"
    }


def by_go(top):
    """The same by Go's engine."""
    environment = os.environ | {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""}
    words = ["go", "run", str(Path(__file__).parent / "render_chart.go"), str(CHART / "templates")]
    done = subprocess.run(words, input=json.dumps(top), env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ChartError(done.stderr)
    return json.loads(done.stdout)


class Renderer:
    """Text and actions, one after the other; blocks call it again."""

    def __init__(self, defined):
        self.defined = defined

    def render(self, text, dot):
        self.parts = self._split(text)
        self.place = 0
        return self._block(dot, dot, live=True)[0]

    def _split(self, text):
        parts, end, trim = [], 0, False
        for found in _ACTION.finditer(text):
            piece = text[end : found.start()]
            piece = piece.lstrip() if trim else piece
            parts.append(("text", piece.rstrip() if found[1] else piece))
            parts.append(("action", found[2]))
            end, trim = found.end(), bool(found[3])
        piece = text[end:]
        return [*parts, ("text", piece.lstrip() if trim else piece)]

    def _block(self, dot, top, *, live):
        """Render up to the `else` or `end` that closes the block; the text and what closed it."""
        out = []
        while self.place < len(self.parts):
            kind, text = self.parts[self.place]
            self.place += 1
            if kind == "text":
                out.append(text)
                continue
            word, _, rest = text.partition(" ")
            if word in {"end", "else"}:
                return "".join(out) if live else "", text
            if word == "if":
                out.append(self._if(rest, dot, top, live=live))
            elif word in {"with", "range"}:
                out.append(self._each(word, rest, dot, top, live=live))
            elif word == "define":
                start = self.place
                self._block(dot, top, live=False)
                self.defined[json.loads(rest)] = self.parts[start : self.place - 1]
            elif live:
                out.append(told(self._value(text, dot, top)))
        return "".join(out), ""

    def _if(self, condition, dot, top, *, live):
        yes = live and bool(self._value(condition, dot, top))
        text, closed = self._block(dot, top, live=yes)
        if closed == "else":
            other, closed = self._block(dot, top, live=live and not yes)
            text = text if yes else other
        assert closed == "end", f"not known: {closed}"
        return text if live else ""

    def _each(self, word, of, dot, top, *, live):
        found = self._value(of, dot, top) if live else None
        rows = (found or []) if word == "range" else [found] if found else []
        start, text = self.place, ""
        for row in rows:
            self.place = start
            text += self._block(row, top, live=True)[0]
        if not rows:
            _, closed = self._block(dot, top, live=False)
            assert closed == "end", f"not known: {closed}"
        return text

    def _value(self, text, dot, top):
        words = _WORD.findall(text)
        value, rest = self._pipeline(words, dot, top)
        assert not rest, f"not known: {text}"
        return value

    def _pipeline(self, words, dot, top):
        last, is_first = None, True
        while True:
            arguments = []
            while words and words[0] not in {"|", ")"}:
                argument, words = self._term(words, dot, top)
                arguments.append(argument)
            if not is_first:
                arguments.append(last)
            last = arguments[0] if not callable(arguments[0]) else arguments[0](*arguments[1:])
            is_first = False
            if not words or words[0] == ")":
                return last, words
            words = words[1:]

    def _term(self, words, dot, top):
        word, rest = words[0], words[1:]
        if word == "(":
            value, rest = self._pipeline(rest, dot, top)
            return value, rest[1:]
        if word.startswith('"'):
            return json.loads(word), rest
        if word.isdigit():
            return int(word), rest
        if word.startswith("."):
            value = dot
            for name in filter(None, word.split(".")):
                value = value[name]
            return value, rest
        if word == "include":
            return self._included, rest
        return FUNCTIONS[word], rest

    def _included(self, name, given):
        inner = Renderer(self.defined)
        inner.parts, inner.place = self.defined[name], 0
        return inner._block(given, given, live=True)[0]


def told(value):
    """A value as text, as Go writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def indented(width, text):
    return "\n".join(" " * width + line for line in str(text).split("\n"))


def failed(message):
    raise ChartError(message)


FUNCTIONS = {
    "quote": lambda value: json.dumps(told(value), ensure_ascii=False),
    "default": lambda other, value=None: value or other,
    "nindent": lambda width, text: "\n" + indented(width, text),
    "trunc": lambda size, text: text[:size],
    "trimSuffix": lambda end, text: text.removesuffix(end),
    "toYaml": lambda value: yaml.safe_dump(value, default_flow_style=False).rstrip(),
    "sha256sum": lambda text: hashlib.sha256(text.encode()).hexdigest(),
    "required": lambda message, value=None: value or failed(message),
    "fail": failed,
    "not": lambda value: not value,
    "and": lambda *values: next((one for one in values if not one), values[-1]),
    "or": lambda *values: next((one for one in values if one), values[-1]),
    "gt": lambda first, second: first > second,
    "int": int,
}
