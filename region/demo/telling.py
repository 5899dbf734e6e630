"""How the story looks: numbered steps, progress of the ten sites, requests that the reader can send again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.text import Text


class Teller:
    """Prints the story and leaves its requests in a folder.

    Args:
        folder: made when absent.
        mllp: host and port, for the commands shown.
    """

    def __init__(self, console: Console, folder: Path, mllp: tuple[str, int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._console = console
        self._folder = folder
        self._mllp = mllp
        self._step = 0

    def open(self, text: str) -> None:
        """The opening words."""
        self._console.print(Panel(text, title="Trait d'Union"))

    def step(self, title: str, remark: str = "") -> None:
        """The head of the next step."""
        self._step += 1
        self._console.print()
        self._console.rule(f"[bold]{self._step}. {title}[/]{f'  [dim]{remark}[/]' if remark else ''}", align="left")

    def say(self, what: RenderableType) -> None:
        """A sentence, with rich markup, or a table."""
        self._console.print(what, highlight=False)

    @contextmanager
    def progress(self, totals: Mapping[str, int]) -> Iterator[Callable[[str], None]]:
        """A bar for each site; the block gets the function to call with a site for each thing done."""
        columns = (TextColumn("{task.description:<11}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as bars:
            tasks = {site: bars.add_task(site, total=total) for site, total in totals.items()}
            yield lambda site: bars.advance(tasks[site])

    def leave(self, name: str, content: bytes) -> Path:
        """Write a request to the folder."""
        path = self._folder / name
        path.write_bytes(content)
        return path

    def show_hl7(self, name: str, message: bytes, remark: str = "", *, codec: str = "utf-8") -> None:
        """A message, and how to send it again.

        Args:
            codec: that the message is encoded with.
        """
        host, port = self._mllp
        path = self.leave(name, message)
        command = f"{{ printf '\\013'; cat {path}; printf '\\034\\015'; }} | nc {host} {port}"
        text = message.decode(codec).replace("\r", "\n").rstrip()
        self._show(Group(Text(text), _shell(command)), remark)

    def show_soap(self, name: str, message: bytes, content_type: str, endpoint: str, remark: str = "") -> None:
        """How to send a SOAP message again; the message itself is in the folder."""
        path = self.leave(name, message)
        self.show_command(f"curl -s -H 'Content-Type: {content_type}' --data-binary @{path} {endpoint}", remark)

    def show_post(self, url: str, body: Mapping[str, Any]) -> None:
        """A JSON request as a command."""
        text = json.dumps(body, ensure_ascii=False)
        self.show_command(f"curl -s -H 'Content-Type: application/json' -d '{text}' {url}")

    def show_command(self, command: str, remark: str = "") -> None:
        """A command that repeats the step."""
        self._show(_shell(command), remark)

    def _show(self, content: RenderableType, remark: str) -> None:
        self._console.print(Panel(content, subtitle=remark or None, subtitle_align="right", border_style="dim"))


def _shell(command: str) -> Syntax:
    return Syntax(command, "bash", word_wrap=True, background_color="default")
