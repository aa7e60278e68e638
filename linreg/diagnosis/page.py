"""A diagnosis as one page that needs nothing else: no scripts, no fonts, no pictures from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from linreg.diagnosis import evidence, pictures, words
from linreg.diagnosis.code import scripts
from linreg.diagnosis.svg import escaped
from linreg.whole_files import file_path, write_text

if TYPE_CHECKING:
    from linreg.diagnosis.diagnosis import Diagnosis
    from linreg.diagnosis.findings import Finding

NAMES = {"python": "In Python, with X and y as they were given", "keras": "In tf.keras"}

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --page: #ffffff; --box: #f4f6f8; --rule: #d5dae0;
  --good: #00734f; --bad: #b3400a; --s0: #b3400a; --s1: #0072b2; --s2: #009e73; --s3: #b0558a; --s4: #8a6a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa5b1; --page: #14171b; --box: #1e2329;
  --rule: #39414a; --good: #3ecf9d; --bad: #ff9a5c; --s0: #ff8a4c; --s1: #56b4e9; --s2: #2fc598; --s3: #e08fbe;
  --s4: #e6b800; } }
body { margin: 0 auto; max-width: 50rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; } h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p { margin: .4rem 0; } .good { color: var(--good); } .bad { color: var(--bad); }
.quiet { color: var(--soft); font-size: .9rem; }
.answer { background: var(--box); border-left: 4px solid var(--s1); padding: .6rem 1rem; margin: 1rem 0; }
.answer dt { font-weight: 600; } .answer dd { margin: 0 0 .5rem; }
table { border-collapse: collapse; table-layout: fixed; width: 100%; font-size: .9rem; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-top: 1px solid var(--rule); }
.evidence th:first-child { width: 35%; }
.remedies th:nth-child(2) { width: 13rem; } .remedies th:nth-child(3) { width: 11rem; }
td.code { border: 0; padding-top: 0; }
pre { overflow-x: auto; background: var(--box); padding: .6rem; margin: .3rem 0; }
summary { cursor: pointer; color: var(--soft); }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; list-style: none; padding: 0; margin: .3rem 0;
  font-size: .85rem; }
.key { display: inline-block; width: 1.4rem; border-top: 3px solid; margin-right: .4rem; vertical-align: middle; }
svg { display: block; width: 100%; height: auto; font: 11.5px system-ui, sans-serif; fill: var(--ink); }
svg .axis { fill: var(--soft); } svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .grid { stroke: var(--rule); stroke-width: 1; } svg .stable { fill: var(--s2); opacity: .14; }
svg .dashed { stroke-dasharray: 6 4; } .key.dashed { border-top-style: dashed; }
.key.round { width: 0; border-width: 5px; border-style: solid; border-radius: 50%; }
svg .thin { stroke-width: 1; } svg .dot { stroke: none; } svg .faint { opacity: .55; }
svg .named { paint-order: stroke; stroke: var(--page); stroke-width: 4px; }
svg .cell { stroke: var(--page); } svg .oncell { fill: #111; } svg .oncell.dark { fill: #fff; }
.s0 { --own: var(--s0); } .s1 { --own: var(--s1); } .s2 { --own: var(--s2); } .s3 { --own: var(--s3); }
.s4 { --own: var(--s4); } .soft { --own: var(--soft); }
.key { border-color: var(--own); } svg .line { stroke: var(--own); } svg .dot { fill: var(--own); }
svg .line.grid { stroke: var(--rule); }
"""


def write(diagnosis: Diagnosis, path: str | os.PathLike[str], title: str) -> Path:
    """Write the page to a file, whole or not at all: under a temporary name first, then renamed.

    Parameters
    ----------
    diagnosis : Diagnosis
        The diagnosis.
    path : path
        The file.
    title : str
        What was diagnosed.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OSError
        If the folder is missing or the file cannot be written.
    """
    text = html(diagnosis, title)
    return write_text(page_path(path), text)


