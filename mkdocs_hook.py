"""What MkDocs does not know of the manual: links to files outside docs/, and marks of commands.

A hook of mkdocs.yml. Each file outside docs/ that a page links to becomes a page or a file of the
site, so that a link leads to the same text here as in the repository, and one that leads nowhere
fails `make docs`. The second word after a block's fence, such as `sh hardware`, is for the tests
(tests/documented.py), and is removed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parent
OUTSIDE = "repository"
"""The folder of the site for files from outside docs/."""
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
EXTERNAL = re.compile(r"[a-z]+:")
MARKED_FENCE = re.compile(r"^( *```[a-z]+) [a-z]+$", re.MULTILINE)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add every file outside docs/ that pages, or those files themselves, link to."""
    open_pages = [
        (f"docs/{each.src_uri}", each.content_string) for each in files.documentation_pages()
    ]
    seen: set[str] = set()
    while open_pages:
        page, text = open_pages.pop()
        for match in LINK.finditer(text):
            path = target(page, match[1])
            if path is None or path in seen or path.startswith("docs/"):
                continue
            seen.add(path)
            file = ROOT / path
            if not file.is_file():
                continue
            if file.suffix == ".md":
                content = file.read_text(encoding="utf-8")
                open_pages.append((path, content))
                added = File.generated(config, in_site(path), content=content)
                added.inclusion = InclusionLevel.NOT_IN_NAV
            else:
                added = File.generated(config, in_site(path), abs_src_path=str(file))
            files.append(added)
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Lead links to the files that `on_files` added, and remove the marks of blocks."""
    here = in_repository(page.file.src_uri)

    def led(match: re.Match[str]) -> str:
        path = target(here, match[1])
        if path is None or not (ROOT / path).is_file():
            return match[0]
        relative = os.path.relpath(in_site(path), PurePosixPath(page.file.src_uri).parent)
        return f"{relative}{match[2] or ''}"

    return LINK.sub(led, MARKED_FENCE.sub(r"\1", markdown))


def target(page: str, link: str) -> str | None:
    """The file of the repository that a page's link names; None for an address."""
    if EXTERNAL.match(link):
        return None
    return os.path.normpath(PurePosixPath(page).parent / link)


def in_site(path: str) -> str:
    """Where a file of the repository is in the site."""
    inside = path.removeprefix("docs/")
    return inside if inside != path else f"{OUTSIDE}/{path}"


def in_repository(uri: str) -> str:
    """The file of the repository that a page of the site was made of."""
    outside = uri.removeprefix(f"{OUTSIDE}/")
    return outside if outside != uri else f"docs/{uri}"
