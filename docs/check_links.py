"""Follow every link inside the built pages: `python docs/check_links.py FOLDER` exits with 1 if one leads nowhere."""

import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, SoupStrainer


@cache
def elements(page):
    """Return what a page links to, and the anchors that it has."""
    found = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser", parse_only=SoupStrainer(True))
    links = {tag[name] for name in ("href", "src") for tag in found.find_all(attrs={name: True})}
    return links, {tag["id"] for tag in found.find_all(id=True)}


def broken(page):
    """Yield the links of a page that lead nowhere; those to other sites are not followed."""
    for link in elements(page)[0]:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        anchor = unquote(parts.fragment)
        if not target.is_file() or (anchor and target.suffix == ".html" and anchor not in elements(target)[1]):
            yield link


def main(folder):
    """Look at every page of a folder."""
    pages = sorted(folder.resolve().rglob("*.html"))
    wrong = [f"{page.relative_to(folder.resolve())}: {link}" for page in pages for link in sorted(broken(page))]
    told = "\n".join(wrong) or f"{len(pages)} pages: every link inside them leads somewhere."
    sys.stdout.write(f"{told}\n")
    return bool(wrong) or not pages


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