def page_path(path: str | os.PathLike[str]) -> Path:
    """Check, before any work is done, that a page can go to this path.

    Parameters
    ----------
    path : path
        Where the page is wanted.

    Returns
    -------
    pathlib.Path
        The same path.

    Raises
    ------
    FileNotFoundError
        If the folder is missing.
    IsADirectoryError
        If it is a folder itself.
    """
    return file_path(path, "report.html")


def html(diagnosis: Diagnosis, title: str) -> str:
    """Return the page.

    Parameters
    ----------
    diagnosis : Diagnosis
        The diagnosis.
    title : str
        What was diagnosed.

    Returns
    -------
    str
        HTML that loads nothing.
    """
    role = "good" if diagnosis.verdict == "converges" else "bad"
    numbers = words.loss_in_numbers(diagnosis)
    top = [
        f'<p class="quiet">{escaped(title)}</p>',
        f'<h1 class="{role}">{words.VERDICTS[diagnosis.verdict]}</h1>',
        f"<p>{escaped(numbers[:1].upper() + numbers[1:])}</p>" if numbers else "",
    ]
    parts = [*top, *_run(diagnosis), *_answer(diagnosis), *_notes(diagnosis), *pictures.pictures(diagnosis)]
    if diagnosis.findings:
        parts.append("<h2>Every finding, with its evidence and what was tried</h2>")
    for number, finding in enumerate(diagnosis.findings, start=1):
        parts += _finding(diagnosis, finding, number)
    return framed(title, parts)


def framed(title: str, parts: Iterable[str]) -> str:
    """Return a page that loads nothing.

    Parameters
    ----------
    title : str
        Its title, as text.
    parts : iterable of str
        What is on it, as HTML.

    Returns
    -------
    str
        The page.
    """
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escaped(title)}</title>\n<style>{STYLE}</style></head><body>"
    )
    return "\n".join([head, *parts, "</body></html>\n"])


def _run(diagnosis: Diagnosis) -> Iterator[str]:
    if diagnosis.case is not None:
        yield f'<p class="quiet">{escaped(words.run_sentence(diagnosis.case))}</p>'


def _answer(diagnosis: Diagnosis) -> Iterator[str]:
    """Yield verdict, main cause, proof and what to change."""
    for line in words.without_findings(diagnosis):
        yield f"<p>{escaped(line)}</p>"
    if not diagnosis.findings:
        return
    yield '<dl class="answer">'
    for label, text in words.answer(diagnosis):
        yield (f"<dt>{escaped(label)}</dt>" if label else "") + f"<dd>{escaped(text)}</dd>"
    yield "</dl>"


def _notes(diagnosis: Diagnosis) -> Iterator[str]:
    for note in diagnosis.notes:
        yield f'<p class="quiet">{escaped(note)}</p>'


def _finding(diagnosis: Diagnosis, finding: Finding, number: int) -> Iterator[str]:
    yield f"<h3>{number}. {escaped(words.name_of(finding))}</h3><p>{escaped(finding.explanation)}</p>"
    if finding.evidence:
        yield '<table class="evidence"><tr><th>Evidence</th><th></th></tr>'
        for name, found in finding.evidence.items():
            yield f"<tr><td>{escaped(evidence.label(name, found))}</td><td>{escaped(evidence.shown(found))}</td></tr>"
        yield "</table>"
    if diagnosis.case is None:
        yield f"<ul>{''.join(f'<li>{escaped(remedy.words)}</li>' for remedy in finding.remedies)}</ul>"
    elif finding.remedies:
        yield '<table class="remedies"><tr><th>Remedy</th><th>Verdict</th><th>Loss at the end</th></tr>'
        before = diagnosis.before(finding)
        for remedy in finding.remedies:
            verdicts, losses = (text.replace("->", "→") for text in words.before_and_after(before, remedy))
            code = "".join(
                f"<details><summary>{NAMES[name]}</summary><pre>{escape(script)}</pre></details>"
                for name, script in scripts(diagnosis, finding, remedy).items()
            )
            yield f"<tr><td>{escaped(remedy.words)}</td><td>{escaped(verdicts)}</td><td>{escaped(losses)}</td></tr>"
            if code:
                yield f'<tr><td colspan="3" class="code">{code}</td></tr>'
        yield "</table>"
