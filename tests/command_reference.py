"""The reference of the command line, generated from the commands' own help.

`command_reference.py` prints the page `docs/reference/command-line.md`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from semedge.cli import EDGE_COMMANDS, TRAINER_COMMANDS, cli

HEAD = """\
# The command line

`semedge COMMAND --help` shows the same in a terminal. This page is the output of
`python tests/command_reference.py`.

**Exit status**: 0 success; 1 failure (one sentence on stderr names the cause and the remedy);
2 wrong usage; 3 refused, because the data cannot support the request.

**Output**: with `--json`, a command that reports prints one JSON document to stdout. Progress and
messages go to stderr; `semedge --log json COMMAND`, or `SEMEDGE_LOG=json`, writes them as one JSON
document a line.

**Settings** of a [station file](station-file.md) are options too, of the commands that use them.
Options override the variables of the environment in the last column, and these override the file.
"""
EXTRAS = re.compile(r"^(?P<meaning>.*?)(?:  \[(?P<extras>.*)\])?$", re.DOTALL)
"""A help text, and what click adds to it: the default, the bounds, whether it is required."""
OPTIONS_HEAD = ("| option | meaning | values | variable |", "|---|---|---|---|")


def command_reference() -> str:
    """The page `docs/reference/command-line.md`."""
    parts = [HEAD]
    for title, names in (
        ("At the line", EDGE_COMMANDS),
        ("Training (extra `train`)", TRAINER_COMMANDS),
    ):
        rows = "\n".join(
            f"| [`{name}`](#semedge-{name}) | {summary} |"
            for name, summary in sorted(names.items())
        )
        parts.append(f"## {title}\n\n| command | |\n|---|---|\n{rows}\n")
    with click.Context(cli, info_name="semedge") as top:
        for name in cli.list_commands(top):
            command = cli.get_command(top, name)
            if command is not None:
                parts.extend(_command(command, click.Context(command, top, name)))
    return "\n".join(parts)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    path = context.command_path
    usage = " ".join((path, *command.collect_usage_pieces(context)))
    help_text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    yield f"## `{path}`\n\n{help_text}\n\n```text\n{usage}\n```\n"
    rows = list(_rows(command, context))
    if rows:
        yield "\n".join(
            ("| option | meaning | values | variable |", "|---|---|---|---|", *rows, "")
        )
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _command(inner, click.Context(inner, context, name))


def _rows(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        is_option = isinstance(parameter, click.Option)
        if record is None or not is_option or "--help" in parameter.opts:
            continue
        names, text = record
        match = EXTRAS.match(text)
        assert match is not None
        variable = f"`{parameter.envvar}`" if parameter.envvar else ""
        cells = (f"`{names}`", match["meaning"].strip(), match["extras"] or "", variable)
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


if __name__ == "__main__":
    print(command_reference(), end="")
