"""A page that shows tables, commands and figures, in one HTML file that needs nothing else."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

__all__ = ["commands", "figures", "page", "paragraph", "table"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; max-width: 68rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-size: .92rem; } th, td { padding: .3rem .9rem .3rem 0; text-align: left;
       border-bottom: 1px solid #ddd; vertical-align: top; } td.number { text-align: right; }
pre { background: #f5f5f3; padding: .8rem 1rem; overflow-x: auto; font-size: .88rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1.2rem; }
.wide { grid-column: 1 / -1; } figure { margin: 0; } img { max-width: 100%; height: auto; }
figcaption { font-size: .88rem; color: #444; }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """
    Put parts together to an HTML document.

    Parameters
    ----------
    title : str
        Heading.
    parts : iterable of str
        HTML, from the other functions here.

    Returns
    -------
    str

    Examples
    --------
    >>> text = page("A & B", [paragraph("x < y")])
    >>> "<h1>A &amp; B</h1>" in text, "<p>x &lt; y</p>" in text
    (True, True)
    """
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{_STYLE}</style></head>\n'
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def paragraph(text: str) -> str:
    """
    Write a paragraph.

    Parameters
    ----------
    text : str
        Plain text.

    Returns
    -------
    str
    """
    return f"<p>{escape(text)}</p>"


def table(heading: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """
    Write a table under a heading; numbers are set to the right.

    Parameters
    ----------
    heading : str
        Plain text.
    columns : sequence of str
        Headings of the columns.
    rows : iterable of sequences
        Cells.

    Returns
    -------
    str
    """
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<h2>{escape(heading)}</h2>\n<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _cell(value: object) -> str:
    text = str(value)
    number = text.replace(".", "").replace(",", "").replace("-", "").isdigit()
    return f'<td class="number">{escape(text)}</td>' if number else f"<td>{escape(text)}</td>"


def commands(heading: str, text: str) -> str:
    """
    Write commands, or a file, as they are.

    Parameters
    ----------
    heading : str
        Plain text.
    text : str
        Lines.

    Returns
    -------
    str
    """
    return f"<h2>{escape(heading)}</h2>\n<pre>{escape(text.strip())}</pre>"


def figures(heading: str, images: Iterable[tuple[Path | bytes, str]], *, wide: bool = False) -> str:
    """
    Write PNG figures, each inside the page.

    Parameters
    ----------
    heading : str
        Plain text.
    images : iterable of (Path or bytes, str)
        File, or its content, and caption.
    wide : bool
        Whether each takes a row of its own.

    Returns
    -------
    str
    """
    shown = []
    for given, caption in images:
        data = base64.b64encode(given if isinstance(given, bytes) else given.read_bytes()).decode()
        image = f'<img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        kind = ' class="wide"' if wide else ""
        shown.append(f"<figure{kind}>{image}<figcaption>{escape(caption)}</figcaption></figure>")
    return f'<h2>{escape(heading)}</h2>\n<div class="figures">\n' + "\n".join(shown) + "\n</div>"
